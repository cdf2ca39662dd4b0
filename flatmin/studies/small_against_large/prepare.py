"""From the settings of small against large to its trainings, gradients and timings."""

import math
from functools import partial
from pathlib import Path
from typing import Any

from flatmin.experiments.budget import cut
from flatmin.experiments.devices import device_name, resolved_device
from flatmin.experiments.small_networks import relu_network, small_images
from flatmin.experiments.study import Study
from flatmin.results.remarks import Remark
from flatmin.studies.basin_and_canyon.prepare import batch_sizes
from flatmin.studies.small_against_large.settings import SmallAgainstLarge
from flatmin.studies.small_against_large.times import TimesStep
from flatmin.studies.small_against_large.trainings import GradientsStep, TrainingStep


def study_of(experiment: SmallAgainstLarge, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the timings, two trainings a seed and the draws of gradients; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If there are fewer examples than asked for, or the large batch is not larger.
    """
    whole = experiment.epochs
    images = small_images(
        experiment.data,
        pool=experiment.pool,
        test_examples=experiment.test_examples,
        budget=experiment.budget,
        batch_sizes=(experiment.small_batch, experiment.large_batch),
        root=data_root,
        download=download,
    )
    experiment = cut(experiment, experiment.budget)
    data, device = images.setup, resolved_device(experiment.resources.device)
    sizes = batch_sizes(experiment.small_batch, experiment.large_batch, data["examples"])
    trained = (experiment.optimizer, experiment.learning_rate)
    updates = experiment.epochs * math.ceil(data["examples"] / sizes[0])
    doubled = tuple(sizes[0] * 2**k for k in range(1, math.ceil(math.log2(data["examples"] / sizes[0])) + 1))
    others = tuple(size for size in doubled if size <= data["examples"] and size not in sizes)
    steps: list[Any] = [
        TimesStep(data, experiment.width, sizes, others, *trained, experiment.rounds, device_name(device))
    ]
    for seed in experiment.seeds:
        small, large = (
            TrainingStep(data, experiment.width, size, *trained, seed, experiment.epochs, updates, experiment.target)
            for size in sizes
        )
        steps += [small, large, GradientsStep(small, sizes, experiment.draws)]
    fewer = [Remark(f"{experiment.epochs:,} of {whole:,} epochs")] if experiment.epochs < whole else []
    return Study(
        experiment,
        steps,
        images.laboratory(folder, experiment.resources.device, partial(relu_network, width=experiment.width)),
        outline=(
            f"ReLU network {experiment.width} wide on {data['examples']:,} examples of {data['name']}, batches of "
            f"{sizes[0]:,} and {sizes[1]:,}, {experiment.epochs} epochs and {updates:,} updates",
        ),
        tags=("small against large", data["name"]),
        reduced=[*images.reduced, *fewer],
        origins={"data": images.dataset.provenance},
    )
