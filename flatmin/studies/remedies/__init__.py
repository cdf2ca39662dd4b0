"""Remedies for large batches side by side: what each does to the gap in test accuracy, and what to the sharpness."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.remedies.settings import Remedies

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Remedies, **places: Any) -> "Study":
    """Load the data and plan the steps."""
    from flatmin.studies.remedies.prepare import study_of

    return study_of(experiment, **places)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw every figure that the tables of a comparison support, and those of the remedies."""
    from flatmin import figures

    return figures.render(tables, out)


def printed(tables: "Tables") -> Iterator[Any]:
    """What each remedy does."""
    yield from ()


KIND = Kind(
    name="remedies",
    words="Remedies for large batches",
    settings=Remedies,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "tuning": (
            *("network", "data", "regime", "batch_size", "seed", "learning_rate", "factor", "status", "epochs"),
            *("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
            *("running_validation_loss", "running_validation_accuracy"),
        ),
        "ways": (
            *("network", "data", "regime", "batch_size", "seed"),
            *("learning_rate", "factor", "at_edge", "updates", "gradients", "seconds"),
        ),
    },
    shorthand=("data", "network"),
)
