"""From the settings of basin and canyon to its minima and lines."""

from functools import partial
from pathlib import Path
from typing import Any

from flatmin.core.errors import ConfigError
from flatmin.data.batches import resolved_size
from flatmin.experiments.budget import cut
from flatmin.experiments.small_networks import relu_network, small_images
from flatmin.experiments.study import Study
from flatmin.results.remarks import Remark
from flatmin.studies.basin_and_canyon.settings import BasinAndCanyon
from flatmin.studies.basin_and_canyon.steps import LinesStep, MinimumStep

REGIMES = ("small_batch", "large_batch")


def study_of(experiment: BasinAndCanyon, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan two minima a seed, and the lines through each; nothing is written.

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
    data = images.setup
    sizes = batch_sizes(experiment.small_batch, experiment.large_batch, data["examples"])
    steps: list[Any] = []
    for seed in experiment.seeds:
        small, large = (
            MinimumStep(
                data,
                experiment.width,
                regime,
                size,
                experiment.learning_rate,
                seed,
                experiment.target,
                experiment.epochs,
            )
            for regime, size in zip(REGIMES, sizes, strict=True)
        )
        drawn = (experiment.directions, experiment.rise, experiment.points)
        steps += [small, large, LinesStep(small, large, *drawn), LinesStep(large, small, *drawn)]
    fewer = [Remark(f"At most {experiment.epochs:,} of {whole:,} epochs")] if experiment.epochs < whole else []
    return Study(
        experiment,
        steps,
        images.laboratory(folder, experiment.resources.device, partial(relu_network, width=experiment.width)),
        outline=(
            f"ReLU network {experiment.width} wide on {data['examples']:,} examples of {data['name']}, batches of "
            f"{sizes[0]:,} and {sizes[1]:,}, to a cross-entropy of {experiment.target:g}",
        ),
        tags=("basin and canyon", data["name"]),
        reduced=[*images.reduced, *fewer],
        origins={"data": images.dataset.provenance},
    )


def batch_sizes(small: int | str, large: int | str, examples: int) -> tuple[int, int]:
    """Both batch sizes as numbers.

    Raises:
        ConfigError: If one does not fit the examples, or the large one is not larger.
    """
    try:
        found = resolved_size(small, examples), resolved_size(large, examples)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if found[0] >= found[1]:
        raise ConfigError(f"large_batch must be larger than small_batch, got {found[1]:,} and {found[0]:,}.")
    return found
