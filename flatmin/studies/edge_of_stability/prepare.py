"""From the settings of the edge of stability to its trainings."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset, load
from flatmin.experiments.budget import cut
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.study import Study
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.studies.edge_of_stability.settings import EdgeOfStability
from flatmin.studies.edge_of_stability.steps import LOSSES, EdgeStep, tanh_network


def study_of(experiment: EdgeOfStability, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the trainings; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If there are fewer examples than asked for, or a batch is larger than all of them.
    """
    wanted, whole = experiment.data, experiment.steps
    experiment = cut(experiment, experiment.budget)
    dataset = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
    available, count = len(dataset.train), wanted.examples or len(dataset.train)
    if count > available:
        raise ConfigError(f"data.examples must be at most the {available:,} of {wanted.name}, got {count}.")
    dataset = centred(replace(dataset, train=dataset.train.first(count)))
    for way in experiment.ways:
        if way.batch_size and way.batch_size >= count:
            raise ConfigError(f"ways.batch_size must be below the {count:,} examples, got {way.batch_size}; use null.")
    inputs = dataset.train.inputs[0].numel()
    data = {"name": dataset.name, "examples": count, "files": dict(dataset.provenance["files"])}
    network = {"name": "tanh", "width": experiment.width, "inputs": inputs, "classes": dataset.num_classes}
    fixed = {"every": experiment.every, "tolerance": experiment.tolerance, "loss": experiment.loss}
    steps = [
        EdgeStep(data, network, way=way, seed=seed, steps=experiment.steps, **fixed)  # type: ignore[arg-type]
        for seed in experiment.seeds
        for way in experiment.ways
    ]
    laboratory = Laboratory(
        resolved_device(experiment.resources.device),
        Store(folder),
        dataset=dataset,
        build=lambda: tanh_network(inputs, dataset.num_classes, experiment.width),
        loss=LOSSES[experiment.loss],
        each=None,
    )
    return Study(
        experiment,
        list(steps),
        laboratory,
        outline=(
            f"tanh network {experiment.width} wide on {count:,} examples of {dataset.name}, {experiment.steps:,} steps",
        ),
        tags=("edge of stability", dataset.name),
        reduced=reductions(experiment, whole, count, available),
        origins={"data": dataset.provenance},
    )


def centred(dataset: Dataset) -> Dataset:
    """The data with each channel of the inputs less its mean over the training examples."""
    train, test = dataset.train, dataset.test
    axes = [0, *range(2, train.inputs.ndim)]
    mean: Tensor = train.inputs.double().mean(axes, keepdim=True).to(train.inputs)
    return replace(
        dataset, train=replace(train, inputs=train.inputs - mean), test=replace(test, inputs=test.inputs - mean)
    )


def reductions(experiment: EdgeOfStability, whole: int, count: int, available: int) -> list[Remark]:
    """A remark on what is less than all."""
    found = []
    if count < available:
        found.append(Remark(f"Trained on the first {count:,} of {available:,} examples"))
    if experiment.steps < whole:
        found.append(Remark(f"{experiment.steps:,} of {whole:,} steps"))
    return found
