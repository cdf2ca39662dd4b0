"""Figures of the report on what the sharpness is: of the landscape or of the search, in a subspace, and with remedies.

The four readings of a sharpness are the published and the strong search, each with BatchNorm's batch statistics and
with its running averages. Thin broken lines are the paper's means.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.effort import (
    CLIMBER_NAMES,
    PUBLISHED_END,
    SHOWN_SHARE,
    climbers_of,
    climbs_note,
    draw_climbs,
    lowest_shown,
    mark_published,
    published_end,
    start_handles,
)
from flatmin.figures.remedies import draw_remedies, remedies_note, way_handles
from flatmin.figures.remedies import epsilon_handles as dot_handles
from flatmin.figures.sharpness import dots_note, geometric, not_converged, ratio_of
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, REGIMES, blank, few_log_ticks, regimes_of
from flatmin.figures.sweep import sweep_limits
from flatmin.report import published
from flatmin.report.panels import (
    EPSILON,
    PANELS_ACROSS,
    PAPER,
    cross,
    crosses,
    full_space,
    grid,
    legend,
    missing,
    pair_handles,
    panels_footer,
    preferred,
    reading_fact,
    title,
    with_rows,
)
from flatmin.report.studies import StudyResults, main_studies
from flatmin.results import Tables
from flatmin.results.groups import AUGMENTED, averages_note, remedy_rows
from flatmin.results.searches import methods_of, pair_rows, seed_means
from flatmin.results.words import BATCH_NORM_NAMES, SEARCH_NAMES, SPACES, significant, span

PAPER_LINE: dict[str, Any] = {"linewidth": 0.9, "zorder": 0, "gid": PAPER}
PAPER_DASHES: dict[str, Any] = {"small_batch": (0, (1, 1.2)), "large_batch": (0, (5, 1.5))}
SLOTS = tuple(product(("paper", "strong"), ("batch", "running")))
SHIFTS = {"small_batch": -0.19, "large_batch": 0.19}
LINE_LOOK = 0.42
EFFORT_NOTE = "A line: the highest sharpness found after so many evaluations of loss and gradient"


def landscape_or_optimiser(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw the full-space sharpness in each reading, a panel per network."""
    return readings_figure(studies, "full", published.TABLE_3)


def subspace(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw the sharpness in random subspaces in each reading, a panel per network."""
    return readings_figure(studies, "random", published.TABLE_4)


def readings_figure(studies: Sequence[StudyResults], space: str, table: dict[str, Any]) -> Figure | None:
    """Draw the sharpness of both minima in each reading, a panel per network, the seeds with their interval."""
    shown = with_rows(main_studies(studies), lambda tables: readings(tables, space))
    if not shown:
        return None
    every = pd.concat([rows for _, rows in shown])
    slots = [slot for slot in SLOTS if len(of_slot(every, slot))]
    figure, panels = grid(len(shown), 0.7 + LINE_LOOK * len(slots))
    for place, (axes, (study, rows)) in enumerate(zip(panels, shown, strict=True)):
        draw_readings(axes, study, rows, table, slots)
        names = [slot_name(slot) if place % PANELS_ACROSS == 0 else "" for slot in slots]
        axes.set_yticks(range(len(slots)), names)
        axes.set_xlabel("sharpness (%), log axis")
    handles = [*pair_handles(linestyle=""), *paper_handles()]
    if not every["converged"].astype(bool).all():
        handles.append(not_converged())
    legend(figure, handles)
    words = f"{SPACES[space]}, ε = {EPSILON:g}"
    panels_footer(figure, shown, words[0].upper() + words[1:], dots_note(every, "network"), tables=["sharpness"])
    return figure


def search_effort(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw what each climber finds with effort, a row per network that has climbs, batch statistics before others."""
    shown = with_rows(main_studies(studies), lambda tables: preferred(at_epsilon(tables.effort)))
    if not shown:
        return None
    every = pd.concat([rows for _, rows in shown])
    climbers = climbers_of(every)
    figure = blank(PAGE_WIDTH if len(climbers) > 1 else COLUMN_WIDTH, 0.6 + 1.45 * len(shown))
    panels = figure.subplots(len(shown), len(climbers), squeeze=False, sharex=True, sharey="row")
    for line, (study, rows) in zip(panels, shown, strict=True):
        for axes, climber in zip(line, climbers, strict=True):
            draw_effort(axes, study, rows[rows["climber"] == climber], every["evaluations"])
        line[0].set(ylabel="sharpness (%)", ylim=(lowest_shown(rows), None))
        line[0].set_title(title(study, shown), fontweight="bold")
    for axes, climber in zip(panels[0], climbers, strict=True):
        axes.set_title(CLIMBER_NAMES.get(climber, climber), loc="right")
    for axes in panels[-1]:
        axes.set_xlabel("evaluations, log axis")
        few_log_ticks(axes.xaxis, crowded=200, whole=True)
    legend(figure, [*pair_handles(marker=""), *start_handles(every), *paper_handles()])
    examples = f"on {span(every['examples'], 'example')}"
    searched = span(every.groupby(["network", "data"])["seed"].nunique(), "seed")
    notes = [f"Searches of {searched}. {reading_fact(shown)}. Full space, ε = {EPSILON:g}, {examples}", EFFORT_NOTE]
    notes.append(climbs_note(every, "network"))
    marked = any(line.get_gid() == PUBLISHED_END for axes in figure.axes for line in axes.lines)
    notes.append("Vertical mark: the published search ends" if marked else "")
    notes.append(f"Not shown: below {SHOWN_SHARE:.0%} of what the least successful search of a row found")
    panels_footer(figure, shown, *notes, tables=["effort"])
    return figure


def remedies(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw accuracy and sharpness of every remedy beside the plain pair, a row per study."""
    shown = with_rows(studies, lambda tables: full_space(remedy_rows(tables)))
    if not shown:
        return None
    heights = [rows["regime"].nunique() for _, rows in shown]
    columns = 1 + max(len(methods_of(rows)) for _, rows in shown)
    figure = blank(PAGE_WIDTH, 0.9 + sum(0.6 + 0.22 * height for height in heights))
    shares = {"height_ratios": [0.2 + 0.22 * height for height in heights]}
    panels = figure.subplots(len(shown), columns, squeeze=False, sharey="row", gridspec_kw=shares)
    for line, (study, rows) in zip(panels, shown, strict=True):
        draw_remedies(line[: 1 + len(methods_of(rows))], rows)
        for place, regime in enumerate(regimes_of(rows)):
            accuracy, sharpness = paper_remedy(study.network, regime)
            for axes, value in zip(line, [accuracy, *[sharpness] * (len(line) - 1)], strict=True):
                crosses(axes, study, {value: place} if value is not None else {}, "black")
        line[0].set_title(title(study, shown))
        for axes in line[1 + len(methods_of(rows)) :]:
            missing(axes)
    every = pd.concat([rows for _, rows in shown])
    paper = cross("black", label=f"paper, sharpness at ε = {EPSILON:g}")
    legend(figure, [*way_handles(every), *dot_handles(every), paper])
    notes = [remedies_note(every), averages_note(*(study.tables for study, _ in shown))]
    panels_footer(figure, shown, f"{reading_fact(shown)}. Full space", *notes, tables=["sharpness"])
    return figure


def at_epsilon(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the larger of the paper's epsilons, in the full space."""
    return rows[(rows["epsilon"] == EPSILON) & (rows["space"] == "full")]


def readings(tables: Tables, space: str) -> pd.DataFrame:
    """Return the sharpness of both minima by seed in every reading, at the larger of the paper's epsilons.

    Where a study has searched on several numbers of examples, those on the most.
    """
    rows = pair_rows(tables)
    rows = rows[(rows["space"] == space) & (rows["epsilon"] == EPSILON)]
    rows = rows[rows["examples"] == rows.groupby(["method", "batch_norm"])["examples"].transform("max")]
    return seed_means(rows, "network")


def of_slot(rows: pd.DataFrame, slot: tuple[str, str]) -> pd.DataFrame:
    """Return the rows of one method and reading of BatchNorm."""
    return rows[(rows["method"] == slot[0]) & (rows["batch_norm"] == slot[1])]


def slot_name(slot: tuple[str, str]) -> str:
    """Return a reading in words, in two lines."""
    return f"{SEARCH_NAMES[slot[0]]},\n{BATCH_NORM_NAMES[slot[1]]}"


def draw_readings(
    axes: Axes, study: StudyResults, rows: pd.DataFrame, table: dict[str, Any], slots: Sequence[tuple[str, str]]
) -> None:
    """Draw the seeds of each reading on its line with their geometric mean and interval, the small batch above.

    Args:
        axes: Where to draw.
        study: Where the rows are from.
        rows: Sharpness by seed.
        table: The paper's values, drawn as vertical lines.
        slots: The readings from top to bottom.
    """
    values = [table[study.network][regime, EPSILON].mean for regime in REGIMES] if study.on_the_papers_data else []
    axes.set(xscale="log", xlim=ends(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)])))
    for place, slot in enumerate(slots):
        found = of_slot(rows, slot)
        for regime, dots in found.groupby("regime"):
            draw_seeds(axes, place + SHIFTS[str(regime)], dots, str(regime))
        ratio = ratio_of(found)
        text = axes.text(0.99, place, f"×{significant(ratio, 2)}" if np.isfinite(ratio) else "not run" * found.empty)
        text.set(transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=6.5, fontweight="bold")
        if place:
            axes.axhline(place - 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.set(ylim=(len(slots) - 0.5, -0.5), title=title(study))
    axes.tick_params(axis="y", length=0)
    few_log_ticks(axes.xaxis, crowded=30)
    paper_lines(axes.axvline, study, table)


def draw_seeds(axes: Axes, height: float, dots: pd.DataFrame, regime: str) -> None:
    """Draw the seeds of one regime on one line over the interval of their geometric mean.

    A zero is a triangle at the left edge, infinity at the right.
    """
    look = REGIMES[regime]
    left, right = axes.get_xlim()
    mean, low, high = geometric(dots["sharpness"])
    if np.isfinite(low):
        axes.hlines(height, *np.clip([low, high], left, right), color=look.color, linewidth=3.2, alpha=0.3, zorder=1)
    if np.isfinite(mean):
        axes.vlines(mean, height - 0.15, height + 0.15, color=look.ink, linewidth=1.3, zorder=2)
    for value, converged in zip(dots["sharpness"], dots["converged"].astype(bool), strict=True):
        marker = "<" if value <= 0 else ">" if np.isinf(value) else look.marker
        shown = float(np.clip(value, left * 1.1, right / 1.1))
        face = look.color if converged else "white"
        axes.plot(shown, height, marker, color=look.color, markerfacecolor=face, markersize=3.4, markeredgewidth=0.7)


def ends(sharpness: "pd.Series[float]") -> tuple[float, float]:
    """Return the ends of a logarithmic axis for these values, with room for the ratios on the right."""
    low, high = sweep_limits(sharpness)
    return low, float(high * (high / low) ** 0.35)


def draw_effort(axes: Axes, study: StudyResults, rows: pd.DataFrame, evaluations: "pd.Series[float]") -> None:
    """Draw what one climber found, with the paper's values as horizontal lines; nothing where it was not run."""
    axes.set_visible(len(rows) > 0)
    draw_climbs(axes, rows, evaluations.max())
    axes.set_xlim(1, evaluations.max())
    for climber in rows["climber"].unique():
        mark_published(axes, climber, published_end(study.tables, study.network, study.data_name))
    paper_lines(axes.axhline, study, published.TABLE_3)


def paper_lines(line: Callable[..., Any], study: StudyResults, table: dict[str, Any]) -> None:
    """Draw the paper's mean sharpness of both regimes as lines across, by a method of the axes that draws these."""
    for regime, look in REGIMES.items() if study.on_the_papers_data else ():
        line(table[study.network][regime, EPSILON].mean, color=look.ink, linestyle=PAPER_DASHES[regime], **PAPER_LINE)


def paper_handles() -> list[Line2D]:
    """Return the legend entries of the paper's values."""
    return [
        Line2D([], [], color=look.ink, linestyle=PAPER_DASHES[regime], **PAPER_LINE, label=f"paper, {look.label}")
        for regime, look in REGIMES.items()
    ]


def paper_remedy(network: str, regime: str) -> tuple[float | None, float | None]:
    """Return the paper's test accuracy and sharpness at the larger epsilon of a regime; ``None`` where it has none."""
    if regime in REGIMES:
        return published.TABLE_2[network]["test", regime].mean, published.TABLE_3[network][regime, EPSILON].mean
    augmented, conservative = published.TABLE_6.get(network, {}), published.TABLE_7.get(network, {})
    accuracy = (augmented | conservative).get(("test", regime))
    sharpness = conservative.get((regime, EPSILON))
    if regime == AUGMENTED[published.LARGE]:
        sharpness = augmented.get(("large_batch", EPSILON))
    return accuracy and accuracy.mean, sharpness and sharpness.mean
