"""Figures of the report on what the sharpness is: of the landscape or of the search, in a subspace, and with remedies.

The four readings of a sharpness are the published and the strong search, each with BatchNorm's batch and running
statistics. Horizontal lines are the paper's means.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import significant, span
from flatmin.figures.effort import CLIMBERS, climbers_of, draw_climbs, mark_published, start_handles
from flatmin.figures.groups import remedy_rows
from flatmin.figures.remedies import draw_remedies
from flatmin.figures.remedies import epsilon_handles as dot_handles
from flatmin.figures.searches import methods_of
from flatmin.figures.sharpness import OFFSETS, TICKS, draw_dots, limits, pair_rows, per_seed
from flatmin.figures.style import PAGE_WIDTH, REGIMES, blank, regimes_of
from flatmin.report import published
from flatmin.report.panels import (
    EPSILON,
    PAPER,
    cross,
    crosses,
    footer,
    full_space,
    grid,
    legend,
    missing,
    outer_label,
    pair_handles,
    preferred,
    reading_fact,
    title,
    with_rows,
)
from flatmin.report.studies import Study, main_studies
from flatmin.results import Tables

PAPER_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (1, 1.2)), "zorder": 0, "gid": PAPER}
SLOTS = tuple(product(("paper", "strong"), ("batch", "running")))


def landscape_or_optimiser(studies: Sequence[Study]) -> Figure | None:
    """Draw the readings of the full-space sharpness beside what each climber finds with effort, a row per network."""
    shown = with_rows(main_studies(studies), lambda tables: readings(tables, "full"))
    if not shown:
        return None
    climbs = [preferred(at_epsilon(study.tables.effort)) for study, _ in shown]
    every = pd.concat(climbs)
    climbers = climbers_of(every)
    figure = blank(PAGE_WIDTH, 0.7 + 1.3 * len(shown))
    widths = {"width_ratios": [1.9, *[1.0] * len(climbers)]}
    panels = figure.subplots(len(shown), len(widths["width_ratios"]), squeeze=False, sharey="row", gridspec_kw=widths)
    for line, (study, rows), found in zip(panels, shown, climbs, strict=True):
        draw_readings(line[0], study, rows, published.TABLE_3, named=study is shown[-1][0])
        line[0].set_ylabel("sharpness (%)")
        for axes, climber in zip(line[1:], climbers, strict=True):
            draw_effort(axes, study, found[found["climber"] == climber], every["evaluations"])
    for axes, climber in zip(panels[0, 1:], climbers, strict=True):
        axes.set_title(CLIMBERS.get(climber, climber))
    for column in panels[:, 1:].T:
        for axes in [axes for axes in column if axes.axison][-1:]:
            axes.set_xlabel("evaluations")
    legend(figure, [*pair_handles(), *start_handles(every), *paper_handles()])
    note = "Right: the highest sharpness found after so many evaluations of loss and gradient, batch statistics"
    dots = f"Full space, ε = {EPSILON:g}. Left: dot one seed, bar mean, × ratio of means, open: not converged"
    footer(
        figure,
        shown,
        dots,
        f"{note}, {span(every['examples'], 'example')}" if len(every) else "",
        tables=["sharpness", "effort"],
    )
    return figure


def remedies(studies: Sequence[Study]) -> Figure | None:
    """Draw accuracy and sharpness of every remedy beside the plain pair, a row per study."""
    shown = with_rows(studies, lambda tables: full_space(remedy_rows(tables)))
    if not shown:
        return None
    heights = [rows["regime"].nunique() for _, rows in shown]
    columns = 1 + max(len(methods_of(rows)) for _, rows in shown)
    figure = blank(PAGE_WIDTH, 0.4 + sum(0.55 + 0.17 * height for height in heights))
    shares = {"height_ratios": [0.8 + 0.17 * height for height in heights]}
    panels = figure.subplots(len(shown), columns, squeeze=False, sharey="row", gridspec_kw=shares)
    for line, (study, rows) in zip(panels, shown, strict=True):
        draw_remedies(line[: 1 + len(methods_of(rows))], rows)
        for place, regime in enumerate(regimes_of(rows)):
            accuracy, sharpness = paper_remedy(study.network, regime)
            for axes, value in zip(line, [accuracy, *[sharpness] * (len(line) - 1)], strict=True):
                crosses(axes, study, {value: place} if value is not None else {}, "black")
        line[0].set_title(title(study))
        for axes in line[1 + len(methods_of(rows)) :]:
            missing(axes)
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*dot_handles(every), cross("black", label=f"paper, sharpness at ε = {EPSILON:g}")])
    footer(figure, shown, f"{reading_fact(shown)}. Full space. Dot: one seed, bar: mean", tables=["sharpness"])
    return figure


def subspace(studies: Sequence[Study]) -> Figure | None:
    """Draw the readings of the sharpness in random subspaces, a panel per network."""
    shown = with_rows(main_studies(studies), lambda tables: readings(tables, "random"))
    if not shown:
        return None
    figure, panels = grid(len(shown), 2.0)
    for axes, (study, rows) in zip(panels, shown, strict=True):
        draw_readings(axes, study, rows, published.TABLE_4, named=True)
    outer_label(panels, "sharpness (%), log axis")
    legend(figure, [*pair_handles(), *paper_handles()])
    footer(
        figure,
        shown,
        f"Random subspace, ε = {EPSILON:g}. Dot: one seed, bar: mean, ×: ratio of means",
        tables=["sharpness"],
    )
    return figure


def at_epsilon(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the larger of the paper's epsilons, in the full space."""
    return rows[(rows["epsilon"] == EPSILON) & (rows["space"] == "full")]


def readings(tables: Tables, space: str) -> pd.DataFrame:
    """Return the sharpness of both minima by seed in every reading, at the larger of the paper's epsilons."""
    rows = pair_rows(tables)
    return per_seed(rows[(rows["space"] == space) & (rows["epsilon"] == EPSILON)])


def draw_readings(axes: Axes, study: Study, rows: pd.DataFrame, table: dict[str, Any], *, named: bool) -> None:
    """Draw the dots of the four readings, each in its place, with the paper's values as horizontal lines.

    Args:
        axes: Where to draw.
        study: Where the rows are from.
        rows: Sharpness by seed.
        table: The paper's values.
        named: Write the names of the readings below.
    """
    values = [table[study.network][regime, EPSILON].mean for regime in REGIMES] if study.on_the_papers_data else []
    axes.set(yscale="log", ylim=limits(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)])))
    for place, (method, batch_norm) in enumerate(SLOTS):
        found = rows[(rows["method"] == method) & (rows["batch_norm"] == batch_norm)]
        for regime, dots in found.groupby("regime"):
            draw_dots(axes, place + OFFSETS[str(regime)], dots, str(regime), size=3.6)
        means = found.groupby("regime")["sharpness"].mean().reindex(list(REGIMES))
        ratio = means["large_batch"] / means["small_batch"] if means["small_batch"] else float("nan")
        text = axes.text(place, 0.97, f"×{significant(ratio, 2)}" if ratio == ratio else "not run" * found.empty)
        text.set(transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=5.5 if found.empty else 6.5)
        text.set(fontweight="normal" if found.empty else "bold")
    axes.axvline(1.5, color="0.8", linewidth=0.7, zorder=0)
    names = [f"{TICKS[batch_norm]}\n{method}" for method, batch_norm in SLOTS] if named else [""] * len(SLOTS)
    axes.set_xticks(range(len(SLOTS)), names)
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.6, len(SLOTS) - 0.4), title=title(study))
    paper_lines(axes, study, table)


def draw_effort(axes: Axes, study: Study, rows: pd.DataFrame, evaluations: "pd.Series[float]") -> None:
    """Draw what one climber found, with the paper's values as horizontal lines; say where it was not run."""
    if rows.empty:
        missing(axes)
        return
    draw_climbs(axes, rows, evaluations.max())
    axes.set_xlim(1, evaluations.max())
    mark_published(axes, rows["climber"].iloc[0])
    paper_lines(axes, study, published.TABLE_3)


def paper_lines(axes: Axes, study: Study, table: dict[str, Any]) -> None:
    """Draw the paper's mean sharpness of both regimes as horizontal lines."""
    for regime, look in REGIMES.items() if study.on_the_papers_data else ():
        axes.axhline(table[study.network][regime, EPSILON].mean, color=look.ink, **PAPER_LINE)


def paper_handles() -> list[Line2D]:
    """Return the legend entries of the paper's values."""
    return [Line2D([], [], color=look.ink, **PAPER_LINE, label=f"paper, {look.label}") for look in REGIMES.values()]


def paper_remedy(network: str, regime: str) -> tuple[float | None, float | None]:
    """Return the paper's test accuracy and sharpness at the larger epsilon of a regime; ``None`` where it has none."""
    if regime in REGIMES:
        return published.TABLE_2[network]["test", regime].mean, published.TABLE_3[network][regime, EPSILON].mean
    augmented, conservative = published.TABLE_6.get(network, {}), published.TABLE_7.get(network, {})
    accuracy = (augmented | conservative).get(("test", regime))
    sharpness = conservative.get((regime, EPSILON))
    if regime == "large_batch_augmented":
        sharpness = augmented.get(("large_batch", EPSILON))
    return accuracy and accuracy.mean, sharpness and sharpness.mean
