"""From an experiment's regimes and variations to its trainings, seed by seed."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset
from flatmin.data.batches import resolved_size
from flatmin.experiments.training_step import TrainingStep
from flatmin.studies.comparison.settings import Comparison, Variation
from flatmin.training import TrainingSettings
from flatmin.training.rates import BASE
from flatmin.training.settings import Training
from flatmin.training.workers import Workers

Trainings = dict[int, dict[str, TrainingStep]]


def trainings(experiment: Comparison, dataset: Dataset, own: Mapping[str, dict[str, Any]]) -> Trainings:
    """By seed, then by regime: the regimes first, then the variations, some of which go out from a regime.

    Args:
        experiment: What to do.
        dataset: Its data, already cut to ``data.examples``.
        own: What identifies a network and a loss of the user's own, by their keys.

    Raises:
        ConfigError: If a batch is larger than the data, or two have one name.
    """
    data = {"name": dataset.name, "examples": len(dataset.train), "files": fingerprint(dataset)}
    network = {
        **own.get("network", experiment.network.model_dump()),
        "input_shape": list(dataset.input_shape),
        "num_classes": dataset.num_classes,
    }
    found: Trainings = {}
    for seed in experiment.seeds:
        ways = found[seed] = {}
        for name, settings in regimes(experiment, len(dataset.train)):
            ways[name] = TrainingStep(data, network, settings, name, seed, loss=own.get("loss"))
        for name, settings, start in variations(experiment, len(dataset.train)):
            if name in ways:
                raise ConfigError(f"variations must have one network called {name}, got a second one.")
            origin = None if start is None else (ways[start[0]], start[1])
            ways[name] = TrainingStep(data, network, settings, name, seed, origin, own.get("loss"))
    return found


def regimes(experiment: Comparison, examples: int) -> Iterator[tuple[str, TrainingSettings]]:
    """The settings of each regime, with the snapshots that measures and variations want of it."""
    sizes: dict[str, int] = {
        name: batch_size(f"regimes.{name}", regime.batch_size, examples) for name, regime in experiment.regimes.items()
    }
    check_order(sizes, examples)
    for name, size in sizes.items():
        with naming("training"):
            settings = settings_of(experiment.training, size, snapshots=snapshots(experiment, name))
        yield name, settings


def snapshots(experiment: Comparison, regime: str) -> tuple[int, ...]:
    """Epochs of a regime whose weights are kept."""
    wanted = set(experiment.on_the_way)
    for variation in experiment.variations.values():
        if variation.start and variation.start.regime == regime:
            wanted |= set(variation.start.epochs)
    return tuple(sorted(wanted))


def ends_as_mean(training: Training, swap: Workers | None) -> bool:
    """Whether what a training leaves is a mean of weights, which was not on its own way."""
    return training.averaging is not None or swap is not None


def followed(experiment: Comparison, training: Training, variation: Variation) -> tuple[int, ...]:
    """Epochs of a variation whose weights are kept: none of one that ends as a mean."""
    if not experiment.follows_variations or ends_as_mean(training, variation.swap):
        return ()
    return same_share(experiment.on_the_way, experiment.training, training)


def same_share(epochs: Iterable[int], usual: Training, own: Training) -> tuple[int, ...]:
    """Epochs of the usual training as those of another: after the same share of its length.

    Example:
        >>> from flatmin.training.settings import Training
        >>> same_share((0, 1, 2, 5), Training(epochs=10), Training(epochs=25))
        (0, 2, 5, 12)
    """
    return tuple(dict.fromkeys(round(epoch * own.epochs / usual.epochs) for epoch in epochs))


def variations(experiment: Comparison, examples: int) -> Iterator[tuple[str, TrainingSettings, tuple[str, int] | None]]:
    """Name, settings and start (regime, epoch) of every network that a variation stands for.

    A list of batch sizes or of epochs to start from stands for several networks, whose names end with theirs.
    """
    small = experiment.regimes.get("small_batch")
    base = batch_size("regimes.small_batch", small.batch_size, examples) if small else min(BASE, examples)
    for key, variation in experiment.variations.items():
        listed = isinstance(variation.batch_size, tuple)
        for entry in variation.batch_size if isinstance(variation.batch_size, tuple) else (variation.batch_size,):
            size = batch_size(f"variations.{key}", entry, examples)
            name = f"{key}_{size}" if listed else key
            if variation.swap is not None:
                batch_size(f"variations.{key}.swap", variation.swap.batch_size, examples)
            remedies = {"augmentation": variation.augmentation, "method": variation.method, "swap": variation.swap}
            with naming(f"variations.{key}.training"):
                training = variation.for_batch(variation.trained_by(experiment.training), size, base, examples)
                kept = followed(experiment, training, variation)
                settings = settings_of(training, size, snapshots=kept, **remedies)
            if variation.start is None:
                yield name, settings, None
                continue
            for epoch in variation.start.epochs:
                yield f"{name}_{epoch}", settings, (variation.start.regime, epoch)


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Say of settings that do not go together where the file has them.

    Raises:
        ConfigError: If some do not.
    """
    try:
        yield
    except ValueError as error:
        raise ConfigError(re.sub(r"^`(\S+)`", rf"{key}.\1", str(error))) from error


def settings_of(training: Training, size: int, **others: Any) -> TrainingSettings:
    """A way of training with a batch size."""
    return TrainingSettings(size, **{field.name: getattr(training, field.name) for field in fields(training)}, **others)


def batch_size(key: str, size: int | str, examples: int) -> int:
    """A batch size as a number.

    Raises:
        ConfigError: If it is not a whole number or percentage, below one, or larger than the data.
    """
    try:
        return resolved_size(size, examples)
    except ValueError as error:
        raise ConfigError(str(error).replace("`batch_size`", f"{key}.batch_size")) from error


def check_order(sizes: dict[str, int], examples: int) -> None:
    """Refuse a large batch that is not larger than the small one: every comparison would be told the wrong way round.

    Raises:
        ConfigError: If it is.
    """
    small, large = sizes.get("small_batch"), sizes.get("large_batch")
    if small is not None and large is not None and large <= small:
        raise ConfigError(
            f"regimes.large_batch.batch_size must be above the small batch of {small}, got {large} of {examples} "
            f"examples; set regimes.large_batch.batch_size to more, say '50%', or the small one to less."
        )


def check_distinct(ways: dict[str, TrainingStep]) -> None:
    """Refuse two names for the same training.

    Raises:
        ConfigError: If two differ in nothing but their snapshots.
    """
    seen: dict[str, str] = {}
    for name, step in ways.items():
        setup = json.dumps(step.setup | {"training": replace(step.settings, snapshots=()).described()}, sort_keys=True)
        if setup in seen:
            raise ConfigError(
                f"{seen[setup]} and {name} must differ, got batches of {step.settings.batch_size} for both."
            )
        seen[setup] = name


def fingerprint(dataset: Dataset) -> str:
    """One hash of the md5s of the files that hold the data."""
    text = json.dumps(sorted(dataset.provenance["files"].items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
