"""Headings, legends and strokes: the regime by colour and marker, the split by its dash."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from flatmin.figures.style import DASHES, REGIMES, looks_of, regimes_of
from flatmin.results import Tables
from flatmin.results.words import DATA_NAMES, label_of

MARK: dict[str, Any] = {"linewidth": 3.0, "alpha": 0.35}


def regime_name(tables: Tables, regime: str, network: str, data: str) -> str:
    """Return a regime's name with its batch size where it does not end with it, such as ``small batch (256)``."""
    minima = tables.minima
    same = (minima["network"] == network) & (minima["data"] == data) & (minima["regime"] == regime)
    sizes = sorted(set(minima.loc[same, "batch_size"].dropna().astype(int)))
    label = label_of(regime)
    told = not sizes or (len(sizes) == 1 and label.endswith(f" {sizes[0]}"))
    return label if told else f"{label} ({', '.join(f'{size:,}' for size in sizes)})"


def heading(figure: Figure, text: str, network: str, data: str, handles: Sequence[Artist] = ()) -> None:
    """Write what the figure shows, of which network and data, at the top left, and the legend below it."""
    line = f"{network} on {DATA_NAMES.get(data, data)}: {text}"
    line = textwrap.fill(line, width=int(12.5 * figure.get_figwidth()))
    if not handles:
        figure.suptitle(line, x=0.012, ha="left")
        return
    columns = legend_columns(figure, handles)
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=columns, title=line, alignment="left")
    legend.get_title().set(fontsize=rcParams["figure.titlesize"], fontweight="bold")


def legend_columns(figure: Figure, handles: Sequence[Artist], most: int = 4) -> int:
    """Return how many columns of a legend fit a figure, by the widest entry in each."""
    widths = [entry_width(handle) for handle in handles]

    def width(columns: int) -> float:
        return float(sum(max(part) for part in np.array_split(widths, columns) if len(part)))

    return next((count for count in range(most, 1, -1) if width(count) <= figure.get_figwidth()), 1)


def entry_width(handle: Artist) -> float:
    """Return the inches that an entry of a legend takes: its key, its label and the space to the next column."""
    size = FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points()
    beside = rcParams["legend.handlelength"] + rcParams["legend.handletextpad"] + rcParams["legend.columnspacing"]
    label = str(handle.get_label())
    written = TextPath((0, 0), label, size=size).get_extents().width if label.strip() else 0.0
    return float(written + size * beside) / 72


def regime_handles(tables: Tables, rows: pd.DataFrame, network: str, data: str) -> list[Line2D]:
    """Return legend entries that tell the regimes by colour and marker."""
    return [
        Line2D(
            [], [], color=look.color, marker=look.marker, markersize=4, label=regime_name(tables, regime, network, data)
        )
        for regime, look in looks_of(regimes_of(rows)).items()
    ]


def mark_regime(axes: Axes, x: float, regime: str, *, named: bool = True, side: str = "center") -> None:
    """Mark where a regime stands on the horizontal axis by a vertical line, with its name above where asked.

    Args:
        axes: Where to draw.
        x: Where it stands.
        regime: Its name in tables.
        named: Write its name.
        side: Which part of the name stands at the mark: ``"right"`` writes it to the left of the mark.
    """
    look = REGIMES[regime]
    axes.axvline(x, color=look.color, **MARK, zorder=0)
    if not named:
        return
    axes.annotate(
        look.label,
        (x, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha=side,
        color=look.ink,
        fontweight="bold",
    )


def mark_handles(tables: Tables, regimes: Iterable[str], network: str, data: str) -> list[Line2D]:
    """Return legend entries of the vertical lines that mark where regimes stand, with their batch sizes."""
    return [
        Line2D([], [], **MARK, color=REGIMES[regime].color, label=regime_name(tables, regime, network, data))
        for regime in regimes
    ]


def split_handles(splits: Iterable[str], color: str = "0.25") -> list[Line2D]:
    """Return legend entries that tell train from test by their dash."""
    return [Line2D([], [], color=color, linestyle=DASHES[split], label=split) for split in splits]


def stroke(color: str, marker: str, split: str, *, points: int, marks: int) -> dict[str, Any]:
    """Return how a line is drawn: solid with full markers for train, dashed with open ones for test.

    Args:
        color: Colour of line and markers.
        marker: The marker.
        split: ``"train"`` or ``"test"``.
        points: How many points the line has.
        marks: How many of them get a marker, about.

    Returns:
        Keywords for ``Axes.plot`` and ``Line2D``.
    """
    return {
        "color": color,
        "linestyle": DASHES[split],
        "marker": marker,
        "markersize": 3,
        "markerfacecolor": color if split == "train" else "white",
        "markeredgewidth": 0.7,
        "markevery": max(1, points // marks),
    }
