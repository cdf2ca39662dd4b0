"""The toy network of Hung-yi Lee's chapter 3.1, y = w1 w2 x: critical points, the way out of a saddle, momentum."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.toy.settings import Toy

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: Toy, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Plan the steps; there are no data to load."""
    from flatmin.experiments.budget import cut
    from flatmin.experiments.devices import resolved_device
    from flatmin.experiments.step import Workplace
    from flatmin.experiments.study import Study
    from flatmin.results import Store
    from flatmin.results.remarks import Remark
    from flatmin.studies.toy.steps import steps_of

    whole = experiment.steps
    experiment = cut(experiment, experiment.budget)
    return Study(
        experiment,
        steps_of(experiment),
        Workplace(resolved_device("cpu"), Store(folder)),
        outline=(
            f"{experiment.steps} steps of learning rate {experiment.learning_rate:g} from {starts_text(experiment)}",
        ),
        tags=("toy",),
        reduced=[Remark(f"{experiment.steps} of {whole} steps")] if experiment.steps < whole else [],
    )


def starts_text(experiment: Toy) -> str:
    """Where the descents begin."""
    return " and ".join("({:g}, {:g})".format(*start) for start in experiment.starts)


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one picture, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.toy.figure import toy

    return figure_written(out, "toy", toy(tables), tables.frames["descents"])


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.toy.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="toy",
    words="The toy network y = w1 w2 x",
    settings=Toy,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "critical_points": (
            *("w1", "w2", "loss", "gradient_norm", "lowest", "highest", "negative", "zero", "positive", "kind"),
        ),
        "escapes": ("length", "w1", "w2", "loss", "model"),
        "descents": ("method", "start_w1", "start_w2", "step", "w1", "w2", "loss"),
    },
    text=("kind", "method"),
)
