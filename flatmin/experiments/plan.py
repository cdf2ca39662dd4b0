"""From an experiment to the steps it asks for, in the order in which they can be done."""

from collections.abc import Iterator
from itertools import product

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset
from flatmin.experiments.config import Experiment
from flatmin.experiments.effort_step import EffortStep
from flatmin.experiments.line_steps import PathStep, RandomLineStep
from flatmin.experiments.measures import Grid, Paths, Planes, Sharpness, Slices
from flatmin.experiments.plane_steps import RandomPlaneStep, ThreePointPlaneStep
from flatmin.experiments.sharpness_step import SharpnessStep
from flatmin.experiments.slice_step import Reading
from flatmin.experiments.step import Step
from flatmin.experiments.training_step import TrainingStep
from flatmin.experiments.trainings import Trainings, trainings


def plan(experiment: Experiment, dataset: Dataset) -> list[Step]:
    """Every step of an experiment: trainings, then sharpness, effort and slices, each seed by seed.

    Args:
        experiment: What to do.
        dataset: Its data, already cut to ``data.examples``.

    Raises:
        ConfigError: If a batch or a number of examples is larger than the data, or two trainings are the same.
    """
    found = trainings(experiment, dataset)
    steps: list[Step] = [step for ways in found.values() for step in ways.values()]
    steps += sharpness_steps(experiment, found, len(dataset.train))
    steps += effort_steps(experiment, found, len(dataset.train))
    steps += slice_steps(experiment, found)
    return steps


def sharpness_steps(experiment: Experiment, found: Trainings, available: int) -> Iterator[SharpnessStep]:
    """One search per network, space, draw, method and BatchNorm reading; each covers every epsilon."""
    setting = experiment.sharpness
    if setting is None:
        return
    everywhere = examples_within("sharpness.examples", setting.examples, available)
    fewer = [examples_within("sharpness.subsets", count, available) for count in setting.subsets or ()]
    for ways in found.values():
        choices = product(
            spaces(setting),
            setting.methods,
            setting.batch_norm,
            measured(experiment, ways),
            dict.fromkeys([everywhere, *fewer]),
        )
        for (subspace_dim, distribution, draw), method, batch_norm, (network, epoch), examples in choices:
            if examples != everywhere and (subspace_dim is not None or epoch is not None):
                continue
            yield SharpnessStep(
                network=network,
                epsilons=setting.epsilons,
                method=method,
                batch_norm=batch_norm,
                subspace_dim=subspace_dim,
                distribution=distribution,
                draw=draw,
                examples=examples,
                batch_size=min(setting.batch_size, examples),
                epoch=epoch,
            )


def spaces(setting: Sharpness) -> list[tuple[int | None, str, int]]:
    """Columns of A, distribution of its entries and number of the draw, of every search space."""
    found: list[tuple[int | None, str, int]] = [(None, "identity", 0)] if "full" in setting.spaces else []
    if "random" in setting.spaces:
        draws = product(setting.distributions, range(setting.draws))
        found += [(setting.subspace_dim, distribution, draw) for distribution, draw in draws]
    return found


def measured(experiment: Experiment, ways: dict[str, TrainingStep]) -> Iterator[tuple[TrainingStep, int | None]]:
    """Networks of a seed whose sharpness is measured: all minima, and the regimes on their way."""
    yield from ((network, None) for network in ways.values())
    on_the_way = (experiment.sharpness.epochs or ()) if experiment.sharpness else ()
    yield from ((ways[name], epoch) for name in experiment.regimes for epoch in on_the_way)


def effort_steps(experiment: Experiment, found: Trainings, available: int) -> Iterator[EffortStep]:
    """One step per regime, epsilon and BatchNorm reading."""
    setting = experiment.effort
    if setting is None:
        return
    examples = examples_within("effort.examples", setting.examples, available)
    for seed in setting.seeds or experiment.seeds[:1]:
        for epsilon, batch_norm, name in product(setting.epsilons, setting.batch_norm, experiment.regimes):
            yield EffortStep(
                network=found[seed][name],
                epsilon=epsilon,
                climbers=setting.climbers,
                starts=setting.starts,
                batch_norm=batch_norm,
                evaluations=setting.evaluations,
                examples=examples,
                batch_size=min(setting.batch_size, examples),
            )


def examples_within(key: str, wanted: int | None, available: int) -> int:
    """How many examples a key asks for."""
    if wanted is not None and wanted > available:
        raise ConfigError(f"{key} must be at most the {available} training examples, got {wanted}.")
    return wanted or available


def slice_steps(experiment: Experiment, found: Trainings) -> Iterator[Step]:
    """Paths, lines and planes, seed by seed; those through both minima need both regimes."""
    slices = experiment.slices
    if slices is None:
        return
    planes = slices.planes
    with_planes = experiment.seeds[:1] if planes is None or planes.seeds is None else planes.seeds
    for seed, ways in found.items():
        networks = [ways[name] for name in ("small_batch", "large_batch") if name in ways]
        if slices.paths:
            yield from path_steps(slices, slices.paths, networks)
        if slices.random_lines:
            for batch_norm, network in product(slices.random_lines.batch_norm, networks):
                yield RandomLineStep(network, bounds(slices.random_lines.alphas), reading(slices, batch_norm))
        if planes and seed in with_planes:
            yield from plane_steps(slices, planes, networks)


def path_steps(slices: Slices, paths: Paths, networks: list[TrainingStep]) -> Iterator[Step]:
    """The paths between both minima of a seed; none where there is only one."""
    if len(networks) == 2:
        small, large = networks
        for batch_norm, curve in product(paths.batch_norm, paths.curves):
            yield PathStep(small, large, curve, bounds(paths.alphas), reading(slices, batch_norm))


def plane_steps(slices: Slices, planes: Planes, networks: list[TrainingStep]) -> Iterator[Step]:
    """The random planes of a seed, and the one through three points where there are both minima."""
    for batch_norm in planes.batch_norm:
        looked_at = reading(slices, batch_norm, planes.examples)
        if "random" in planes.kinds:
            for network in networks:
                yield RandomPlaneStep(network, bounds(planes.grid), looked_at)
        if "three_points" in planes.kinds and len(networks) == 2:
            small, large = networks
            yield ThreePointPlaneStep(small, large, planes.margin, planes.points, looked_at)


def reading(slices: Slices, batch_norm: str, examples: int | None = None) -> Reading:
    """On which data a slice is evaluated, and how."""
    return Reading(batch_norm, slices.splits, examples or slices.examples, slices.batch_size, slices.engine)


def bounds(grid: Grid) -> tuple[float, float, int]:
    """A grid as numbers."""
    return grid.low, grid.high, grid.points
