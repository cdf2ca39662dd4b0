"""The taus of every measure with their intervals, plain and granulated side by side."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.studies.correlation.found import scope
from flatmin.studies.correlation.judged import CONTROLS, GAPS, apart, named

LOOKS = {"granulated": ("#0B4F9E", "o", 0.16), "plain": ("#EE7F2D", "s", -0.16)}
CONTROL = "0.93"
ROW = 0.185


@styled
def correlations(tables: Tables, rows: pd.DataFrame) -> Figure:
    """Draw a panel for each gap, a line for each measure; sorted by the granulated tau with the first gap.

    Args:
        tables: Of the study.
        rows: The taus, of :func:`~flatmin.studies.correlation.judged.judged`.

    Raises:
        ResultsError: If nothing was measured.
    """
    if rows.empty:
        raise ResultsError("the table `correlation_measures` is empty, so there is nothing to draw.")
    order = ordered(rows)
    figure = blank(PAGE_WIDTH, 1.1 + ROW * len(order))
    panels = figure.subplots(1, len(GAPS), sharey=True)
    for axes, (gap, words) in zip(panels, GAPS.items(), strict=True):
        panel(axes, rows[rows["gap"] == gap], order)
        axes.set(xlabel=f"Kendall's tau, {words}")
    panels[0].set_yticks(range(len(order)), [named(*key) for key in order], fontsize=6.5)
    panels[0].set_ylim(-0.6, len(order) - 0.4)
    handles: list[Any] = [
        Line2D([], [], color=color, marker=marker, markersize=4, linewidth=1, label=which)
        for which, (color, marker, _) in LOOKS.items()
    ]
    handles.append(Line2D([], [], color=CONTROL, linewidth=6, label="a control, not a measure of sharpness"))
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    name = scope(tables)
    write_footer(
        figure,
        [
            f"{int(rows['n'].max())} {name}, all trained to the same loss",
            "Bars: 95 % bootstrap intervals over seeds and settings; open: it includes 0, or there is none",
            "Granulated: pairs that differ in batch size, learning rate, width or weight decay alone, mean over the "
            "four. Above 0: what the measure calls sharper has the larger gap",
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def ordered(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The measures, that with the lowest granulated tau with the first gap first."""
    mine = rows[(rows["gap"] == next(iter(GAPS))) & (rows["which"] == "granulated")]
    mine = mine.sort_values("tau", kind="stable", na_position="first")
    return list(mine[["measure", "setting"]].itertuples(index=False, name=None))


def panel(axes: Axes, rows: pd.DataFrame, order: list[tuple[str, str]]) -> None:
    """Draw the taus with one gap."""
    places = {key: place for place, key in enumerate(order)}
    for (measure, _), place in places.items():
        if measure in CONTROLS:
            axes.axhspan(place - 0.5, place + 0.5, color=CONTROL, linewidth=0, zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.7, zorder=1)
    for which, (color, marker, shift) in LOOKS.items():
        mine = rows[rows["which"] == which]
        at = np.array([places[key] for key in mine[["measure", "setting"]].itertuples(index=False, name=None)]) + shift
        axes.hlines(at, mine["low"], mine["high"], color=color, linewidth=1)
        filled = apart(mine).to_numpy()
        for shown, face in ((filled, color), (~filled, "white")):
            axes.scatter(
                mine["tau"][shown], at[shown], s=11, marker=marker, facecolors=face, edgecolors=color, linewidths=0.8,
                zorder=3,
            )  # fmt: skip
    axes.set_xlim(-1.04, 1.04)
    axes.tick_params(axis="y", length=0)
