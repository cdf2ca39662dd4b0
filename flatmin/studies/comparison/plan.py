"""From an experiment to the steps it asks for, in the order in which they can be done."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice, product
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.core.fields import marked
from flatmin.data import Dataset
from flatmin.experiments.line_steps import PathStep, RandomLineStep
from flatmin.experiments.measure_step import MeasureStep
from flatmin.experiments.plane_steps import RandomPlaneStep, ThreePointPlaneStep
from flatmin.experiments.slice_step import SliceReading
from flatmin.experiments.slices import Grid, Paths, Planes, Slices
from flatmin.experiments.step import Step
from flatmin.experiments.training_step import TrainingStep
from flatmin.measures import Measure
from flatmin.results import Store
from flatmin.studies.comparison.kept import as_kept
from flatmin.studies.comparison.settings import Comparison
from flatmin.studies.comparison.trainings import Trainings, check_distinct, ends_as_mean, same_share, trainings

MOST_STEPS = 50_000


def plan(experiment: Comparison, dataset: Dataset, own: Mapping[str, dict[str, Any]], store: Store) -> list[Step]:
    """Every step of an experiment: trainings, then measures and slices, each seed by seed.

    Args:
        experiment: What to do.
        dataset: Its data, already cut to ``data.examples``.
        own: What identifies a network and a loss of the user's own, by their keys.
        store: The experiment's folder; a training in it that kept more networks than are asked for serves.

    Raises:
        ConfigError: If a batch or a number of examples is larger than the data, two trainings are the same, or there
            are more steps than anybody can want.
    """
    return steps_of(experiment, trainings(experiment, dataset, own), len(dataset.train), store)


def steps_of(experiment: Comparison, found: Trainings, available: int, store: Store) -> list[Step]:
    """The trainings, then measures and slices, each seed by seed.

    Raises:
        ConfigError: If two trainings are the same, a number of examples is larger than the data, or there are more
            steps than anybody can want.
    """
    check_distinct(next(iter(found.values())))
    found = as_kept(found, store)
    asked: Iterator[Step] = chain(
        (step for ways in found.values() for step in ways.values()),
        measure_steps(experiment, found, available),
        slice_steps(experiment, found),
    )
    steps = list(islice(asked, MOST_STEPS + 1))
    if len(steps) > MOST_STEPS:
        raise ConfigError(f"the settings ask for more than {MOST_STEPS:,} steps; ask for fewer seeds, draws or epochs.")
    return steps


def measure_steps(experiment: Comparison, found: Trainings, available: int) -> Iterator[MeasureStep]:
    """Every measure of every network that it is taken of, seed by seed."""
    for measure, section in experiment.asked:
        examples = examples_within(f"{measure.name}.examples", section.examples, available)
        for key, counts in marked(section, "examples"):
            for count in counts:
                examples_within(f"{measure.name}.{key}", count, available)
        asked = list(measure.plan(section, available, examples))
        for seed in section.seeds or (experiment.seeds[:1] if measure.dear else experiment.seeds):
            networks = list(measured_networks(experiment, measure, section, found[seed]))
            for one, (network, epoch) in product(asked, networks):
                if epoch is None or not one.only_minima:
                    yield MeasureStep(network, measure, one, epoch)


def measured_networks(
    experiment: Comparison, measure: Measure[Any], section: Any, ways: dict[str, TrainingStep]
) -> Iterator[tuple[TrainingStep, int | None]]:
    """Networks of a seed that are measured: minima, and those on their way."""
    minima = [ways[name] for name in (experiment.regimes if measure.dear else ways)]
    yield from ((step, None) for step in minima)
    epochs = getattr(section, "epochs", None) or ()
    for step in minima:
        if is_followed(experiment, step):
            yield from ((step, epoch) for epoch in same_share(epochs, experiment.training, step.settings))


def is_followed(experiment: Comparison, step: TrainingStep) -> bool:
    """Whether a network is measured on its way, and not at its end alone."""
    if experiment.follows_variations:
        return not ends_as_mean(step.settings, step.settings.swap)
    return step.regime in experiment.regimes


def examples_within(key: str, wanted: int | None, available: int) -> int:
    """How many examples a key asks for.

    Raises:
        ConfigError: If it asks for more than are available.
    """
    if wanted is not None and wanted > available:
        raise ConfigError(f"{key} must be at most the {available} training examples, got {wanted}.")
    return wanted or available


def slice_steps(experiment: Comparison, found: Trainings) -> Iterator[Step]:
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


def reading(slices: Slices, batch_norm: str, examples: int | None = None) -> SliceReading:
    """On which data a slice is evaluated, and how."""
    return SliceReading(batch_norm, slices.splits, examples or slices.examples, slices.batch_size, slices.engine)


def bounds(grid: Grid) -> tuple[float, float, int]:
    """A grid as numbers."""
    return grid.low, grid.high, grid.points
