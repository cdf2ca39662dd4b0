"""From the settings of the study to its trainings and the paths between their minima."""

from collections.abc import Iterator
from pathlib import Path

from flatmin.core.errors import ConfigError
from flatmin.experiments.budget import cut, portion
from flatmin.experiments.study import Study
from flatmin.experiments.training_step import TrainingStep
from flatmin.results.remarks import Remark
from flatmin.results.words import counted
from flatmin.studies.comparison.prepare import prepare
from flatmin.studies.connectivity.planes import PlaneStep
from flatmin.studies.connectivity.settings import Connectivity
from flatmin.studies.connectivity.steps import Look, WayStep

Ends = tuple[str, TrainingStep, TrainingStep]


def study_of(experiment: Connectivity, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Train as a comparison does, then look between the minima; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If the setup does not fit the data, or the device is absent.
    """
    base = prepare(experiment.comparison, folder=folder, data_root=data_root, download=download)
    trainings = [step for step in base.steps if isinstance(step, TrainingStep)]
    available = trainings[0].data["examples"]
    wanted = experiment.examples
    if wanted is not None and wanted > available:
        raise ConfigError(f"examples must be at most the {available:,} training examples, got {wanted}.")
    if experiment.curves and experiment.curves.batch_size > available:
        size = experiment.curves.batch_size
        raise ConfigError(f"curves.batch_size must be at most the {available:,} training examples, got {size}.")
    whole = experiment.curves
    share = experiment.budget
    experiment = experiment.model_copy(
        update={"training": base.experiment.training, "curves": cut(experiment.curves, share)}  # type: ignore[attr-defined]
        | ({"examples": portion(share, wanted or available)} if share < 1 else {})
    )
    reduced = [*base.reduced, *reductions(experiment, whole.epochs if whole else 0, available)]
    ways = list(way_steps(experiment, trainings))
    return Study(
        experiment,
        [*trainings, *ways, *plane_steps(experiment, ways)],
        base.workplace,
        outline=(
            *base.outline,
            f"{counted(len(ways), 'path')} between pairs of minima, {experiment.points} points each",
        ),
        tags=("connectivity", *base.tags),
        reduced=reduced,
        cautions=base.cautions,
        origins=base.origins,
    )


def pairs(experiment: Connectivity, trainings: list[TrainingStep]) -> Iterator[Ends]:
    """The pairs of minima: both of a seed, or one regime's of a seed and the next; three seeds and more are a ring."""
    of = {(step.regime, step.seed): step for step in trainings}
    seeds = experiment.seeds
    following = [*seeds[1:], *(seeds[:1] if len(seeds) > 2 else ())]
    for name in experiment.pairs:
        if name == "small_large":
            yield from ((name, of["small_batch", seed], of["large_batch", seed]) for seed in seeds)
        else:
            regime = f"{name.partition('_')[0]}_batch"
            ring = zip(seeds, following, strict=False)
            yield from ((name, of[regime, one], of[regime, other]) for one, other in ring)


def way_steps(experiment: Connectivity, trainings: list[TrainingStep]) -> Iterator[WayStep]:
    """Every path of every pair: the segment, those with neurons matched, the curves."""
    look = Look(experiment.points, experiment.examples, experiment.batch_size)
    for name, first, second in pairs(experiment, trainings):
        yield WayStep(name, first, second, "segment", look)
        for method in experiment.matching:
            yield WayStep(name, first, second, f"matched_{method}", look)
        if experiment.curves:
            settings = experiment.curves.model_dump(exclude={"forms"})
            for form in experiment.curves.forms:
                yield WayStep(name, first, second, form, look, settings)


def plane_steps(experiment: Connectivity, ways: list[WayStep]) -> Iterator[PlaneStep]:
    """The plane of the first curve of each kind of pair; curves with several bends lie in none."""
    if experiment.curves is None or experiment.plane is None or experiment.curves.bends > 1:
        return
    curves = [way for way in ways if way.way == experiment.curves.forms[0]]
    for name in experiment.pairs:
        yield PlaneStep(next(way for way in curves if way.pair == name), experiment.plane)


def reductions(experiment: Connectivity, epochs: int, available: int) -> list[Remark]:
    """A remark on what is less than was asked for, or than all."""
    found = []
    if experiment.curves and experiment.curves.epochs < epochs:
        found.append(Remark(f"Curves trained for {experiment.curves.epochs} of {epochs} epochs"))
    if experiment.examples is not None and experiment.examples < available:
        found.append(Remark(f"Paths on the first {experiment.examples:,} of {available:,} training examples"))
    return found
