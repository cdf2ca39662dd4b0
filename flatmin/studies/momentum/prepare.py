"""From the settings of the study of momentum to its steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.experiments.budget import cut
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.study import Study
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.studies.edge_of_stability.prepare import centred
from flatmin.studies.edge_of_stability.steps import tanh_network
from flatmin.studies.momentum import ball, ends, saddle
from flatmin.studies.momentum.identity import IdentityStep
from flatmin.studies.momentum.settings import MomentumStudy


def study_of(experiment: MomentumStudy, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the steps; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If there are fewer examples than asked for, the data have no classes, or nothing is asked for.
    """
    asked, wanted = experiment, experiment.data
    experiment = cut(experiment, experiment.budget)
    if all(part is None for part in (asked.identity, asked.ball, asked.saddle, asked.ends)):
        raise ConfigError("identity, ball, saddle and ends must not all be null; leave one of them in.")
    dataset = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
    available, count = len(dataset.train), experiment.data.examples or len(dataset.train)
    if dataset.num_classes == 0:
        raise ConfigError(f"data must have classes, {dataset.name} has real targets.")
    if count > available:
        raise ConfigError(f"data.examples must be at most the {available:,} of {wanted.name}, got {count}.")
    dataset = centred(replace(dataset, train=dataset.train.first(count)))
    inputs = dataset.train.inputs[0].numel()
    data = {"name": dataset.name, "examples": count, "files": dict(dataset.provenance["files"])}
    network = {"name": "tanh", "width": experiment.width, "inputs": inputs, "classes": dataset.num_classes}
    laboratory = Laboratory(
        resolved_device(experiment.resources.device),
        Store(folder),
        dataset=dataset,
        build=lambda: tanh_network(inputs, dataset.num_classes, experiment.width),
        loss=cross_entropy,
        each=None,
    )
    return Study(
        experiment,
        steps_of(experiment, data, network),
        laboratory,
        outline=(f"tanh network {experiment.width} wide on {count:,} examples of {dataset.name}",),
        tags=("momentum", dataset.name),
        reduced=reductions(asked, experiment, count, available),
        origins={"data": dataset.provenance},
    )


def steps_of(experiment: MomentumStudy, data: dict[str, Any], network: dict[str, Any]) -> list[Any]:
    """The steps of all parts, those that take seconds first."""
    steps = list[Any]()
    if (asked := experiment.identity) is not None:
        ways = [(schedule, seed) for schedule in ("constant", "drop") for seed in experiment.seeds]
        steps += [IdentityStep(data, network, asked, schedule, seed) for schedule, seed in ways]
    if experiment.ball is not None:
        steps += [ball.RollStep(experiment.ball), ball.SweepStep(experiment.ball)]
    if experiment.saddle is not None:
        steps += saddle.steps_of(experiment.saddle)
    if experiment.ends is not None:
        for seed in experiment.seeds:
            steps += ends.steps_of(data, network, experiment.ends, seed)
    return steps


def reductions(asked: MomentumStudy, done: MomentumStudy, count: int, available: int) -> list[Remark]:
    """A remark on what is less than all."""
    found = []
    if count < available:
        found.append(Remark(f"Trained on the first {count:,} of {available:,} examples"))
    if asked.ends and done.ends and done.ends.epochs < asked.ends.epochs:
        found.append(Remark(f"{done.ends.epochs} of {asked.ends.epochs} epochs"))
    return found
