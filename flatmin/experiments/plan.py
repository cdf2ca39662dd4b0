"""From an experiment file to the steps it asks for, in the order in which they can be done."""

import hashlib
import json
from collections.abc import Iterator
from itertools import product

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset
from flatmin.data.batches import resolved_size
from flatmin.experiments.config import Experiment, Grid, Paths, Planes, Slices
from flatmin.experiments.line_steps import PathStep, RandomLineStep
from flatmin.experiments.plane_steps import RandomPlaneStep, ThreePointPlaneStep
from flatmin.experiments.sharpness_step import SharpnessStep
from flatmin.experiments.slice_step import Reading
from flatmin.experiments.step import Step
from flatmin.experiments.training_step import TrainingStep
from flatmin.training import TrainingSettings

PAPER_WIDTH = 512
Pairs = dict[int, dict[str, TrainingStep]]


def plan(experiment: Experiment, dataset: Dataset) -> list[Step]:
    """Every step of an experiment: trainings, then sharpness, then slices, seed by seed.

    Args:
        experiment: What to do.
        dataset: Its data, already cut to ``data.examples``.

    Raises:
        ConfigError: If a batch or a number of examples is larger than the data, or both regimes are the same.
    """
    pairs = trainings(experiment, dataset)
    steps: list[Step] = [step for pair in pairs.values() for step in pair.values()]
    steps += sharpness_steps(experiment, pairs, len(dataset.train))
    steps += slice_steps(experiment, pairs)
    return steps


def trainings(experiment: Experiment, dataset: Dataset) -> Pairs:
    """One training per seed and regime."""
    data = {"name": dataset.name, "examples": len(dataset.train), "files": fingerprint(dataset)}
    network = {
        **experiment.network.model_dump(),
        "input_shape": list(dataset.input_shape),
        "num_classes": dataset.num_classes,
    }
    settings = {
        regime: TrainingSettings(
            batch_size=batch_size(regime, entry.batch_size, len(dataset.train)), **experiment.training.model_dump()
        )
        for regime, entry in experiment.regimes.items()
    }
    if len({setting.batch_size for setting in settings.values()}) < len(settings):
        size = settings["small_batch"].batch_size
        raise ConfigError(f"regimes.small_batch and regimes.large_batch must differ, got batches of {size} for both.")
    return {
        seed: {regime: TrainingStep(data, network, setting, regime, seed) for regime, setting in settings.items()}
        for seed in experiment.seeds
    }


def batch_size(regime: str, size: int | str, examples: int) -> int:
    """The batch size of a regime as a number."""
    try:
        return resolved_size(size, examples)
    except ValueError as error:
        raise ConfigError(str(error).replace("`batch_size`", f"regimes.{regime}.batch_size")) from error


def fingerprint(dataset: Dataset) -> str:
    """One hash of the md5s of the files that hold the data."""
    text = json.dumps(sorted(dataset.provenance["files"].items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sharpness_steps(experiment: Experiment, pairs: Pairs, available: int) -> Iterator[SharpnessStep]:
    """One search per network, space, draw, method and BatchNorm reading; each covers every epsilon."""
    setting = experiment.sharpness
    if setting is None:
        return
    examples = setting.examples or available
    if examples > available:
        raise ConfigError(f"sharpness.examples must be at most the {available} training examples, got {examples}.")
    spaces: list[tuple[int | None, int]] = [(None, 0)] if "full" in setting.spaces else []
    if "random" in setting.spaces:
        spaces += [(setting.subspace_dim, draw) for draw in range(setting.draws)]
    for pair in pairs.values():
        choices = product(spaces, setting.methods, setting.batch_norm, pair.values())
        for (subspace_dim, draw), method, batch_norm, network in choices:
            yield SharpnessStep(
                network=network,
                epsilons=setting.epsilons,
                method=method,
                batch_norm=batch_norm,
                subspace_dim=subspace_dim,
                draw=draw,
                examples=examples,
                batch_size=min(setting.batch_size, examples),
            )


def slice_steps(experiment: Experiment, pairs: Pairs) -> Iterator[Step]:
    """Paths, lines and planes, seed by seed; those through both minima need both regimes."""
    slices = experiment.slices
    if slices is None:
        return
    planes = slices.planes
    with_planes = experiment.seeds[:1] if planes is None or planes.seeds is None else planes.seeds
    for seed, pair in pairs.items():
        networks = [pair[name] for name in ("small_batch", "large_batch") if name in pair]
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


def reductions(experiment: Experiment, dataset: Dataset, published: int) -> list[str]:
    """One sentence for each setting that uses less than all the data, for captions."""
    sentences = []
    if experiment.network.width not in (None, PAPER_WIDTH):
        sentences.append(f"{experiment.network.name} with {experiment.network.width} units a layer, not {PAPER_WIDTH}")
    if len(dataset.train) < published:
        sentences.append(f"Trained on the first {len(dataset.train):,} of {published:,} examples")
    sharpness, slices = experiment.sharpness, experiment.slices
    total = len(dataset.train)
    if sharpness and sharpness.examples and sharpness.examples < total:
        sentences.append(f"Sharpness on the first {sharpness.examples:,} of {total:,} training examples")
    if slices and slices.examples and slices.examples < total:
        sentences.append(f"Slices on the first {slices.examples:,} of {total:,} training examples")
    if slices and slices.planes and slices.planes.examples and slices.planes.examples < total:
        sentences.append(f"Planes on the first {slices.planes.examples:,} of {total:,} training examples")
    return sentences
