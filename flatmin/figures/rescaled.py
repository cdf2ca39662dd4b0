"""Measures of networks of the same function against the amount of a rescaling: what is invariant is a flat line."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.alone import canvas, in_house, note, panels
from flatmin.figures.style import LINES, PAGE_WIDTH, few_log_ticks, plain

FLAT = 0.01
"""How far a line may leave 1 and still be drawn as flat."""
FLAT_COLOR = "0.6"
EDGE = 1.15
IN_THE_AXIS = 5
"""Lines up to which the legend lies among them."""


@in_house
def rescaled(frame: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw each measure as a share of what it is of the network itself, on logarithmic axes.

    Args:
        frame: What :func:`flatmin.symmetries.over_amounts` returns: ``amount``, ``measure`` and ``value``.
        ax: Where to draw; ``None`` makes a figure of pyplot.
        title: What stands above it.

    Returns:
        The axis. Flat lines lie on each other, so they are one, in grey; the legend has the value of each measure where
        the amount is 1.

    Raises:
        ResultsError: If an amount is not positive, or 1 is not among them.
    """
    lines = {str(name): rows.sort_values("amount") for name, rows in frame.groupby("measure", sort=False)}
    for name, rows in lines.items():
        if not (rows["amount"] > 0).all() or not np.isclose(rows["amount"], 1).any():
            raise ResultsError(f"the amounts of {name!r} must be positive and have 1 among them, to compare with.")
    crowded = len(lines) > IN_THE_AXIS
    if ax is None and crowded:
        (ax,) = panels(1, PAGE_WIDTH, 3.4)
    ax, keys = canvas(ax, 3.4, title=title), list[Line2D]()
    shares = {name: _shares(rows) for name, rows in lines.items()}
    flat = [name for name, values in shares.items() if (np.abs(values - 1) < FLAT).all()]
    lost = [name for name, values in shares.items() if not (values > 0).all() or not np.isfinite(values).all()]
    for place, name in enumerate([*(n for n in lines if n not in flat), *flat]):
        color, marker = (FLAT_COLOR, "") if name in flat else LINES[place % len(LINES)]
        look: dict[str, Any] = {"linestyle": "-" if place < len(LINES) else "--", "marker": marker, "markersize": 4}
        if name in flat:
            look = {"linestyle": "-", "linewidth": 3.0, "zorder": 1}
        own = _at_one(lines[name])
        shown = np.where((shares[name] > 0) & np.isfinite(shares[name]), shares[name], np.nan)
        ax.plot(lines[name]["amount"], shown, color=color, **look)
        label = f"{plain(name)}: {own:.3g}" + (", flat" if name in flat else "")
        keys.append(Line2D([], [], color=color, label=label, **look))
    ax.set(xscale="log", yscale="log", xlabel="a, log axis", ylabel="measure at a / measure at 1, log axis")
    ax.set_xlim(frame["amount"].min() / EDGE, frame["amount"].max() * EDGE)
    for axis in (ax.xaxis, ax.yaxis):
        few_log_ticks(axis, crowded=20)
    small = rcParams["legend.fontsize"]
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if crowded else {"loc": "best"}
    ax.legend(handles=keys, title="measure: value at 1", fontsize=small, title_fontsize=small, **where)
    facts = [f"The same function at every a: {_words(frame)}"]
    if "outputs" in frame:
        facts.append(f"outputs equal to {frame['outputs'].max():.0e} of the largest")
    if lost:
        facts.append(f"not positive or not finite somewhere, left out there: {', '.join(lost)}")
    note(ax, facts, None)
    return ax


def _at_one(rows: pd.DataFrame) -> float:
    return float(rows.loc[np.isclose(rows["amount"], 1), "value"].iloc[0])


def _shares(rows: pd.DataFrame) -> Any:
    with np.errstate(all="ignore"):
        return rows["value"].to_numpy(float) / _at_one(rows)


def _words(frame: pd.DataFrame) -> str:
    names = list(frame["symmetry"].unique()) if "symmetry" in frame else []
    return ", ".join(str(name).replace("_", " ") for name in names) or "a rescaling"
