"""The figures of the report: those of the paper with every network that was run, the paper's values beside ours.

One page-wide figure for each of Figs. 2 to 7 of Keskar et al. (2017), one for Table 4, one for the remedies, and one on
whether the sharpness is the landscape's or the optimiser's. Crosses are the paper's values, read off its figures or
printed in its tables; only panels of networks trained on the paper's data have them.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from flatmin.figures.along_training import draw_way, epsilon_handles, loss_to_the_right
from flatmin.figures.curves import curve_rows, draw_curves
from flatmin.figures.groups import on_the_way_rows, sweep_rows, warm_start_rows
from flatmin.figures.legends import split_handles
from flatmin.figures.paths import draw_path, path_handles
from flatmin.figures.render import image
from flatmin.figures.searches import methods_of
from flatmin.figures.style import ACCURACY_COLOR, REGIMES, SHARPNESS_COLOR, house_style
from flatmin.figures.sweep import draw_sweep, limits, size_axis, sweep_handles
from flatmin.figures.warm_start import draw_accuracy, draw_sharpness, iterates_of, warm_start_handles
from flatmin.report import published
from flatmin.report.panels import (
    COLUMNS,
    EPSILON,
    READ_OFF,
    cross,
    crosses,
    footer,
    full_space,
    grid,
    legend,
    outer_label,
    pair_handles,
    preferred,
    reading_fact,
    rows_of,
    title,
    with_rows,
)
from flatmin.report.sharpness_figures import landscape_or_optimiser, remedies, subspace
from flatmin.report.studies import Study, main_studies
from flatmin.results.atomic import write_files


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
    footer(figure, shown, "Line: mean over seeds, band: lowest to highest seed", tables=["curves"])
    return figure


def path_figure(studies: Sequence[Study], kind: str, points: dict[str, dict[float, float]]) -> Figure | None:
    """Draw loss and accuracy along a path between both minima, a panel per network, with the paper's training loss."""
    shown = with_rows(main_studies(studies), lambda tables: preferred(tables.lines[tables.lines["kind"] == kind]))
    if not shown:
        return None
    figure, panels = grid(len(shown), 1.75)
    for place, (axes, (study, rows)) in enumerate(zip(panels, shown, strict=True)):
        right = draw_path(axes, rows, named=False)
        axes.set(title=title(study), xlabel="α", ylabel="")
        crosses(axes, study, points[study.network], "black")
        if right is not None and (place + 1) % COLUMNS and place + 1 < len(shown):
            right.set(ylabel="")
            right.tick_params(labelright=False)
    outer_label(panels, "cross-entropy (nats)")
    longest = max((rows for _, rows in shown), key=lambda rows: rows["accuracy"].notna().sum())
    legend(figure, [*path_handles(longest), *pair_handles(marker=""), cross("black", label=f"{READ_OFF}: train loss")])
    note = f"{reading_fact(shown)}. α 0: small batch, 1: large batch. Thin: single seeds, thick: their median"
    high = any(axes.get_yscale() == "symlog" for axes in panels)
    high_note = "Loss axes that reach above 20 nats are logarithmic above 1" if high else ""
    footer(figure, shown, note, high_note, tables=["lines"])
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
        ends = limits(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)]))
        for axes, (method, name) in zip(line, methods_of(rows).items(), strict=False):
            right = draw_sweep(axes, rows[rows["method"] == method], ends)
            crosses(axes, study, {size: point[0] for size, point in points.items()}, ACCURACY_COLOR)
            for place in (1, 2):
                crosses(right, study, {size: point[place] for size, point in points.items()}, SHARPNESS_COLOR)
            size_axis(axes)
            axes.set_title(f"{title(study)}, {name}", pad=14)
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*sweep_handles(every), cross("0.2", label=READ_OFF)])
    footer(
        figure,
        shown,
        f"{reading_fact(shown)}. Full space. Line: mean over seeds, band: lowest to highest seed",
        tables=["sharpness"],
    )
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
        first.set(title=title(study), xlabel="epoch of the iterate", ylabel="test accuracy (%)")
        for axes, (method, name) in zip(others, methods_of(rows).items(), strict=False):
            draw_sharpness(axes, rows[rows["method"] == method])
            crosses(axes, study, {epoch + 1: point[2] for epoch, point in points.items()}, "black")
            axes.set(title=name, ylabel="sharpness (%)")
    study, rows = shown[0]
    marks = cross("0.2", label=f"{READ_OFF}, ε = {EPSILON:g}")
    legend(figure, [*warm_start_handles(study.tables, pd.concat([rows for _, rows in shown])), marks], columns=3)
    footer(
        figure,
        shown,
        f"{reading_fact(shown)}. Full space. Epoch 0: large batch from the start of the seed",
        tables=["sharpness"],
    )
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
    footer(
        figure,
        shown,
        f"{reading_fact(shown)}. Full space. A point is the network after an epoch, a line one seed",
        tables=["sharpness"],
    )
    return figure


DRAWS: dict[str, Callable[[Sequence[Study]], Figure | None]] = {
    "fig2": figure_2,
    "fig3": lambda studies: path_figure(studies, "linear", published.FIGURE_3),
    "fig7": lambda studies: path_figure(studies, "curved", published.FIGURE_7),
    "fig4": figure_4,
    "fig5": figure_5,
    "fig6": figure_6,
    "landscape_or_optimiser": landscape_or_optimiser,
    "subspace": subspace,
    "remedies": remedies,
}
