"""Critical points of small networks: minimum, saddle or flat, and the minimum ratio of Lee's chapter 3.1."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatmin.core.kind import Kind
from flatmin.studies.critical_points.settings import CriticalPoints

if TYPE_CHECKING:
    from flatmin.experiments.study import Study
    from flatmin.results import Tables


def prepare(experiment: CriticalPoints, *, folder: Path, data_root: Path | None, download: bool) -> "Study":
    """Load the data and plan a step for each network.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If the network is too large for its Hessian, the data do not fit, or the plane is of no network.
    """
    from flatmin.core.errors import ConfigError
    from flatmin.data import load
    from flatmin.experiments.budget import cut, portion
    from flatmin.experiments.devices import resolved_device
    from flatmin.experiments.step import Workplace
    from flatmin.experiments.study import Study
    from flatmin.results import Store
    from flatmin.results.remarks import Remark
    from flatmin.studies.comparison.prepare import shortened
    from flatmin.studies.critical_points.steps import CriticalStep, Examples, plane_of

    whole = load(
        experiment.data.name,
        root=data_root,
        split=experiment.data.split,
        verify=experiment.data.verify,
        download=download,
    )
    if whole.num_classes == 0:
        raise ConfigError(f"data must have classes, {whole.name} has real targets.")
    count = experiment.data.examples or len(whole.train)
    dataset = shortened(whole, portion(experiment.budget, count))
    experiment = cut(experiment, experiment.budget)
    examples = Examples.of(experiment, dataset)
    if examples.size > LARGEST:
        raise ConfigError(
            f"hidden must leave at most {LARGEST:,} weights, whose Hessian can be written out; {experiment.hidden} "
            f"units on {examples.inputs.shape[1]} inputs have {examples.size:,}. Take fewer, or a larger pool."
        )
    points = [
        CriticalStep(
            examples,
            seed,
            updates,
            experiment.learning_rate,
            method,
            getattr(experiment.steps, method),
            experiment.gradient,
            experiment.tolerances,
        )
        for method in experiment.methods
        for updates in experiment.updates
        for seed in experiment.seeds
    ]
    steps: list[Any] = list(points)
    if experiment.plane is not None:
        plane = plane_of(experiment.plane, points)
        if plane is None:
            raise ConfigError("plane must name a seed, updates and method that are among those of the networks.")
        steps.append(plane)
    used = len(dataset.train)
    return Study(
        experiment,
        steps,
        Workplace(resolved_device("cpu"), Store(folder)),
        outline=(
            f"{examples.size} weights: {examples.inputs.shape[1]} inputs, {experiment.hidden} {experiment.activation} "
            f"units, {examples.classes} classes; {experiment.loss.replace('_', ' ')} on {used:,} examples of "
            f"{dataset.name}",
        ),
        tags=("critical points", dataset.name),
        reduced=[Remark(f"The first {used:,} of {len(whole.train):,} training examples")]
        if used < len(whole.train)
        else [],
        origins={"data": dataset.provenance},
    )


LARGEST = 2000


def draw(tables: "Tables", out: Path) -> list[Path]:
    """Draw loss against minimum ratio, and the plane if there is one."""
    from flatmin.figures.render import figure_written
    from flatmin.studies.critical_points.figure import minimum_ratio, saddle

    files = figure_written(out, "minimum_ratio", minimum_ratio(tables), tables.frames["minimum_ratio"])
    if len(tables.frames["critical_plane"]):
        files += figure_written(out, "critical_plane", saddle(tables), tables.frames["critical_plane"])
    return files


def printed(tables: "Tables") -> Iterator[Any]:
    """What was found, a sentence each."""
    from flatmin.studies.critical_points.found import sentences

    yield from sentences(tables)


KIND = Kind(
    name="critical_points",
    words="Critical points of small networks",
    settings=CriticalPoints,
    prepare=prepare,
    draw=draw,
    printed=printed,
    columns={
        "minimum_ratio": (
            *("method", "updates", "seed", "tolerance", "trained_loss", "trained_gradient", "loss", "gradient_norm"),
            *("converged", "distance", "weights_norm", "lowest", "highest", "size", "given_zeros", "negative", "zero"),
            *("positive", "minimum_ratio", "kind", "gradients", "products"),
        ),
        "critical_plane": ("method", "updates", "seed", "largest", "smallest", "loss", "lowest", "highest"),
    },
    text=("method", "kind"),
    shorthand=("data",),
)
