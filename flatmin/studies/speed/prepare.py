"""From the settings to one step: times are taken side by side or they cannot be compared."""

from functools import partial
from math import prod
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.data.batches import resolved_size
from flatmin.experiments.budget import cut
from flatmin.experiments.devices import device_name, resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.study import Study
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.results.words import counted
from flatmin.studies.comparison.prepare import shortened
from flatmin.studies.speed.network import relu_stack
from flatmin.studies.speed.settings import Speed
from flatmin.studies.speed.steps import SpeedStep


def study_of(experiment: Speed, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the one step; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If they have no classes or too few examples, a batch size does not fit, or there is no such device.
    """
    wanted, repeats = experiment.data, experiment.repeats
    experiment, device = cut(experiment, experiment.budget), resolved_device(experiment.resources.device)
    whole = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
    if whole.num_classes == 0:
        raise ConfigError(f"data must have classes, {whole.name} has real targets.")
    dataset = shortened(whole, wanted.examples)
    count, inputs = len(dataset.train), prod(dataset.input_shape)
    sizes = sizes_of(experiment, count)
    step = SpeedStep(
        {"name": dataset.name, "examples": count, "files": dict(dataset.provenance["files"])},
        {"inputs": inputs, "classes": dataset.num_classes, "depth": experiment.depth, "width": experiment.width},
        sizes,
        max(2, experiment.repeats),
        experiment.visit,
        experiment.whole,
        experiment.seed,
        device_name(device),
        torch.get_num_threads(),
    )
    return Study(
        experiment,
        [step],
        Laboratory(
            device,
            Store(folder),
            dataset=dataset,
            build=partial(relu_stack, inputs, dataset.num_classes, depth=experiment.depth, width=experiment.width),
            loss=cross_entropy,
            each=None,
        ),
        outline=(
            f"{experiment.depth} hidden layers of {experiment.width:,} ReLU on {counted(count, 'example')} of "
            f"{dataset.name}, batches of {', '.join(f'{size:,}' for size in sizes)}, {step.repeats} visits each",
        ),
        tags=("speed", dataset.name),
        reduced=[
            *([Remark(f"The first {count:,} of {len(whole.train):,} examples")] if count < len(whole.train) else []),
            *([Remark(f"{step.repeats} of {repeats} visits")] if step.repeats < repeats else []),
        ],
        origins={"data": dataset.provenance},
    )


def sizes_of(experiment: Speed, examples: int) -> tuple[int, ...]:
    """The batch sizes as numbers, small before large.

    Raises:
        ConfigError: If one is larger than the data, or two are the same.
    """
    found = []
    for size in experiment.batch_sizes:
        try:
            found.append(resolved_size(size, examples))
        except ValueError as error:
            raise ConfigError(f"batch_sizes: {str(error).replace('`', '')}") from None
    if len(set(found)) < len(found):
        raise ConfigError(f"batch_sizes must not repeat a size, got {', '.join(map(str, found))}.")
    return tuple(sorted(found))
