"""A measure without a figure of its own, drawn by rule: its numbers against what tells them apart, by regime."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatmin.figures.captions import footer, seeds_behind
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, blank, few_log_ticks, looks_of, regimes_of, select, styled
from flatmin.results import Tables, of_minima
from flatmin.results.measured import Measure

LABEL_WIDTH = 26
"""Letters of an axis label in a line."""
CROWD = 4
"""More regimes than these have no room side by side: each has a line of its own, with its name before it."""


@styled
def measured(tables: Tables, *, measure: Measure[Any], network: str, data: str, batch_norm: str) -> Figure:
    """Draw the values of a measure at the minima, a panel for each combination of what its numbers are told apart by.

    Args:
        tables: The results.
        measure: The measure, which has a column of values.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: the mean over seeds with a dot for each seed, against the first of the measure's columns where that
        holds numbers, else in one column.

    Raises:
        ResultsError: If it was not measured.
    """
    where = {"network": network, "data": data, "batch_norm": batch_norm}
    rows = select(of_minima(tables.frames[measure.name]), measure.name, **where)
    along, *apart = measure.by if measure.by and measure.by[0] not in measure.text else (None, *measure.by)
    panels = list(rows.groupby(apart, sort=False)) if apart else [((), rows)]
    crowd = along is None and rows["regime"].nunique() > CROWD
    wide = len(panels) > 1 or crowd
    figure = blank(PAGE_WIDTH if wide else COLUMN_WIDTH, 1.2 + 0.2 * rows["regime"].nunique() if crowd else 2.8)
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (names, part) in zip(drawn, panels, strict=True):
        if crowd:
            draw_lines(axes, part, measure.value)
        else:
            draw_values(axes, part, measure.value, along)
        axes.set_title(", ".join(called(str(name), value) for name, value in zip(apart, names, strict=True)))
    shown = rows.loc[np.isfinite(rows[measure.value].astype(float)), measure.value]
    log = bool(len(shown)) and bool((shown > 0).all())
    words = [measure.words_within, measure.unit] if measure.unit else [measure.words_within]
    words[-1] += ", log axis" if log else ""
    label = "\n".join(part if crowd else fill(part, LABEL_WIDTH, break_on_hyphens=False) for part in words)
    side = "x" if crowd else "y"
    for axes in drawn if crowd else drawn[:1]:
        axes.set(**{f"{side}label": label})
        if log:
            axes.set(**{f"{side}scale": "log"})
    handles = [] if crowd else regime_handles(tables, rows, network, data)
    heading(figure, measure.words_within, network, data, handles)
    lost = int((~np.isfinite(rows[measure.value].astype(float))).sum())
    note = f"{lost} of {len(rows):,} values not finite, left out" if lost else ""
    seeds = seeds_behind(rows, "regime")
    mean = "Line" if along and rows[along].nunique() > 1 else "Large marker"
    footer(
        figure,
        tables,
        measure.name,
        rows,
        f"{mean}: mean over seeds, small marker: a seed ({seeds})" if seeds else "",
        note,
    )
    return figure


def called(name: str, value: Any) -> str:
    """What tells a panel from the others: a word by itself, a number with the column that it stands in."""
    return value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}"


def draw_lines(axes: Axes, rows: pd.DataFrame, value: str) -> None:
    """Draw one panel with a line for each regime."""
    finite = rows[np.isfinite(rows[value].astype(float))]
    looks = looks_of(regimes_of(rows))
    for place, (regime, look) in enumerate(looks.items()):
        mine = finite.loc[finite["regime"] == regime, value]
        axes.plot(mine, [place] * len(mine), look.marker, color=look.color, alpha=0.45, markersize=3)
        axes.plot([mine.mean()], [place], look.marker, color=look.color, markersize=5)
        axes.axhline(place + 0.5, color="0.92", linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(looks)), [look.label for look in looks.values()])
    axes.set_ylim(len(looks) - 0.5, -0.5)


def draw_values(axes: Axes, rows: pd.DataFrame, value: str, along: str | None) -> None:
    """Draw one panel."""
    finite = rows[np.isfinite(rows[value].astype(float))]
    looks = looks_of(regimes_of(rows))
    for place, (regime, look) in enumerate(looks.items()):
        mine = finite[finite["regime"] == regime]
        at = mine[along].astype(float) if along else pd.Series(float(place), index=mine.index)
        dots: dict[str, Any] = {"color": look.color, "marker": look.marker, "alpha": 0.45, "linestyle": "none"}
        axes.plot(at, mine[value], markersize=3, **dots)
        mean = mine.assign(at=at).groupby("at")[value].mean()
        axes.plot(mean.index, mean, color=look.color, marker=look.marker, markersize=5)
    if along is None:
        axes.set_xticks(range(len(looks)), [look.label for look in looks.values()])
        axes.set_xlim(-0.5, len(looks) - 0.5)
        return
    axes.set_xlabel(along.replace("_", " "))
    if finite[along].nunique() == 1:
        only = float(finite[along].iloc[0])
        axes.set_xticks([only], [f"{only:g}"])
    elif (finite[along] > 0).all():
        axes.set_xscale("log")
        axes.set_xlabel(f"{along.replace('_', ' ')}, log axis")
        few_log_ticks(axes.xaxis, crowded=100)
