"""How far weights go from their start at a constant learning rate: the slow diffusion of Hoffer et al. (2017)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.weight_distance.settings import WeightDistance

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: WeightDistance, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the trainings."""
    from flatmin.studies.weight_distance.prepare import study_of

    return study_of(experiment, folder=folder, data_root=data_root, download=download)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.weight_distance.figure import weight_distance

    return figure_written(out, "weight_distance", weight_distance(tables), tables.frames["weight_distance"])


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.weight_distance.found import sentences

    yield from sentences(tables)


def tabulated(tables: "Tables") -> Iterator[str]:
    """How well either law describes the distance, as Markdown."""
    from flatmin.results import to_markdown
    from flatmin.studies.weight_distance.found import tabled

    for caption, rows in tabled(tables):
        yield to_markdown(rows, caption)


KIND = Kind(
    name="weight_distance",
    words="Distance from the start",
    settings=WeightDistance,
    prepare=prepare,
    draw=draw,
    printed=printed,
    tabulated=tabulated,
    columns={
        "weight_distance": (
            *("rule", "batch_size", "learning_rate", "seed", "update", "epoch", "distance", "start"),
            *("loss", "accuracy"),
        ),
    },
    text=("rule",),
)
