"""The figures of the report: those of the paper with every network that was run, the paper's values beside ours.

One page-wide figure for each of Figs. 2 to 7 of Keskar et al. (2017), one for Table 4, one for the remedies, and two on
whether the sharpness is the landscape's or the optimiser's. Crosses are the paper's values, read off its figures or
printed in its tables; only panels of networks trained on the paper's data have them, and legend and footer name them
only where they are drawn.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flatmin.core.atomic import write_files
from flatmin.figures.along_training import draw_way, epsilon_handles, loss_to_the_right
from flatmin.figures.bands import band_note
from flatmin.figures.curves import curve_rows, draw_curves, epoch_axis, reading_handles, with_errors
from flatmin.figures.curves import zeros_note as zero_errors
from flatmin.figures.legends import split_handles
from flatmin.figures.paths import MEDIAN, draw_path, path_handles
from flatmin.figures.render import image
from flatmin.figures.style import ACCURACY_COLOR, REGIMES, house_style
from flatmin.figures.sweep import draw_sweep, size_axis, sweep_handles, sweep_limits
from flatmin.figures.warm_start import (
    below_note,
    cold_note,
    draw_accuracy,
    draw_sharpness,
    iterates_of,
    warm_start_handles,
    zeros_note,
)
from flatmin.report import published
from flatmin.report.panels import (
    EPSILON,
    PANELS_ACROSS,
    READ_OFF,
    columns_of,
    cross,
    crosses,
    full_space,
    grid,
    hold_crosses,
    legend,
    mark_lines,
    outer_label,
    pair_handles,
    panels_footer,
    preferred,
    reading_fact,
    rows_of,
    title,
    with_rows,
)
from flatmin.report.sharpness_figures import landscape_or_optimiser, remedies, search_effort, subspace
from flatmin.report.studies import StudyResults, main_studies
from flatmin.results.groups import averages_note, on_the_way_rows, sweep_minima, sweep_rows, warm_start_rows
from flatmin.results.searches import methods_of


def report_figures(studies: Iterable[StudyResults], out: Path | str) -> list[Path]:
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


def figures_markdown(files: Iterable[Path]) -> list[str]:
    """The figures that were written, in the order of `CAPTIONS`, each below what it shows; the footers say the rest."""
    there = {file.stem for file in files}
    return [f"{caption}\n\n![{name}]({name}.png)\n" for name, caption in CAPTIONS.items() if name in there]


def figure_2(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw the error against epochs on a logarithmic axis, a panel per network."""
    shown = with_rows(main_studies(studies), lambda tables: with_errors(curve_rows(tables, variations=False)))
    if not shown:
        return None
    figure, panels = grid(len(shown), 1.75)
    for axes, (study, rows) in zip(panels, shown, strict=True):
        draw_curves(axes, rows, "error")
        for (regime, look), (split, marker) in product(REGIMES.items(), (("train", "x"), ("test", "+"))):
            points = published.FIGURE_2.get((study.network, regime, split), {})
            errors = {epoch: 100 - accuracy for epoch, accuracy in points.items()}
            crosses(axes, study, errors, look.ink, marker=marker)
        epoch_axis(axes, rows)
        axes.set(title=title(study, shown))
        hold_crosses(axes)
    outer_label(panels, "error (%), log axis")
    marks = [cross("0.2", label=f"{READ_OFF}: train"), cross("0.2", label="test", marker="+")]
    every = pd.concat([rows for _, rows in shown])
    handles = [*pair_handles(), *split_handles(["train", "test"]), *reading_handles(every), *marks]
    legend(figure, handles)
    keys = ["network", "data", "regime", "split", "epoch"]
    notes = ["BatchNorm: batch statistics", band_note(every, *keys), zero_errors(every, "error")]
    gaps = [study.name for study, rows in shown if rows["accuracy"].isna().any()]
    notes += [f"Thin lines alone: with batch statistics not recorded ({', '.join(gaps)})"] if gaps else []
    panels_footer(figure, shown, *notes, tables=["curves"])
    return figure


def path_figure(studies: Sequence[StudyResults], kind: str, points: dict[str, dict[float, float]]) -> Figure | None:
    """Draw loss and accuracy along a path between both minima, a panel per network, with the paper's training loss."""
    shown = with_rows(main_studies(studies), lambda tables: preferred(tables.lines[tables.lines["kind"] == kind]))
    if not shown:
        return None
    figure, panels = grid(len(shown), 1.75)
    for place, (axes, (study, rows)) in enumerate(zip(panels, shown, strict=True)):
        right = draw_path(axes, rows, named=False)
        axes.set(title=title(study, shown), xlabel="α", ylabel="")
        crosses(axes, study, points[study.network], "black")
        hold_crosses(axes)
        if right is not None and (place + 1) % PANELS_ACROSS and place + 1 < len(shown):
            right.set(ylabel="")
            right.tick_params(labelright=False)
    outer_label(panels, "cross-entropy (nats)")
    longest = max((rows for _, rows in shown), key=lambda rows: rows["accuracy"].notna().sum())
    legend(figure, [*path_handles(longest), *mark_lines(), cross("black", label=f"{READ_OFF}: train loss")])
    note = f"{reading_fact(shown)}. α 0: small batch, 1: large batch. {MEDIAN} over the seeds of each panel"
    high = any(axes.get_yscale() == "symlog" for axes in panels)
    high_note = "Loss axes that reach above 20 nats are logarithmic above 1" if high else ""
    panels_footer(figure, shown, note, high_note, tables=["lines"])
    return figure


def figure_4(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw accuracy and below it sharpness against the batch size, a column per study."""
    shown = with_rows(studies, lambda tables: full_space(sweep_rows(tables)))
    if not shown:
        return None
    figure, pairs = columns_of(shown, height=3.6)
    for (top, bottom), (study, rows) in zip(pairs, shown, strict=True):
        points = published.FIGURE_4.get(study.network, {}) if study.on_the_papers_data else {}
        values = [value for point in points.values() for value in point[1:]]
        draw_sweep(top, bottom, rows, sweep_minima(study.tables))
        crosses(top, study, {size: point[0] for size, point in points.items()}, ACCURACY_COLOR)
        for place in (1, 2):
            crosses(bottom, study, {size: point[place] for size, point in points.items()}, "black")
        size_axis(bottom, narrow=len(shown) > 2)
        top.set_title(title(study, shown))
        bottom.set_xlabel("batch size, log axis")
        bottom.set_ylim(sweep_limits(pd.concat([rows["sharpness"], pd.Series(values, dtype=float)])))
    outer_label([top for top, _ in pairs], "test accuracy (%)")
    outer_label([bottom for _, bottom in pairs], "sharpness (%), log axis")
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*sweep_handles(every), *mark_lines(), cross("0.2", label=READ_OFF)])
    band = band_note(every, "network", "data", "series", "batch_size")
    averages = averages_note(*(study.tables for study, _ in shown))
    panels_footer(figure, shown, f"{reading_fact(shown)}. Full space", band, averages, tables=["sharpness"])
    return figure


def figure_5(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw warm starts: accuracies, then the sharpness of each search, a row per study."""
    shown = with_rows(studies, lambda tables: full_space(warm_start_rows(tables)))
    if not shown:
        return None
    figure, panels = rows_of(shown, height=1.9, before=1)
    below: dict[str, str] = {}
    for (first, *others), (study, rows) in zip(panels, shown, strict=True):
        points = published.FIGURE_5.get(study.network, {})
        iterates = iterates_of(study.tables, rows)
        draw_accuracy(first, rows, iterates)
        for place, look in enumerate(REGIMES.values()):
            crosses(first, study, {epoch + 1: point[place] for epoch, point in points.items()}, look.ink)
        hold_crosses(first)
        below[study.name] = below_note(first, iterates)
        first.set(title=title(study, shown), xlabel="epoch of the iterate", ylabel="test accuracy (%)")
        for axes, (method, name) in zip(others, methods_of(rows).items(), strict=False):
            draw_sharpness(axes, rows[rows["method"] == method])
            crosses(axes, study, {epoch + 1: point[2] for epoch, point in points.items()}, "black")
            axes.set(title=name, ylabel="sharpness (%), log axis")
    study = shown[0][0]
    every = pd.concat([rows for _, rows in shown])
    marks = cross("0.2", label=f"{READ_OFF}, ε = {EPSILON:g}")
    legend(figure, [*warm_start_handles(study.tables, every), marks])
    notes = [band_note(every, "network", "data", "series", "start_epoch"), cold_note(every), zeros_note(every)]
    notes += [f"{name}: {note}" for name, note in below.items() if note]
    notes += [averages_note(*(study.tables for study, _ in shown))]
    panels_footer(figure, shown, f"{reading_fact(shown)}. Full space", *notes, tables=["sharpness"])
    return figure


def of_the_papers_boxes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the searches at the paper's two epsilons: more lines than these cannot be told apart."""
    found: pd.DataFrame = rows[np.isclose(rows["epsilon"].to_numpy()[:, None], published.EPSILONS).any(axis=1)]
    return found


def figure_6(studies: Sequence[StudyResults]) -> Figure | None:
    """Draw the sharpness along the training against the training loss, a row per study, a column per search."""
    shown = with_rows(studies, lambda tables: of_the_papers_boxes(full_space(on_the_way_rows(tables))))
    if not shown:
        return None
    figure, panels = rows_of(shown, height=2.1)
    for line, (study, rows) in zip(panels, shown, strict=True):
        for axes, (method, name) in zip(line, methods_of(rows).items(), strict=False):
            draw_way(axes, rows[rows["method"] == method])
            for regime, look in REGIMES.items():
                crosses(axes, study, dict(published.FIGURE_6.get((study.network, regime), ())), look.ink)
            loss_to_the_right(axes, rows)
            axes.set_title(f"{title(study, shown)}, {name}")
        line[0].set_ylabel("sharpness (%), log axis")
    every = pd.concat([rows for _, rows in shown])
    legend(figure, [*pair_handles(), *epsilon_handles(every), cross("0.2", label=f"{READ_OFF}, ε = {EPSILON:g}")])
    note = f"{reading_fact(shown)}. Full space. A point is the network after an epoch, a line one seed"
    panels_footer(figure, shown, note, tables=["sharpness"])
    return figure


DRAWS: dict[str, Callable[[Sequence[StudyResults]], Figure | None]] = {
    "fig2": figure_2,
    "fig3": lambda studies: path_figure(studies, "linear", published.FIGURE_3),
    "fig7": lambda studies: path_figure(studies, "curved", published.FIGURE_7),
    "fig4": figure_4,
    "fig5": figure_5,
    "fig6": figure_6,
    "landscape_or_optimiser": landscape_or_optimiser,
    "search_effort": search_effort,
    "subspace": subspace,
    "remedies": remedies,
}
CAPTIONS = {
    "landscape_or_optimiser": "Table 3 of the paper: sharpness in the full space in the readings that were run.",
    "search_effort": "The highest sharpness found against the evaluations spent, for each climber and start.",
    "subspace": "Table 4 of the paper: sharpness in random subspaces in the readings that were run.",
    "fig2": "Figure 2 of the paper, as errors: error against epochs.",
    "fig3": "Figure 3 of the paper: loss and accuracy on the straight line between the minima.",
    "fig4": "Figure 4 of the paper: test accuracy and sharpness against batch size.",
    "fig5": "Figure 5 of the paper: large batches from the iterates of small-batch training.",
    "fig6": "Figure 6 of the paper: sharpness against training loss along training.",
    "fig7": "Figure 7 of the paper: loss and accuracy on the curved path between the minima.",
    "remedies": "Tables 6 and 7 of the paper: test accuracy and sharpness with each remedy.",
}
