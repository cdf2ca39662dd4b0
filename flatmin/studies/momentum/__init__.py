"""Momentum, Lee's chapter 3.2.2: what it is, what it passes, what it does not, and where it leads a real network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.momentum.settings import MomentumStudy

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: MomentumStudy, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the steps."""
    from flatmin.studies.momentum.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the figures of the parts that were done, and the ball and the saddle as animations."""
    from flatmin.studies.momentum.drawn import written

    return written(tables, out)


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.momentum.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="momentum",
    words="Momentum",
    settings=MomentumStudy,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "momentum_identity": (
            *("schedule", "seed", "step", "learning_rate", "movement", "torch_movement", "closed_form", "torch"),
        ),
        "momentum_ball": ("momentum", "step", "w", "loss", "gradient", "push", "last", "movement"),
        "momentum_sweep": ("momentum", "end", "effective_rate", "descent_end", "critical_low", "critical_high"),
        "momentum_saddle": ("method", "perturbation", "step", "w1", "w2", "loss"),
        "momentum_ends": (
            *("equal", "momentum", "rate", "seed", "when", "epoch", "train_loss", "train_accuracy", "test_loss"),
            *("test_accuracy", "distance", "top_eigenvalue", "converged"),
        ),
    },
    text=("schedule", "method", "equal", "when"),
    shorthand=("data",),
)
