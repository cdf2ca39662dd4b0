"""A line, the climbs of a search or its effort, of one's own, on an axis that may have others."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from numpy.typing import NDArray

from flatmin.figures.alone import LOSS, canvas, grounds, in_house, note
from flatmin.figures.captions import non_finite_note
from flatmin.figures.legends import stroke
from flatmin.figures.paths import MARKS, evenly
from flatmin.figures.style import (
    ACCURACY_COLOR,
    DASHES,
    LINES,
    SEARCH_LOOKS,
    few_log_ticks,
    loss_axis,
)

QUANTITIES = {"loss": LOSS, "accuracy": "accuracy (%)"}
DRAWN = "flatmin-line"
LOST_AT = 0.985
LOG_FROM = 20.0
"""The ratio of the values from which an axis of sharpness is logarithmic."""


@in_house
def line(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    quantity: str = "loss",
    label: str | None = None,
    title: str = "",
    metrics: Sequence[str] = (),
    **look: Any,
) -> Axes:
    """Draw a line on an axis that may have others, each in a look of its own.

    Args:
        frame: ``alpha``, ``loss``, ``accuracy`` and what holds for all rows; with ``standard_error`` a band.
        ax: Where to draw.
        quantity: ``"loss"``, ``"accuracy"`` or one of ``metrics``.
        label: Its name; ``"train"`` and ``"test"`` are told apart by their dash, as in every figure.
        title: What stands above it.
        metrics: Columns of ``frame`` that may be drawn too.
        **look: How the line is drawn, if not in the house's way.

    Returns:
        The axis.

    Raises:
        ValueError: If there is no such quantity.
    """
    known = [*QUANTITIES, *metrics]
    if quantity not in known:
        raise ValueError(f"`quantity` must be one of {', '.join(map(repr, known))}, got {quantity!r}.")
    ax = canvas(ax, 3.0, title=title)
    rows = frame.sort_values("alpha")
    scale = 100.0 if quantity == "accuracy" else 1.0
    alphas, values = rows["alpha"].to_numpy(), scale * rows[quantity].to_numpy()
    shown = np.where(np.isfinite(values), values, np.nan)
    stroke_of_it = look_of(ax, quantity, label, len(rows)) | {"markevery": evenly(alphas)} | look
    (drawn,) = ax.plot(alphas, shown, label=label, gid=DRAWN, **stroke_of_it)
    if "standard_error" in rows and quantity == "loss":
        error = rows["standard_error"].to_numpy()
        ax.fill_between(
            alphas, shown - error, shown + error, gid=DRAWN, color=drawn.get_color(), alpha=0.2, linewidth=0
        )
    lost = alphas[~np.isfinite(values)]
    cross: dict[str, Any] = {"color": drawn.get_color(), "marker": "x", "markersize": 4, "linestyle": "none"}
    ax.plot(lost, np.full(len(lost), LOST_AT), transform=ax.get_xaxis_transform(), **cross)
    scaled(ax, quantity)
    ax.set_xlabel("α")
    if label is not None:
        ax.legend(fontsize=rcParams["legend.fontsize"])
    error_note = f"band: ± one standard error over {frame['subsets'].iloc[0]} subsets" if "subsets" in frame else ""
    lost_note = non_finite_note(rows, "loss value", "crosses at the top") if quantity == "loss" else ""
    note(ax, [*grounds(rows), error_note, lost_note], label)
    return ax


def look_of(ax: Axes, quantity: str, label: str | None, points: int) -> dict[str, Any]:
    """How the next line on an axis is drawn."""
    place = sum(drawn.get_gid() == DRAWN for drawn in ax.lines)
    color, marker = (ACCURACY_COLOR, "^") if quantity == "accuracy" else LINES[0]
    if label not in DASHES and place:
        color, marker = LINES[place % len(LINES)]
    return stroke(color, marker, label if label in DASHES else "train", points=points, marks=MARKS)


def scaled(ax: Axes, quantity: str) -> None:
    """Scale the vertical axis for all lines on it: from 0 on where that leaves their course to be seen."""
    if quantity == "accuracy":
        ax.set(ylabel=QUANTITIES[quantity], ylim=(-2, 102))
        return
    values = drawn_heights(ax)
    loss_axis(ax, pd.Series(values))
    if quantity != "loss":
        ax.set_ylabel(quantity)
    low, high = np.nanmin(values), np.nanmax(values)
    if ax.get_yscale() == "linear" and (low < 0 or low > 0.6 * high):
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        ax.set_ylim(low - room, high + room)


def drawn_heights(ax: Axes) -> NDArray[np.float64]:
    """The values of all lines and the edges of all bands that were drawn on an axis here."""
    lines = [np.asarray(drawn.get_ydata(), float) for drawn in ax.lines if drawn.get_gid() == DRAWN]
    bands = [
        np.asarray(path.vertices, float)[:, 1]
        for band in ax.collections
        if band.get_gid() == DRAWN
        for path in band.get_paths()
    ]
    return np.concatenate([*lines, *bands])


@in_house
def climbs(
    climbs: Sequence[float], found: float, words: Iterable[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw what each climb of a search found, the published one apart, and the result as a line.

    Args:
        climbs: The sharpness that each climb found, in per cent, the published search first.
        found: The sharpness.
        words: What the result says of itself.
        ax: Where to draw.
        title: What stands above it.

    Returns:
        The axis.
    """
    ax = canvas(ax, 2.8, title=title)
    values = np.asarray(climbs, float)
    finite = values[np.isfinite(values)]
    for places, method, name in (
        (slice(0, 1), "paper", "published search"),
        (slice(1, None), "strong", "further climb"),
    ):
        color, marker = SEARCH_LOOKS[method]
        numbers, heights = np.arange(1, len(values) + 1)[places], values[places]
        if len(heights):
            shown = np.where(np.isfinite(heights), heights, np.nan)
            ax.plot(numbers, shown, marker, color=color, markersize=5, label=name)
            lost = numbers[~np.isfinite(heights)]
            ax.plot(lost, np.full(len(lost), LOST_AT), "x", color=color, transform=ax.get_xaxis_transform())
    if np.isfinite(found):
        ax.axhline(found, color="0.6", linewidth=0.9, zorder=0, label="sharpness")
    log = len(finite) > 0 and finite.min() > 0 and finite.max() > LOG_FROM * finite.min()
    if log:
        ax.set_yscale("log")
    elif len(finite):
        ax.set_ylim(min(0.0, 1.1 * finite.min()), 1.1 * max(finite.max(), 0.0) or None)
    ax.set(xlabel="climb", ylabel="sharpness (%), log axis" if log else "sharpness (%)")
    ax.set_xlim(0.4, len(values) + 0.6)
    ax.set_xticks(np.arange(1, len(values) + 1, 1 + len(values) // 12))
    ax.legend(loc="best", fontsize=rcParams["legend.fontsize"])
    note(ax, [text for text in words if text], None)
    return ax


@in_house
def effort(frame: pd.DataFrame, ax: Axes | None = None, *, label: str | None = None, title: str = "") -> Axes:
    """Draw the highest sharpness found against the evaluations spent, on logarithmic axes; several on one.

    Args:
        frame: ``evaluations``, ``sharpness``, ``spent`` and what holds for all rows.
        ax: Where to draw.
        label: Its name; ``None`` takes the climber and the start.
        title: What stands above it.

    Returns:
        The axis.
    """
    ax = canvas(ax, 3.0, title=title)
    first = frame.iloc[0]
    color, _ = LINES[sum(drawn.get_gid() == DRAWN for drawn in ax.lines) % len(LINES)]
    spent = [*frame["evaluations"], first["spent"]]
    found = pd.Series([*frame["sharpness"], frame["sharpness"].iloc[-1]], dtype=float)
    shown = found.where((found > 0) & np.isfinite(found))
    name = label or f"{first['climber']} from {first['start']}".replace("_", " ")
    ax.plot(spent, shown, drawstyle="steps-post", color=color, label=name, gid=DRAWN)
    heights = drawn_heights(ax)
    log = np.nanmax(heights) > LOG_FROM * np.nanmin(heights) if np.isfinite(heights).any() else False
    ax.set(xscale="log", yscale="log" if log else "linear", xlabel="evaluations, log axis")
    ax.set_ylabel("sharpness (%), log axis" if log else "sharpness (%)")
    few_log_ticks(ax.xaxis, crowded=200, whole=True)
    ax.legend(fontsize=rcParams["legend.fontsize"])
    lost = int(np.isinf(frame["sharpness"]).sum())
    never = "" if shown.notna().any() else f"{name} never left 0 and has no line"
    note(ax, [f"ε = {first['epsilon']:g}", *grounds(frame), never, f"{lost} infinite, left out" if lost else ""], None)
    return ax
