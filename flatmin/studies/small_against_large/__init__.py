"""Small batch against large: Table 3.1 of Lee's book, with a measured number and its interval behind every word."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.small_against_large.settings import SmallAgainstLarge

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: SmallAgainstLarge, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the timings, the trainings and the draws of gradients."""
    from flatmin.studies.small_against_large.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.small_against_large.figure import small_against_large
    from flatmin.studies.small_against_large.rows import table

    return figure_written(out, "small_against_large", small_against_large(tables), table(tables))


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.small_against_large.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> "Iterator[str]":
    """Table 3.1, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.small_against_large.rows import caption, table

    if len(rows := table(tables)):
        yield to_markdown(rows, caption(tables))


KIND = Kind(
    name="small_against_large",
    words="Small batch against large",
    settings=SmallAgainstLarge,
    prepare=prepare,
    draw=draw,
    printed=printed,
    tabulated=tabulated,
    columns={
        "small_large_times": ("round", "batch_size", "update", "one_by_one", "epoch", "device", "threads"),
        "small_large_noise": ("seed", "when", "batch_size", "gradient_norm", "relative_noise"),
        "small_large_points": (
            *("batch_size", "seed", "at", "epochs", "updates", "train_loss", "train_accuracy", "test_loss"),
            "test_accuracy",
        ),
    },
    text=("at", "when", "device"),
    shorthand=("data",),
)
