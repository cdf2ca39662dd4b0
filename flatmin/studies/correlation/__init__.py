"""Do measures predict generalisation? Kendall's tau over a grid of small trainings, as in Jiang et al. (2020)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.correlation.settings import Correlation

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Correlation, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings and their measures."""
    from flatmin.studies.correlation.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.correlation.figure import correlations
    from flatmin.studies.correlation.judged import judged

    rows = judged(tables)
    return figure_written(out, "correlation", correlations(tables, rows), rows)


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.correlation.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> "Iterator[str]":
    """The taus of each gap, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.correlation.judged import tabled

    for caption, rows in tabled(tables):
        yield to_markdown(rows, caption)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The tables with the taus, and each granulated tau."""
    from flatmin.studies.correlation.judged import judged

    rows = judged(tables)
    granulated: list[Any] = list(rows[rows["which"] == "granulated"].itertuples())
    numbers = {
        f"correlation/{row.gap}/{row.measure}_{row.setting.replace(' ', '_')}": float(row.tau) for row in granulated
    }
    frames = {f"tables/{name}": tables.frames[name] for name in KIND.columns}
    return frames | {"tables/correlation_taus": rows}, numbers


KIND = Kind(
    name="correlation",
    words="Measures and generalisation",
    settings=Correlation,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    tabulated=tabulated,
    columns={
        "correlation_trainings": (
            *("batch_size", "learning_rate", "width", "weight_decay", "seed", "status", "epochs"),
            *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "size"),
        ),
        "correlation_measures": (
            *("batch_size", "learning_rate", "width", "weight_decay", "seed"),
            *("measure", "setting", "value", "standard_error", "converged"),
        ),
    },
    text=("status", "measure", "setting"),
    shorthand=("data",),
)
