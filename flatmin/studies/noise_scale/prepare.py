"""From the settings of the noise-scale study to its trainings and measures."""

from functools import partial
from pathlib import Path
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.experiments.budget import cut
from flatmin.experiments.small_networks import relu_network, small_images
from flatmin.experiments.study import Study
from flatmin.results.remarks import Remark
from flatmin.studies.noise_scale.gradient_noise import NoiseAlong
from flatmin.studies.noise_scale.schedules import KINDS, ScheduleTraining
from flatmin.studies.noise_scale.settings import NoiseScale
from flatmin.studies.noise_scale.sharpness import BatchSharpness
from flatmin.studies.noise_scale.trainings import BatchTrainings


def study_of(experiment: NoiseScale, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan a stack of trainings and its measures for each batch size; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If they have no classes or too few examples.
    """
    sizes = {"batch_sizes": max(experiment.batch_sizes)}
    if experiment.swap:
        sizes["swap.batch_size"] = experiment.swap.batch_size
    images = small_images(
        experiment.data,
        pool=experiment.pool,
        test_examples=experiment.test_examples,
        budget=experiment.budget,
        batch_sizes=sizes.values(),
        root=data_root,
        download=download,
    )
    asked, data, count = experiment, images.setup, images.setup["examples"]
    experiment = cut(experiment, experiment.budget)
    for name, size in sizes.items():
        if size > count:
            raise ConfigError(f"{name} must be at most the {count:,} examples, got {size:,}.")
    width, momentum, seeds = experiment.width, experiment.momentum, experiment.seeds
    grid = [
        BatchTrainings(
            data,
            width,
            size,
            experiment.learning_rates,
            momentum,
            seeds,
            experiment.target,
            experiment.epochs,
            experiment.equal_epochs,
        )
        for size in experiment.batch_sizes
    ]
    steps: list[Any] = [step for one in grid for step in (one, BatchSharpness(one))]
    rate, size = min(experiment.learning_rates), min(experiment.batch_sizes)
    steps.append(NoiseAlong(data, width, size, rate, momentum, seeds, experiment.epochs))
    if experiment.swap:
        steps += [ScheduleTraining(data, width, kind, experiment.swap, momentum, seeds) for kind in KINDS]
    networks = len(experiment.learning_rates) * len(experiment.batch_sizes) * len(seeds)
    return Study(
        experiment,
        steps,
        images.laboratory(folder, experiment.resources.device, partial(relu_network, width=width)),
        outline=(
            f"{networks} ReLU networks on {count:,} examples of {images.dataset.name}: "
            f"{len(experiment.learning_rates)} learning rates by {len(experiment.batch_sizes)} batch sizes by "
            f"{len(seeds)} seeds, to a cross-entropy of {experiment.target:g} and for {experiment.equal_epochs} epochs",
        ),
        tags=("noise scale", images.dataset.name),
        reduced=[*images.reduced, *fewer_epochs(experiment, asked)],
        origins={"data": images.dataset.provenance},
    )


def fewer_epochs(experiment: NoiseScale, asked: NoiseScale) -> list[Remark]:
    """A remark where a budget has cut the epochs."""
    if experiment.epochs == asked.epochs:
        return []
    equal = f"{experiment.equal_epochs:,} of {asked.equal_epochs:,} for the comparison at equal epochs"
    return [Remark(f"At most {experiment.epochs:,} of {asked.epochs:,} epochs, {equal}")]
