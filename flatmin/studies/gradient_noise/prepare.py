"""From the settings of the gradient noise to its steps."""

from functools import partial
from pathlib import Path
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.experiments.budget import cut
from flatmin.experiments.small_networks import small_images
from flatmin.experiments.study import Study
from flatmin.results.remarks import Remark
from flatmin.studies.edge_of_stability.steps import tanh_network
from flatmin.studies.gradient_noise.settings import GradientNoise
from flatmin.studies.gradient_noise.steps import NoiseStep
from flatmin.studies.gradient_noise.stuck import StuckStep


def study_of(experiment: GradientNoise, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan a training a seed, and the points at which batches are stuck; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If there are fewer examples than asked for, or too few for a batch.
    """
    asked = max(experiment.epochs)
    least = [max(experiment.batch_sizes) + 1]
    if experiment.stuck:
        least.append(2 * max(experiment.stuck.batch_sizes))
    images = small_images(
        experiment.data,
        pool=experiment.pool,
        test_examples=None,
        budget=experiment.budget,
        batch_sizes=least,
        root=data_root,
        download=download,
    )
    experiment = cut(experiment, experiment.budget)
    data, count = images.setup, images.setup["examples"]
    if max(experiment.batch_sizes) >= count:
        raise ConfigError(f"batch_sizes must be below the {count:,} examples, got {max(experiment.batch_sizes):,}.")
    steps: list[Any] = [
        NoiseStep(
            data,
            experiment.width,
            seed,
            experiment.epochs,
            experiment.learning_rate,
            experiment.training_batch,
            experiment.batch_sizes,
            experiment.draws,
            experiment.least,
        )
        for seed in experiment.seeds
    ]
    if stuck := experiment.stuck:
        if 2 * max(stuck.batch_sizes) > count:
            raise ConfigError(
                f"stuck.batch_sizes must be at most half of the {count:,} examples, so that there is another batch, "
                f"got {max(stuck.batch_sizes):,}."
            )
        steps += [
            StuckStep(data, experiment.width, seed, experiment.learning_rate, size, stuck)
            for size in stuck.batch_sizes
            for seed in experiment.seeds
        ]
    shortened = [Remark(f"{max(experiment.epochs):,} of {asked:,} epochs")] if max(experiment.epochs) < asked else []
    return Study(
        experiment,
        steps,
        images.laboratory(folder, experiment.resources.device, partial(tanh_network, width=experiment.width)),
        outline=(f"tanh network {experiment.width} wide on {count:,} examples of {data['name']}, no BatchNorm",),
        tags=("gradient noise", data["name"]),
        reduced=[*(one for one in images.reduced if "test" not in one.text), *shortened],
        origins={"data": images.dataset.provenance},
    )
