"""The figures of the report: those of the paper with every network that was run, the paper's values beside ours.

One page-wide figure for each of Figs. 2 to 7 of Keskar et al. (2017), one for Table 4, one for the remedies, and one on
whether the sharpness is the landscape's or the optimiser's. Crosses are the paper's values, read off its figures or
printed in its tables; only panels of networks trained on the paper's data have them.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from flatmin.figures.along_training import draw_way, epsilon_handles, loss_to_the_right
from flatmin.figures.captions import BATCH_NORM_NAMES, write_footer
from flatmin.figures.curves import curve_rows, draw_curves
from flatmin.figures.effort import CLIMBERS, climbers_of, draw_climbs, mark_published, start_handles
from flatmin.figures.groups import on_the_way_rows, sweep_rows, warm_start_rows
from flatmin.figures.legends import split_handles
from flatmin.figures.paths import draw_path, path_handles
from flatmin.figures.render import image
from flatmin.figures.searches import methods_of
from flatmin.figures.sharpness import draw_panel, limits, pair_rows, per_seed
from flatmin.figures.style import (
    ACCURACY_COLOR,
    COLUMN_WIDTH,
    PAGE_WIDTH,
    REGIMES,
    SHARPNESS_COLOR,
    blank,
    house_style,
)
from flatmin.figures.sweep import draw_sweep, sweep_handles
from flatmin.figures.sweep import limits as sweep_limits
from flatmin.figures.warm_start import draw_accuracy, draw_sharpness, iterates_of, warm_start_handles
from flatmin.report import published
from flatmin.report.studies import Study, main_studies
from flatmin.results import Tables
from flatmin.results.atomic import write_files

Shown = list[tuple[Study, pd.DataFrame]]

COLUMNS = 3
EPSILON = published.EPSILONS[0]
CROSS: dict[str, Any] = {"linestyle": "", "marker": "x", "markersize": 4, "markeredgewidth": 1.1, "zorder": 5}
READ_OFF = "Keskar et al., read off"
DRAWS: dict[str, Callable[[Sequence[Study]], Figure | None]] = {}


def report_figures(studies: Iterable[Study], out: Path | str) -> list[Path]:
    """Write the figures of the report that the studies support, as PDF and PNG.

    Args:
        studies: The studies.
        out: Folder to write to; made if absent.

    Returns:
        The files written; none where no study has the rows.

    Raises:
        ResultsError: If the folder cannot be written.
    """
    out, found = Path(out), list(studies)
    written: list[Path] = []
    for name, draw in DRAWS.items():
        with house_style():
            figure = draw(found)
        if figure is not None:
            files = {f"{name}.{kind}": image(figure, kind) for kind in ("pdf", "png")}
            write_files(out, files)
            written += [out / file for file in files]
    return written


def figure_2(studies: Sequence[Study]) -> Figure | None:
    """Draw accuracy against epochs, a panel per network."""
    shown = with_rows(main_studies(studies), lambda tables: curve_rows(tables, variations=False))
    if not shown:
        return None
    figure, panels = grid(len(shown), 1.75)
    for axes, (study, rows) in zip(panels, shown, strict=True):
        draw_curves(axes, rows.assign(accuracy=100 * rows["accuracy"]), "accuracy")
        for (regime, look), (split, marker) in product(REGIMES.items(), (("train", "x"), ("test", "+"))):
            crosses(axes, study, published.FIGURE_2.get((study.network, regime, split), {}), look.ink, marker=marker)
        axes.set(title=title(study), xlabel="epoch", xlim=(0, None))
    outer_label(panels, "accuracy (%)")
    marks = [cross("0.2", label=f"{READ_OFF}: train"), cross("0.2", label="test", marker="+")]
    legend(figure, [*pair_handles(), *split_handles(["train", "test"]), *marks])
    footer(figure, shown, "Line: mean over seeds, band: lowest to highest seed")
    return figure


def path_figure(studies: Sequence[Study], kind: str, points: dict[str, dict[float, float]]) -> Figure | None:
    """Draw loss and accuracy along a path between both minima, a panel per network, with the paper's training loss."""
    shown = with_rows(main_studies(studies), lambda tables: preferred(tables.lines[tables.lines["kind"] == kind]))
    if not shown:
        return None
    figure, panels = grid(len(shown), 1.75)
    for place, (axes, (study, rows)) in enumerate(zip(panels, shown, strict=True)):
        right = draw_path(axes, rows, named=False)
        axes.set(title=title(study), xlabel="α")
        crosses(axes, study, points[study.network], "black")
        if right is not None and not last_of_row(place, len(shown)):
            right.set(ylabel="")
            right.tick_params(labelright=False)
    for place, axes in enumerate(panels):
        axes.set_ylabel(axes.get_ylabel() if place % COLUMNS == 0 else "")
    longest = max((rows for _, rows in shown), key=lambda rows: rows["accuracy"].notna().sum())
    legend(figure, [*path_handles(longest), *pair_handles(marker=""), cross("black", label=f"{READ_OFF}: train loss")])
    note = f"{reading_fact(shown)}. α 0: small batch, 1: large batch. Thin: single seeds, thick: their median"
    footer(figure, shown, note)
    return figure


def figure_4(studies: Sequence[Study]) -> Figure | None:
    """Draw accuracy and sharpness against the batch size, a row per study, a column per search."""
    shown = with_rows(studies, lambda tables: full_space(sweep_rows(tables)))
    if not shown:
        return None
    figure, panels = rows_of(shown, height=2.1)
    for line, (study, rows) in zip(panels, shown, strict=True):
        points = published.FIGURE_4.get(study.network, {}) if study.on_the_papers_data else {}
        values = [value for point in points.values() for value in point[1:]]
        ends = sweep_limits(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)]))
        for axes, (method, name) in zip(line, methods_of(rows).items(), strict=False):
            right = draw_sweep(axes, rows[rows["method"] == method], ends)
            crosses(axes, study, {size: point[0] for size, point in points.items()}, ACCURACY_COLOR)
            for place in (1, 2):
                crosses(right, study, {size: point[place] for size, point in points.items()}, SHARPNESS_COLOR)
            axes.set_title(f"{title(study)}, {name}", pad=14)
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*sweep_handles(every), cross("0.2", label=READ_OFF)])
    footer(figure, shown, f"{reading_fact(shown)}. Full space. Line: mean over seeds, band: lowest to highest seed")
    return figure


def figure_5(studies: Sequence[Study]) -> Figure | None:
    """Draw warm starts: accuracies, then the sharpness of each search, a row per study."""
    shown = with_rows(studies, lambda tables: full_space(warm_start_rows(tables)))
    if not shown:
        return None
    figure, panels = rows_of(shown, height=1.9, before=1)
    for (first, *others), (study, rows) in zip(panels, shown, strict=True):
        points = published.FIGURE_5.get(study.network, {})
        draw_accuracy(first, rows, iterates_of(study.tables, rows))
        for place, look in enumerate(REGIMES.values()):
            crosses(first, study, {epoch + 1: point[place] for epoch, point in points.items()}, look.ink)
        first.set(title=f"{title(study)}, test accuracy (%)", xlabel="epoch of the iterate")
        for axes, (method, name) in zip(others, methods_of(rows).items(), strict=False):
            draw_sharpness(axes, rows[rows["method"] == method])
            crosses(axes, study, {epoch + 1: point[2] for epoch, point in points.items()}, "black")
            axes.set_title(f"sharpness (%), {name}")
    study, rows = shown[0]
    marks = cross("0.2", label=f"{READ_OFF}, ε = {EPSILON:g}")
    legend(figure, [*warm_start_handles(study.tables, pd.concat([rows for _, rows in shown])), marks])
    footer(figure, shown, f"{reading_fact(shown)}. Full space. Epoch 0: large batch from the start of the seed")
    return figure


def figure_6(studies: Sequence[Study]) -> Figure | None:
    """Draw the sharpness along the training against the training loss, a row per study, a column per search."""
    shown = with_rows(studies, lambda tables: full_space(on_the_way_rows(tables)))
    if not shown:
        return None
    figure, panels = rows_of(shown, height=2.1)
    for line, (study, rows) in zip(panels, shown, strict=True):
        for axes, (method, name) in zip(line, methods_of(rows).items(), strict=False):
            draw_way(axes, rows[rows["method"] == method])
            for regime, look in REGIMES.items():
                crosses(axes, study, dict(published.FIGURE_6.get((study.network, regime), ())), look.ink)
            loss_to_the_right(axes, rows)
            axes.set_title(f"{title(study)}, {name}")
        line[0].set_ylabel("sharpness (%), log axis")
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*pair_handles(), *epsilon_handles(every), cross("0.2", label=f"{READ_OFF}, ε = {EPSILON:g}")])
    footer(figure, shown, f"{reading_fact(shown)}. Full space. A point is the network after an epoch, a line one seed")
    return figure


def landscape_or_optimiser(studies: Sequence[Study]) -> Figure | None:
    """Draw the readings of the full-space sharpness beside what each climber finds with effort, a row per network."""
    shown = with_rows(main_studies(studies), lambda tables: readings(tables, "full"))
    if not shown:
        return None
    climbs = [preferred(at_epsilon(study.tables.effort)) for study, _ in shown]
    climbers = climbers_of(pd.concat(climbs))
    figure = blank(PAGE_WIDTH, 0.5 + 1.55 * len(shown))
    widths = [1.9 if climbers else 1.0, *[1.0] * len(climbers)]
    panels = figure.subplots(
        len(shown), len(widths), squeeze=False, sharey="row", sharex="col", gridspec_kw={"width_ratios": widths}
    )
    for line, (study, rows), found in zip(panels, shown, climbs, strict=True):
        draw_readings(line[0], study, rows, published.TABLE_3)
        line[0].set_ylabel("sharpness (%), log axis")
        for axes, climber in zip(line[1:], climbers, strict=True):
            chosen = found[found["climber"] == climber]
            draw_climbs(axes, chosen, found["evaluations"].max()) if len(chosen) else missing(axes)
            mark_published(axes, climber)
            paper_lines(axes, study, published.TABLE_3)
    for axes, climber in zip(panels[0, 1:], climbers, strict=True):
        axes.set_title(CLIMBERS.get(climber, climber))
    for axes in panels[-1, 1:]:
        axes.set_xlabel("evaluations")
    legend(figure, [*pair_handles(), *start_handles(pd.concat(climbs)), *paper_handles()])
    note = "Right: the highest sharpness found after so many evaluations of loss and gradient, batch statistics"
    footer(figure, shown, f"Full space, ε = {EPSILON:g}. Left: dot one seed, bar mean, × ratio of means", note)
    return figure


def subspace(studies: Sequence[Study]) -> Figure | None:
    """Draw the readings of the sharpness in random subspaces, a panel per network."""
    shown = with_rows(main_studies(studies), lambda tables: readings(tables, "random"))
    if not shown:
        return None
    figure, panels = grid(len(shown), 2.0)
    for axes, (study, rows) in zip(panels, shown, strict=True):
        draw_readings(axes, study, rows, published.TABLE_4)
    outer_label(panels, "sharpness (%), log axis")
    legend(figure, [*pair_handles(), *paper_handles()])
    footer(figure, shown, f"Random subspace, ε = {EPSILON:g}. Dot: one seed, bar: mean, ×: ratio of means")
    return figure


DRAWS |= {
    "fig2": figure_2,
    "fig3": lambda studies: path_figure(studies, "linear", published.FIGURE_3),
    "fig7": lambda studies: path_figure(studies, "curved", published.FIGURE_7),
    "fig4": figure_4,
    "fig5": figure_5,
    "fig6": figure_6,
    "landscape_or_optimiser": landscape_or_optimiser,
    "subspace": subspace,
}


def with_rows(studies: Iterable[Study], rows: Callable[[Tables], pd.DataFrame]) -> Shown:
    """Return the studies that have rows of a kind, with these."""
    found = [(study, rows(study.tables)) for study in studies]
    return [(study, kept) for study, kept in found if len(kept)]


def preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with batch statistics, as in the authors' code; else those of the first reading there is."""
    readings = list(rows["batch_norm"].unique())
    return rows[rows["batch_norm"] == ("batch" if "batch" in readings else (readings or [""])[0])]


def full_space(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the searches in the full space with the preferred reading of BatchNorm."""
    return preferred(rows[rows["space"] == "full"])


def at_epsilon(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the larger of the paper's epsilons, in the full space."""
    return rows[(rows["epsilon"] == EPSILON) & (rows["space"] == "full")]


def readings(tables: Tables, space: str) -> pd.DataFrame:
    """Return the sharpness of both minima by seed in every reading, at the larger of the paper's epsilons."""
    rows = pair_rows(tables)
    return per_seed(rows[(rows["space"] == space) & (rows["epsilon"] == EPSILON)])


def draw_readings(axes: Axes, study: Study, rows: pd.DataFrame, table: dict[str, Any]) -> None:
    """Draw the dots of every reading, with the paper's values as horizontal lines."""
    values = [table[study.network][regime, EPSILON].mean for regime in REGIMES] if study.on_the_papers_data else []
    axes.set(yscale="log", ylim=limits(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)])))
    draw_panel(axes, rows)
    axes.set_title(title(study))
    paper_lines(axes, study, table)


def paper_lines(axes: Axes, study: Study, table: dict[str, Any]) -> None:
    """Draw the paper's mean sharpness of both regimes as horizontal lines."""
    for regime, look in REGIMES.items() if study.on_the_papers_data else ():
        axes.axhline(table[study.network][regime, EPSILON].mean, color=look.ink, **PAPER_LINE)


PAPER_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (1, 1.2)), "zorder": 0}


def paper_handles() -> list[Line2D]:
    """Return the legend entries of the paper's values."""
    return [
        Line2D([], [], color=look.ink, **PAPER_LINE, label=f"Keskar et al., {look.label}") for look in REGIMES.values()
    ]


def crosses(axes: Axes, study: Study, points: dict[Any, float], color: str, **look: Any) -> None:
    """Draw the paper's values where the study is on the paper's data."""
    if points and study.on_the_papers_data:
        axes.plot(list(points), list(points.values()), color=color, **CROSS | look)


def cross(color: str, **look: Any) -> Line2D:
    """Return the legend entry of the paper's values."""
    return Line2D([], [], color=color, **CROSS | look)


def pair_handles(**look: Any) -> list[Line2D]:
    """Return the legend entries of the small and the large batch."""
    return [
        Line2D([], [], label=way.label, **{"color": way.color, "marker": way.marker, "markersize": 4} | look)
        for way in REGIMES.values()
    ]


def grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels in rows of three, each so many inches high."""
    columns = min(count, COLUMNS)
    lines = -(-count // COLUMNS)
    figure = blank(PAGE_WIDTH if count > 1 else COLUMN_WIDTH, 0.4 + (height if count > 1 else 2.6) * lines)
    panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def rows_of(shown: Shown, *, height: float, before: int = 0) -> tuple[Figure, Any]:
    """Return a figure with a row per study and a column per search, after so many further columns."""
    columns = before + max(len(methods_of(rows)) for _, rows in shown)
    figure = blank(PAGE_WIDTH if columns > 1 else COLUMN_WIDTH, 0.5 + height * len(shown))
    panels = figure.subplots(len(shown), columns, squeeze=False)
    for line, (_, rows) in zip(panels, shown, strict=True):
        for axes in line[before + len(methods_of(rows)) :]:
            missing(axes)
    return figure, panels


def missing(axes: Axes) -> None:
    """Say in a panel that its search was not run."""
    axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color="0.5")


def last_of_row(place: int, count: int) -> bool:
    """Return whether a panel of `grid` is the last of its row."""
    return place % COLUMNS == COLUMNS - 1 or place == count - 1


def outer_label(panels: list[Axes], text: str) -> None:
    """Label the vertical axis of the first panel in each row."""
    for axes in panels[::COLUMNS]:
        axes.set_ylabel(text)


def legend(figure: Figure, handles: Sequence[Artist]) -> Legend:
    """Write the legend above the panels."""
    return figure.legend(handles=handles, loc="outside upper left", ncols=4, columnspacing=1.4)


def title(study: Study) -> str:
    """Return the network with its variant and data."""
    return f"{study.network}{f' ({study.variant})' if study.variant else ''}, {study.data}"


def reading_fact(shown: Shown) -> str:
    """Return the readings of BatchNorm in the panels."""
    names = dict.fromkeys(name for _, rows in shown for name in rows["batch_norm"].unique())
    return f"BatchNorm: {', '.join(BATCH_NORM_NAMES.get(name, name) for name in names)}"


def footer(figure: Figure, shown: Shown, *notes: str) -> None:
    """Write what the figure rests on: the studies with data, epochs and seeds, the notes, and what was reduced."""
    sentences: dict[str, list[str]] = {}
    for study, _ in shown:
        for sentence in study.reduced:
            sentences.setdefault(sentence, []).append(study.name)
    reduced = [f"{', '.join(names)}: {sentence}" for sentence, names in sentences.items()]
    write_footer(figure, ["; ".join(study.label for study, _ in shown), *notes, *reduced])
