"""From the settings to a training for each data set, batch size and seed."""

from functools import partial
from math import prod
from pathlib import Path

from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset, load
from flatmin.data.batches import resolved_size
from flatmin.experiments.budget import cut, portion
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.setups import Data
from flatmin.experiments.study import Study
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.results.words import DATA_NAMES
from flatmin.studies.batch_size.settings import BatchSizes
from flatmin.studies.batch_size.steps import BatchSizeTraining, Laboratories
from flatmin.studies.comparison.prepare import shortened
from flatmin.studies.speed.network import relu_stack


def study_of(experiment: BatchSizes, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the trainings; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If data are absent or damaged.
        ConfigError: If a set has no classes or too few examples, or leaves fewer than two batch sizes.
    """
    device, store = resolved_device(experiment.resources.device), Store(folder)
    epochs, experiment = experiment.epochs, cut(experiment, experiment.budget)
    reduced = [Remark(f"{experiment.epochs} of {epochs} epochs")] if experiment.epochs < epochs else []
    rooms, steps, origins = dict[str, Laboratory](), list[BatchSizeTraining](), {}
    for wanted in experiment.data:
        whole = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
        dataset = part_of(whole, wanted, experiment.budget)
        count, every = len(dataset.train), len(whole.train)
        inputs, classes = prod(dataset.input_shape), dataset.num_classes
        data = {"name": dataset.name, "examples": count, "files": dict(dataset.provenance["files"])}
        network = {"inputs": inputs, "classes": classes, "depth": experiment.depth, "width": experiment.width}
        build = partial(relu_stack, inputs, classes, depth=experiment.depth, width=experiment.width)
        rooms[wanted.name] = Laboratory(device, store, dataset=dataset, build=build, loss=cross_entropy, each=None)
        origins[wanted.name] = dataset.provenance
        if count < every:
            reduced.append(Remark(f"The first {count:,} of {every:,} training examples of {DATA_NAMES[wanted.name]}"))
        budgets = (experiment.learning_rate, experiment.epochs, experiment.updates, experiment.seconds)
        steps += [
            BatchSizeTraining({**data, "name": wanted.name}, network, size, *budgets, seed)
            for seed in experiment.seeds
            for size in sizes_of(experiment, wanted, count)
        ]
    return Study(
        experiment,
        list(steps),
        Laboratories(device, store, rooms=rooms),
        outline=(
            f"{experiment.depth} hidden layers of {experiment.width:,} ReLU on {', '.join(rooms)}; compared after "
            f"{experiment.epochs:,} epochs, {experiment.updates:,} updates and {experiment.seconds:g} s",
        ),
        tags=("batch size", *rooms),
        reduced=reduced,
        origins={"data": origins},
    )


def part_of(whole: Dataset, wanted: Data, budget: float) -> Dataset:
    """The training examples that are asked for, within the budget.

    Raises:
        ConfigError: If there are fewer, or no classes.
    """
    if whole.num_classes == 0:
        raise ConfigError(f"data must have classes, {whole.name} has real targets.")
    return shortened(whole, portion(budget, wanted.examples or len(whole.train)))


def sizes_of(experiment: BatchSizes, data: Data, examples: int) -> list[int]:
    """The batch sizes that a set has the examples for, small before large.

    Raises:
        ConfigError: If fewer than two are left.
    """
    asked = [size for size in experiment.batch_sizes if isinstance(size, str) or size <= examples]
    sizes = sorted({resolved_size(size, examples) for size in asked})
    if len(sizes) < 2:
        raise ConfigError(
            f"batch_sizes must have two that the {examples:,} examples of {data.name} allow, got {sizes}."
        )
    return sizes
