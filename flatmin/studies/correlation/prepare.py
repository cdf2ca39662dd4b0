"""From the settings of the correlation study to its trainings and measures."""

from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from torch.nn.functional import avg_pool2d, cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset, load
from flatmin.data.dataset import Split
from flatmin.experiments.budget import cut, portion
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.study import Study
from flatmin.measures.measure import Asked, Measure
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.studies.comparison.prepare import shortened
from flatmin.studies.correlation.measured import GridMeasures
from flatmin.studies.correlation.settings import Correlation, offered
from flatmin.studies.correlation.trainings import GridTraining, relu_network


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
    wanted, asked_epochs = experiment.data, experiment.epochs
    whole = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
    if whole.num_classes == 0:
        raise ConfigError(f"data must have classes, {whole.name} has real targets.")
    count = portion(experiment.budget, wanted.examples or len(whole.train))
    tests = experiment.test_examples or len(whole.test)
    if tests > len(whole.test):
        raise ConfigError(f"test_examples must be at most the {len(whole.test):,} of {whole.name}, got {tests:,}.")
    dataset = pooled(shortened(whole, count), experiment.pool, tests)
    experiment = cut(experiment, experiment.budget)
    if max(experiment.batch_sizes) > count:
        raise ConfigError(f"batch_sizes must be at most the {count:,} examples, got {max(experiment.batch_sizes):,}.")
    taken, dear = priced(experiment, count)
    if not taken:
        raise ConfigError(f"passes must allow some measure, got {experiment.passes:,}; all cost more.")
    inputs, classes = dataset.train.inputs.shape[1], dataset.num_classes
    data = {"name": dataset.name, "examples": count, "test_examples": tests, "pool": experiment.pool}
    data |= {"inputs": inputs, "classes": classes, "files": dict(dataset.provenance["files"])}
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
        Laboratory(
            resolved_device(experiment.resources.device),
            Store(folder),
            dataset=dataset,
            build=partial(relu_network, inputs, classes, experiment.widths[0]),
            loss=cross_entropy,
            each=partial(cross_entropy, reduction="none"),
        ),
        outline=(
            f"{len(trainings)} ReLU networks on {count:,} examples of {dataset.name}, to a cross-entropy of "
            f"{experiment.target:g}; {len({measure.name for measure, _ in taken})} measures of each",
        ),
        tags=("correlation", dataset.name),
        reduced=[
            *reductions(experiment, asked_epochs, (count, len(whole.train)), (tests, len(whole.test))),
            *(Remark(f"{name} left out: {reason}") for name, reason in (experiment.left_out | dear).items()),
        ],
        origins={"data": dataset.provenance},
    )


def pooled(dataset: Dataset, pool: int, tests: int) -> Dataset:
    """The data as vectors, averaged over squares; less the training mean, over the training standard deviation."""
    train, test = (_vectors(split, pool) for split in (dataset.train, dataset.test.first(tests)))
    mean, deviation = train.inputs.mean(0), train.inputs.std()
    train, test = (replace(split, inputs=(split.inputs - mean) / deviation) for split in (train, test))
    return replace(dataset, train=train, test=test)


def _vectors(split: Split, pool: int) -> Split:
    inputs = avg_pool2d(split.inputs, pool) if split.inputs.ndim == 4 and pool > 1 else split.inputs
    return replace(split, inputs=inputs.flatten(1))


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


def reductions(experiment: Correlation, epochs: int, train: tuple[int, int], test: tuple[int, int]) -> list[Remark]:
    """A remark on what is less than all."""
    found = []
    if train[0] < train[1]:
        found.append(Remark(f"The first {train[0]:,} of {train[1]:,} training examples"))
    if test[0] < test[1]:
        found.append(Remark(f"The first {test[0]:,} of {test[1]:,} test examples"))
    if experiment.epochs < epochs:
        found.append(Remark(f"At most {experiment.epochs:,} of {epochs:,} epochs"))
    return found
