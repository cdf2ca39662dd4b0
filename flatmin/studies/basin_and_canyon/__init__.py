"""Basin and canyon: how the test loss lies beside the training loss at wide and narrow minima (Lee's Fig. 3.13)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.basin_and_canyon.settings import BasinAndCanyon

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: BasinAndCanyon, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the minima and their lines."""
    from flatmin.studies.basin_and_canyon.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.basin_and_canyon.figure import basin_and_canyon

    return figure_written(out, "basin_and_canyon", basin_and_canyon(tables), tables.frames["shifted_lines"])


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.basin_and_canyon.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> "Iterator[str]":
    """Shift, cost and shape along each kind of line, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.basin_and_canyon.found import CAPTION, table

    if len(rows := table(tables)):
        yield to_markdown(rows, CAPTION)


KIND = Kind(
    name="basin_and_canyon",
    words="Basin and canyon",
    settings=BasinAndCanyon,
    prepare=prepare,
    draw=draw,
    printed=printed,
    tabulated=tabulated,
    columns={
        "shifted_minima": (
            *("regime", "batch_size", "seed", "status", "epochs", "updates", "train_loss", "train_accuracy"),
            *("test_loss", "test_accuracy", "top_eigenvalue"),
        ),
        "shifted_lines": (
            *("regime", "seed", "direction", "number", "length", "reach", "train_argmin", "test_argmin", "shift"),
            *("inside", "train_min", "test_min", "gap", "cost", "predicted", "train_curvature", "test_curvature"),
            *("correlation", "residual", "steepness", "scaled_residual", "unaligned_residual"),
        ),
        "shifted_curves": ("regime", "seed", "direction", "number", "alpha", "train", "test"),
    },
    text=("regime", "status", "direction"),
    shorthand=("data",),
)
