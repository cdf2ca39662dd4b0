"""From the settings of the correlation study to its trainings and measures."""

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.experiments.budget import cut
from flatmin.experiments.small_networks import relu_network, small_images
from flatmin.experiments.study import Study
from flatmin.measures.measure import Asked, Measure
from flatmin.results.remarks import Remark
from flatmin.studies.correlation.measured import GridMeasures
from flatmin.studies.correlation.settings import Correlation, offered
from flatmin.studies.correlation.trainings import GridTraining


def study_of(experiment: Correlation, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan a training and its measures for each point of the grid; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If they have no classes or too few examples, or no measure is cheap enough.
    """
    images = small_images(
        experiment.data,
        pool=experiment.pool,
        test_examples=experiment.test_examples,
        budget=experiment.budget,
        batch_sizes=experiment.batch_sizes,
        root=data_root,
        download=download,
    )
    dataset, data, count, asked_epochs = images.dataset, images.setup, images.setup["examples"], experiment.epochs
    experiment = cut(experiment, experiment.budget)
    if max(experiment.batch_sizes) > count:
        raise ConfigError(f"batch_sizes must be at most the {count:,} examples, got {max(experiment.batch_sizes):,}.")
    taken, dear = priced(experiment, count)
    if not taken:
        raise ConfigError(f"passes must allow some measure, got {experiment.passes:,}; all cost more.")
    grid = product(
        experiment.seeds,
        experiment.batch_sizes,
        experiment.learning_rates,
        experiment.widths,
        experiment.weight_decays,
    )
    trainings = [
        GridTraining(data, batch, rate, width, decay, seed, experiment.target, experiment.epochs)
        for seed, batch, rate, width, decay in grid
    ]
    steps: list[Any] = [step for one in trainings for step in (one, GridMeasures(one, tuple(taken)))]
    return Study(
        experiment,
        steps,
        images.laboratory(
            folder,
            experiment.resources.device,
            partial(relu_network, width=experiment.widths[0]),
            each=partial(cross_entropy, reduction="none"),
        ),
        outline=(
            f"{len(trainings)} ReLU networks on {count:,} examples of {dataset.name}, to a cross-entropy of "
            f"{experiment.target:g}; {len({measure.name for measure, _ in taken})} measures of each",
        ),
        tags=("correlation", dataset.name),
        reduced=[
            *images.reduced,
            *fewer_epochs(experiment.epochs, asked_epochs),
            *(Remark(f"{name} left out: {reason}") for name, reason in (experiment.left_out | dear).items()),
        ],
        origins={"data": dataset.provenance},
    )


def priced(experiment: Correlation, count: int) -> tuple[list[tuple[Measure[Any], Asked]], dict[str, str]]:
    """What is asked of each measure that is cheap enough, and why each other one is left out."""
    taken, dear = list[tuple[Measure[Any], Asked]](), dict[str, str]()
    for name in experiment.wanted:
        measure, settings = offered()[name], experiment.settings_of(name)
        asked = list(measure.plan(settings, count, min(settings.examples or count, count)))
        passes = sum(one.passes for one in asked)
        if passes > experiment.passes:
            dear[name] = f"{passes:,.0f} passes over the examples"
        else:
            taken += [(measure, one) for one in asked]
    return taken, dear


def fewer_epochs(epochs: int, asked: int) -> list[Remark]:
    """A remark where a budget has cut the epochs."""
    return [Remark(f"At most {epochs:,} of {asked:,} epochs")] if epochs < asked else []
