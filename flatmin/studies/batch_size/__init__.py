"""Accuracy against batch size at equal epochs, equal updates and equal time: Fig. 3.11 of Lee's book, taken apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.batch_size.settings import BatchSizes

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: BatchSizes, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings."""
    from flatmin.studies.batch_size.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.batch_size.figure import batch_size

    return figure_written(out, "batch_size", batch_size(tables), tables.frames["batch_size_scores"])


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.batch_size.found import sentences

    yield from sentences(tables)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The table, and the mean test accuracy of each point."""
    rows = tables.frames["batch_size_scores"]
    means: Any = rows.groupby(["data", "equal", "batch_size"])["test_accuracy"].mean()
    numbers = {
        f"batch_size/{data}/equal_{equal}/batch_{size:g}/test_accuracy": float(mean)
        for (data, equal, size), mean in means.items()
    }
    return {"tables/batch_size_scores": rows}, numbers


KIND = Kind(
    name="batch_size",
    words="Accuracy against batch size",
    settings=BatchSizes,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    columns={
        "batch_size_scores": (
            *("data", "examples", "batch_size", "seed", "equal", "epochs", "updates", "seconds"),
            *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "at_chance"),
        ),
    },
    text=("data", "equal"),
)
