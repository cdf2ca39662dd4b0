"""Dinh et al. (2017): measures of networks that a rescaling makes of one, all of the same function."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from flatmin.core.fields import Count, Positive, Seed, Several, shown
from flatmin.core.kind import Kind
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def _measures(names: tuple[str, ...]) -> tuple[str, ...]:
    from flatmin.measures.readings import names as known

    for name in names:
        if name not in known():
            raise ValueError(f"must be measures, got {shown(name)}; the known ones are {', '.join(known())}")
    return names


def _with_one(amounts: tuple[float, ...]) -> tuple[float, ...]:
    if 1.0 not in amounts:
        raise ValueError("must have 1 among them, the network itself")
    return amounts


class Rescaling(Experiment):
    """A ReLU network of two hidden layers, trained on the first examples, and rescaled by a.

    Attributes:
        kind: ``rescaling``.
        data: The data set; its first examples.
        pool: Images are averaged over squares of so many pixels a side.
        width: Units of each hidden layer.
        seed: Of the start.
        updates: Full-batch updates of Adam.
        learning_rate: Of Adam.
        symmetry: ``layer_rescaling`` multiplies a layer by a and divides the next by it; ``node_rescaling`` each unit
            by a number of its own, up to a.
        amounts: a.
        measures: Names of measures, with their usual settings.
    """

    kind: Literal["rescaling"] = "rescaling"
    data: Data = Data(name="digits", examples=500)
    pool: Count = 1
    width: Annotated[int, Field(ge=1, le=1000)] = 16
    seed: Seed = 0
    updates: Count = 300
    learning_rate: Positive = 0.01
    symmetry: Literal["layer_rescaling", "node_rescaling"] = "layer_rescaling"
    amounts: Annotated[Several[Positive], AfterValidator(_with_one)] = (0.01, 0.1, 1.0, 10.0, 100.0)
    measures: Annotated[Several[str], AfterValidator(_measures)] = ("epsilon_sharpness", "top_eigenvalue")


def prepare(experiment: Rescaling, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan the one step."""
    from flatmin.data import load
    from flatmin.experiments.budget import cut, portion
    from flatmin.experiments.devices import resolved_device
    from flatmin.experiments.step import Workplace
    from flatmin.experiments.study import Study
    from flatmin.results import Store
    from flatmin.results.remarks import Remark
    from flatmin.studies.comparison.prepare import shortened
    from flatmin.studies.rescaling.steps import Rescaled

    of = experiment.data
    whole = load(of.name, root=data_root, split=of.split, verify=of.verify, download=download)
    dataset = shortened(whole, portion(experiment.budget, of.examples or len(whole.train)))
    experiment, used = cut(experiment, experiment.budget), len(dataset.train)
    said = f"The first {used:,} of {len(whole.train):,} training examples"
    return Study(
        experiment,
        [Rescaled(experiment, dataset.name, dataset.train.inputs, dataset.train.targets, dataset.num_classes)],
        Workplace(resolved_device("cpu"), Store(folder)),
        outline=(f"{len(experiment.measures)} measures of {len(experiment.amounts)} networks of one function",),
        tags=("rescaling", dataset.name),
        reduced=[Remark(said)] if used < len(whole.train) else [],
        origins={"data": dataset.provenance},
    )


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw the one figure, as PDF and PNG beside its numbers."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.rescaling.figure import rescaling

    return figure_written(out, "rescaling", rescaling(tables), tables.frames["rescaling"])


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.rescaling.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="rescaling",
    words="Networks of the same function",
    settings=Rescaling,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={"rescaling": ("symmetry", "amount", "measure", "value", "standard_error", "loss", "outputs")},
    text=("symmetry", "measure"),
    shorthand=("data",),
)
