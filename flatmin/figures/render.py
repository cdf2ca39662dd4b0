"""Every figure and table that an experiment's tables support, written to a folder."""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
from matplotlib.figure import Figure

from flatmin.core.atomic import write_files
from flatmin.core.errors import ResultsError
from flatmin.figures.along_training import along_training
from flatmin.figures.curves import curve_rows, training_curves, variation_curves
from flatmin.figures.distributions import distribution_rows, distributions
from flatmin.figures.effort import effort
from flatmin.figures.eigenvectors import eigenvectors
from flatmin.figures.interactive import available
from flatmin.figures.measured import measured
from flatmin.figures.paths import path, random_line
from flatmin.figures.remedies import remedies
from flatmin.figures.sharpness import sharpness_figure
from flatmin.figures.slices import random_plane, three_point_plane
from flatmin.figures.style import house_style
from flatmin.figures.surfaces import interactive_random_surface, random_surface
from flatmin.figures.sweep import sweep
from flatmin.figures.warm_start import warm_start
from flatmin.results import Tables, of_minima, ratios, summary, to_latex
from flatmin.results.formats import to_csv
from flatmin.results.groups import on_the_way_rows, remedy_rows, sweep_rows, warm_start_rows
from flatmin.results.measured import by_rule
from flatmin.results.searches import pair_rows
from flatmin.results.summary_text import latex_frame, summary_table

CAPTION = (
    "Accuracy and sharpness (search, reading of BatchNorm): mean and sample standard deviation over "
    "seeds; ratio of the means, large over small batch, with the range over single seeds."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """Figures of one kind: where their numbers are and what tells one figure from the next.

    Attributes:
        name: First part of the file names.
        table: The table that holds the numbers.
        rows: The rows that the family draws.
        draw: Draws one figure of ``tables``; takes network, data and the columns of ``by`` as keywords.
        by: Columns beyond network and data with one figure per value.
        page: Makes the same as a page of HTML, where plotly is installed.
    """

    name: str
    table: str
    rows: Callable[[Tables], pd.DataFrame]
    draw: Callable[..., Figure]
    by: tuple[str, ...] = ()
    page: Callable[..., bytes] | None = None


def rows_of_kind(table: str, kind: str) -> Callable[[Tables], pd.DataFrame]:
    """Return what picks the rows of one kind from a table."""
    return lambda tables: tables.frames[table][tables.frames[table]["kind"] == kind]


def minima_rows(tables: Tables, name: str) -> pd.DataFrame:
    """Return what a measure says of minima."""
    return of_minima(tables.frames[name])


PLANE = ("batch_norm", "seed", "split")
SEARCH_KEYS = ("space", "batch_norm")
FAMILIES = (
    Family("training_curves", "curves", partial(curve_rows, variations=False), training_curves),
    Family("variation_curves", "curves", partial(curve_rows, variations=True), variation_curves),
    Family(
        "variation_losses", "curves", partial(curve_rows, variations=True), partial(variation_curves, quantity="loss")
    ),
    Family("path_linear", "lines", rows_of_kind("lines", "linear"), partial(path, kind="linear"), ("batch_norm",)),
    Family("path_curved", "lines", rows_of_kind("lines", "curved"), partial(path, kind="curved"), ("batch_norm",)),
    Family("random_line", "lines", rows_of_kind("lines", "random"), random_line, ("batch_norm",)),
    Family("random_plane", "planes", rows_of_kind("planes", "random"), random_plane, PLANE),
    Family(
        "random_surface",
        "planes",
        rows_of_kind("planes", "random"),
        random_surface,
        PLANE,
        page=interactive_random_surface,
    ),
    Family("three_point_plane", "planes", rows_of_kind("planes", "three_points"), three_point_plane, PLANE),
    Family("sharpness", "sharpness", pair_rows, sharpness_figure),
    Family("distributions", "sharpness", distribution_rows, distributions),
    Family("batch_sizes", "sharpness", sweep_rows, sweep, ("series", *SEARCH_KEYS)),
    Family("warm_start", "sharpness", warm_start_rows, warm_start, ("series", *SEARCH_KEYS)),
    Family("along_training", "sharpness", on_the_way_rows, along_training, SEARCH_KEYS),
    Family("remedies", "sharpness", remedy_rows, remedies, SEARCH_KEYS),
    Family("effort", "effort", lambda tables: tables.effort, effort, ("space", "epsilon")),
    Family(
        "explained_eigenvectors",
        "explained",
        partial(minima_rows, name="explained"),
        eigenvectors,
        ("batch_norm", "epsilon"),
    ),
    *(
        Family(
            measure.name,
            measure.name,
            partial(minima_rows, name=measure.name),
            partial(measured, measure=measure),
            ("batch_norm",),
        )
        for measure in by_rule()
    ),
)


def render(tables: Tables, out: Path | str) -> list[Path]:
    """Write every figure the tables support as PDF, PNG and CSV, and the summary as CSV and LaTeX.

    Surfaces are pages of HTML too where plotly is installed. A figure's files appear together or not at all. What
    cannot be drawn is skipped with a logged reason.

    Args:
        tables: The results of one experiment.
        out: Folder to write to; made if absent.

    Returns:
        The files written.

    Raises:
        ResultsError: If the tables support no figure and no summary, or the folder cannot be written.
    """
    out = Path(out)
    figure_written: list[Path] = []
    for files in contents(tables):
        write_files(out, files)
        figure_written += [out / name for name in files]
    if not figure_written:
        raise ResultsError("there is nothing to draw: every table is empty; run the experiment first.")
    return figure_written


def contents(tables: Tables) -> Iterator[dict[str, bytes]]:
    """Yield the files of one figure after the other, then those of the summary."""
    for family in FAMILIES:
        groups = list(figures_of(family, tables))
        if not groups:
            logger.info("skipped %s: the table `%s` has no such rows.", family.name, family.table)
        for keys, rows in groups:
            name = file_name(family.name, keys)
            try:
                figure = family.draw(tables, **keys)
            except ResultsError as error:
                logger.warning("skipped %s: %s", name, error)
                continue
            page = {f"{name}.html": family.page(tables, **keys)} if family.page and available() else {}
            yield page | files_of(name, figure, rows)
    yield from summary_files(tables)


def figure_written(out: Path, name: str, figure: Figure, rows: pd.DataFrame) -> list[Path]:
    """Write one figure as PDF, PNG and the CSV of what it shows, and return the files.

    Args:
        out: Folder to write to; made if absent.
        name: Of the files.
        figure: The figure.
        rows: The numbers in it.
    """
    files = files_of(name, figure, rows)
    write_files(out, files)
    return [out / file for file in files]


def files_of(name: str, figure: Figure, rows: pd.DataFrame) -> dict[str, bytes]:
    """Return a figure's three files."""
    return {
        f"{name}.csv": to_csv(rows),
        f"{name}.png": image(figure, "png"),
        f"{name}.pdf": image(figure, "pdf"),
    }


def figures_of(family: Family, tables: Tables) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield what tells each figure of a family apart, with the rows it draws."""
    keys = ["network", "data", *family.by]
    for values, rows in family.rows(tables).groupby(keys):
        yield dict(zip(keys, cast(tuple[Any, ...], values), strict=True)), rows


def file_name(family: str, keys: dict[str, Any]) -> str:
    """Return a figure's file name without its ending.

    Example:
        >>> file_name("random_plane", {"network": "C1", "data": "cifar10", "batch_norm": "batch", "seed": 0})
        'random_plane_C1_cifar10_batch_seed0'
    """
    return "_".join([family, *(f"seed{value}" if key == "seed" else str(value) for key, value in keys.items())])


def image(figure: Figure, kind: str) -> bytes:
    """Return a figure as PDF, PNG or SVG; equal figures give equal bytes (but for the names in an SVG)."""
    undated = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
    stream = io.BytesIO()
    with house_style():
        figure.savefig(stream, format=kind, metadata=cast(Any, undated[kind]))
    return stream.getvalue()


def summary_files(tables: Tables) -> Iterator[dict[str, bytes]]:
    """Yield the summary as numbers and as LaTeX, where there is anything to summarise."""
    try:
        text = summary_table(tables)
    except ResultsError as error:
        logger.info("skipped summary: %s", error)
        return
    yield {
        "summary.csv": to_csv(summary(tables)),
        "ratios.csv": to_csv(ratios(tables)),
        "summary.tex": to_latex(latex_frame(text), CAPTION).encode(),
    }
