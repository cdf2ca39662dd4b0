"""Two figures of the remedies: each beside the others, and what closes the gap against what flattens."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, Look, blank, few_log_ticks, looks_of, styled
from flatmin.results import Tables
from flatmin.results.intervals import Interval
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.remedies.judged import LARGE, SMALL, Way, ways

ROW_HEIGHT = 0.26
BARS = "Bar: 95 % t interval over seeds, of a ratio on its logarithm; dot: a seed"


@styled
def side_by_side(tables: Tables) -> Figure:
    """Draw a line for each way of training: test accuracy, every sharpness over the large batch's, and the work.

    Raises:
        ResultsError: If no large batch left a minimum.
    """
    found = present(tables)
    looks = looks_of([way.name for way in found])
    measured = list(dict.fromkeys(what for way in found for what in way.flatness))
    figure = blank(PAGE_WIDTH, 1.3 + ROW_HEIGHT * len(found))
    panels = figure.subplots(1, 2 + len(measured), sharey=True, width_ratios=[1.5, *[1] * len(measured), 0.8])
    row_of = {way.name: place for place, way in enumerate(found)}
    for way in found:
        look = looks[way.name]
        dots(panels[0], way.accuracy, row_of[way.name], look)
        for axes, what in zip(panels[1:], measured, strict=False):
            if what in way.flatness and way.name != LARGE:
                dots(axes, way.flatness[what], row_of[way.name], look)
        panels[-1].plot(
            way.gradients / large_of(found).gradients, row_of[way.name], "o", color=look.color, markersize=4
        )
    for name, line in ((SMALL, (0, (4, 2))), (LARGE, "-")):
        if name in row_of:
            center = found[row_of[name]].accuracy.center
            panels[0].axvline(center, color=looks[name].color, linewidth=0.9, linestyle=line, zorder=0)
    panels[0].set(xlabel="test accuracy (%)")
    panels[0].set_yticks(range(len(found)), [way.label for way in found])
    panels[0].set_ylim(len(found) - 0.5, -0.5)
    for axes, what in zip(panels[1:], measured, strict=False):
        axes.set(title=wrapped(what), xlabel="over large batch's", xscale="log")
        axes.axvline(1, color=looks[LARGE].color, linewidth=0.9, zorder=0)
        few_log_ticks(axes.xaxis, crowded=30)
    panels[-1].set(title="work", xlabel="gradients over\nlarge batch's", xscale="log")
    few_log_ticks(panels[-1].xaxis, crowded=30)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        for place in range(len(found) - 1):
            axes.axhline(place + 0.5, color="0.92", linewidth=0.6, zorder=0)
    finish(figure, tables, "remedies for large batches", BARS, "Dashed line: small batch, solid line: large batch")
    return figure


@styled
def two_effects(tables: Tables, what: str) -> Figure:
    """Draw the share of the gap that each way closes against what is left of one sharpness.

    Args:
        tables: The results.
        what: Which sharpness, as :class:`~flatmin.studies.remedies.judged.Way` calls it.

    Raises:
        ResultsError: If no large batch left a minimum.
    """
    found = [way for way in present(tables) if what in way.flatness or way.name == LARGE]
    looks = looks_of([way.name for way in found])
    figure = blank(PAGE_WIDTH, 3.9)
    axes = figure.subplots()
    for way in found:
        look = looks[way.name]
        x, y = way.gain.center, 1.0 if way.name == LARGE else way.flatness[what].center
        if way.name != LARGE:
            reach: dict[str, Any] = {"color": look.color, "linewidth": 0.8, "alpha": 0.45}
            if way.gain.exists:
                axes.plot([way.gain.low, way.gain.high], [y, y], **reach)
            if way.flatness[what].exists:
                axes.plot([x, x], [way.flatness[what].low, way.flatness[what].high], **reach)
        axes.plot(x, y, look.marker, color=look.color, markersize=5.5, label=way.label, markeredgecolor="white")
    axes.axhline(1, color="0.6", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set(xlabel="test accuracy less the large batch's (points)", yscale="log")
    axes.set_ylabel(f"{what}\nover the large batch's, log axis")
    few_log_ticks(axes.yaxis, crowded=100)
    corners = (
        (0.985, 0.02, "right", "bottom", "narrows the gap, flatter"),
        (0.015, 0.02, "left", "bottom", "flatter alone"),
        (0.985, 0.98, "right", "top", "narrows the gap, sharper"),
    )
    for x, y, side, height, words in corners:
        axes.text(x, y, words, transform=axes.transAxes, ha=side, va=height, fontsize=7, color="0.45", style="italic")
    figure.legend(loc="outside right upper", fontsize=7)
    finish(figure, tables, "what closes the gap, and what flattens", "Bars: 95 % t intervals over seeds")
    return figure


def present(tables: Tables) -> list[Way]:
    """The ways that left a minimum.

    Raises:
        ResultsError: If no large batch did.
    """
    found = ways(tables)
    if not any(way.name == LARGE for way in found):
        raise ResultsError("no large batch left a minimum, so there is nothing to compare remedies with.")
    return found


def large_of(found: Sequence[Way]) -> Way:
    """The large batch."""
    return next(way for way in found if way.name == LARGE)


def dots(axes: Axes, interval: Interval, place: float, look: Look) -> None:
    """Draw the seeds, their mean and its interval on one line."""
    values = [value for value in interval.values if np.isfinite(value)]
    axes.plot(values, [place] * len(values), look.marker, color=look.color, markersize=3.2, alpha=0.7)
    if interval.exists:
        axes.plot([interval.low, interval.high], [place, place], color=look.ink, linewidth=1.0, alpha=0.8)
    axes.plot(interval.center, place, "|", color=look.ink, markersize=8, markeredgewidth=1.6)


def wrapped(words: str) -> str:
    """Words of a title on at most three lines."""
    return fill(words, 16)


def finish(figure: Figure, tables: Tables, title: str, *notes: str) -> None:
    """Write the heading, and what the figure rests on."""
    minima = tables.minima
    network, data = minima["network"].iloc[0], minima["data"].iloc[0]
    figure.suptitle(f"{network} on {DATA_NAMES.get(data, data)}: {title}", x=0.012, ha="left")
    seeds = ", ".join(f"{seed:g}" for seed in sorted(minima["seed"].unique()))
    facts = [f"Seeds: {seeds}", "BatchNorm: batch statistics", *notes]
    tuning = tables.experiment.get("tuning")
    if tuning:
        factors = ", ".join(f"{factor:g}" for factor in tuning["factors"])
        facts.append(
            f"Learning rate of every way the best of {len(tuning['factors'])} ({factors} times its own) on held-out "
            f"training examples, seed {tuning['seed']}; the large batch has the small batch's"
        )
    write_footer(figure, [*facts, *(remark.text for remark in remarks(tables.provenance, "reduced"))])
