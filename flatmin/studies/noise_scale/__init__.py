"""Is it the ratio of learning rate to batch size that counts? Jastrzebski et al. (2017), Smith and Le (2018).

And may a schedule of the one be swapped for one of the other (Smith et al., 2018)?
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.noise_scale.settings import NoiseScale

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: NoiseScale, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings and their measures."""
    from flatmin.studies.noise_scale.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the grid as maps, and what it shows along the ratio, as PDF and PNG beside their numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.noise_scale.figure import along_the_ratio, maps
    from flatmin.studies.noise_scale.judged import cells

    rows = cells(tables)
    written = figure_written(out, "noise_scale_maps", maps(tables), rows)
    return written + figure_written(out, "noise_scale", along_the_ratio(tables), rows)


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.noise_scale.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> "Iterator[str]":
    """How much of each quantity the ratio explains, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.noise_scale.judged import tabled

    for caption, rows in tabled(tables):
        yield to_markdown(rows, caption)


def logged(tables: "Tables") -> tuple[dict[str, Any], dict[str, float]]:
    """The tables, and the power of the batch size beside the learning rate for each quantity."""
    from flatmin.studies.noise_scale.judged import explained

    rows = explained(tables)
    numbers = {
        f"noise_scale/{row['reading']}/{row['quantity']}_explained": row["ratio"] for row in rows.to_dict("records")
    }
    return {f"tables/{name}": tables.frames[name] for name in KIND.columns}, numbers


KIND = Kind(
    name="noise_scale",
    words="Learning rate over batch size",
    settings=NoiseScale,
    prepare=prepare,
    draw=draw,
    printed=printed,
    logged=logged,
    tabulated=tabulated,
    columns={
        "noise_scale_networks": (
            *("batch_size", "learning_rate", "seed", "reading", "status", "epochs", "updates"),
            *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        ),
        "noise_scale_sharpness": (
            *("batch_size", "learning_rate", "seed", "reading"),
            *("top_eigenvalue", "residual", "adaptive", "converged"),
        ),
        "noise_scale_gradients": (
            *("learning_rate", "batch_size", "seed", "epoch", "train_loss"),
            *("noise_scale", "noise_scale_error", "variance", "signal", "signal_error"),
        ),
        "noise_scale_schedules": (
            *("schedule", "seed", "epoch", "updates", "train_loss", "test_loss", "test_accuracy"),
            *("top_eigenvalue", "adaptive"),
        ),
    },
    text=("reading", "status", "schedule"),
    shorthand=("data",),
)
