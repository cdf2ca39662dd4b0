"""From the settings of a study of remedies to its steps: those of the comparison, with learning rates tried before."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset
from flatmin.data.batches import resolved_size
from flatmin.experiments.step import Step
from flatmin.experiments.study import Study
from flatmin.experiments.training_step import TrainingStep
from flatmin.results import Store
from flatmin.studies.comparison.plan import steps_of
from flatmin.studies.comparison.prepare import prepare
from flatmin.studies.comparison.trainings import trainings
from flatmin.studies.remedies.settings import Remedies, Tuning
from flatmin.studies.remedies.trainings import Candidate, TunedTraining

SMALL, LARGE = "small_batch", "large_batch"


def study_of(experiment: Remedies, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the steps; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If the setup does not fit the data, or the device is absent.
    """
    return prepare(experiment, folder=folder, data_root=data_root, download=download, planned=plan)


def plan(experiment: Remedies, dataset: Dataset, own: Mapping[str, dict[str, Any]], store: Store) -> list[Step]:
    """The tuning runs, then every step of the comparison.

    Raises:
        ConfigError: If too few examples are left to tune on, or the comparison's own plan is refused.
    """
    available = len(dataset.train)
    found = trainings(experiment, dataset, own)
    tried: dict[str, tuple[Candidate, ...]] = {}
    if experiment.tuning is not None:
        validation = validation_of(experiment.tuning, available)
        ways = next(iter(found.values()))
        tried = {
            name: candidates(step, experiment.tuning, validation)
            for name, step in ways.items()
            if SMALL not in ways or name in own_rates(experiment)
        }
    tuned = {seed: tuned_ways(ways, tried) for seed, ways in found.items()}
    return [*(one for several in tried.values() for one in several), *steps_of(experiment, tuned, available, store)]


def own_rates(experiment: Remedies) -> list[str]:
    """The ways whose learning rate is tuned on its own.

    The others have the small batch's: the large batch, what a rule makes of it, what has as many updates, and what
    begins with the small batch.
    """
    ruled = [
        name
        for name, way in experiment.variations.items()
        if way.scaling or way.regime_adaptation or way.start or way.trained_by(experiment.training).growing_batch
    ]
    return [SMALL, *(name for name in experiment.variations if name not in ruled)]


def validation_of(tuning: Tuning, available: int) -> int:
    """How many examples the tuning runs are judged by.

    Raises:
        ConfigError: If that is a single one, or leaves none to train on.
    """
    wanted = resolved_size(tuning.validation, available) if isinstance(tuning.validation, str) else tuning.validation
    if wanted < 2:
        raise ConfigError(
            f"tuning.validation must be at least 2 of the {available:,} training examples, got {wanted:,}."
        )
    if wanted >= available:
        raise ConfigError(f"tuning.validation must leave some of the {available:,} training examples, got {wanted:,}.")
    return wanted


def candidates(step: TrainingStep, tuning: Tuning, validation: int) -> tuple[Candidate, ...]:
    """A run for each factor, from the start of the tuning seed.

    Raises:
        ConfigError: If a batch is larger than what is left to train on.
    """
    left = int(step.data["examples"]) - validation
    swap = step.settings.swap
    largest = max(step.settings.batch_size, swap.batch_size if swap else 0)
    if largest > left:
        raise ConfigError(
            f"tuning.validation must leave a whole batch of {largest:,} ({step.regime}), leaves {left:,} examples."
        )
    settings = replace(step.settings, snapshots=())
    for factor in tuning.factors:
        if not 0 < settings.learning_rate * factor < math.inf:
            raise ConfigError(
                f"tuning.factors must leave positive, finite learning rates, got {factor:g} times "
                f"{settings.learning_rate:g} ({step.regime})."
            )
    return tuple(
        Candidate(
            step.data | {"examples": left},
            step.network,
            replace(settings, learning_rate=settings.learning_rate * factor),
            step.regime,
            tuning.seed,
            loss=step.loss,
            factor=factor,
            validation=validation,
        )
        for factor in tuning.factors
    )


def tuned_ways(ways: Mapping[str, TrainingStep], tried: Mapping[str, tuple[Candidate, ...]]) -> dict[str, TrainingStep]:
    """The trainings of a seed with what was tried for each; the large batch takes the small batch's."""
    found: dict[str, TrainingStep] = {}
    for name, step in ways.items():
        origin = None if step.origin is None else (found[step.origin[0].regime], step.origin[1])
        found[name] = TunedTraining(
            step.data,
            step.network,
            step.settings,
            step.regime,
            step.seed,
            origin,
            step.loss,
            candidates=tried.get(name, tried.get(SMALL, ())),
            own=name in tried,
        )
    return found
