"""The noise of a batch's gradient, and why a point where one batch is stuck moves another (Lee's Fig. 3.12)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.gradient_noise.settings import GradientNoise

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: GradientNoise, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings and the searches."""
    from flatmin.studies.gradient_noise.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the variances, and a batch that is stuck beside one that is not, as PDF and PNG beside their numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.gradient_noise.figure import stuck, variances
    from flatmin.studies.gradient_noise.found import products

    files = figure_written(out, "gradient_noise", variances(tables), products(tables))
    if len(tables.frames["stuck_points"]):
        files += figure_written(out, "stuck", stuck(tables), tables.frames["stuck_lines"])
    return files


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.gradient_noise.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="gradient_noise",
    words="Noise of the gradient",
    settings=GradientNoise,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "batch_gradients": (
            *("seed", "epoch", "loss", "accuracy", "gradient_norm", "spread", "noise_scale", "parts_spread"),
            *("parts_error", "drawn", "batch_size", "draws", "factor", "variance", "standard_error"),
        ),
        "stuck_points": (
            *("seed", "batch_size", "start_loss", "start_gradient", "loss", "gradient_norm", "stuck", "lowest"),
            *("others", "other_gradient", "other_shortest", "full_gradient", "lowered", "fall", "full_before"),
            *("full_after_own", "moved_own", "full_after_others", "moved_others"),
        ),
        "stuck_lines": ("seed", "batch_size", "alpha", "own", "other", "full"),
    },
    text=("drawn",),
    shorthand=("data",),
)
