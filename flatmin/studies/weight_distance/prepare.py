"""From the settings to a training for each batch size, rule and seed."""

from pathlib import Path

from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.data.batches import resolved_size
from flatmin.experiments.budget import examples_for, portion
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.registry import builder
from flatmin.experiments.study import Study
from flatmin.results import Store
from flatmin.results.remarks import Remark
from flatmin.results.words import counted
from flatmin.studies.comparison.cautions import small_tails
from flatmin.studies.comparison.prepare import shortened
from flatmin.studies.weight_distance.settings import WeightDistance
from flatmin.studies.weight_distance.steps import DistanceTraining
from flatmin.training.rates import SCALINGS


def study_of(experiment: WeightDistance, *, folder: Path, data_root: Path | None, download: bool) -> Study:
    """Load the data and plan the trainings; nothing is written.

    Args:
        experiment: What to do.
        folder: Folder of its results.
        data_root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If there are fewer examples than asked for, or they do not fit the network or a batch size, or
            there is nothing to train.
    """
    wanted = experiment.data
    whole = load(wanted.name, root=data_root, split=wanted.split, verify=wanted.verify, download=download)
    left = examples_for(experiment.budget, wanted.examples or len(whole.train), experiment.batch_sizes)
    dataset = shortened(whole, left)
    count, store = len(dataset.train), Store(folder)
    sizes = sizes_of(experiment, count)
    data = {"name": dataset.name, "examples": count, "files": dict(dataset.provenance["files"])}
    network = experiment.network.model_dump(exclude_none=True)
    updates = portion(experiment.budget, experiment.updates)
    steps = [
        DistanceTraining(
            data,
            network,
            size,
            rule,
            rate_of(experiment, rule, size, min(sizes)),
            experiment.momentum,
            updates,
            experiment.points,
            seed,
        )
        for seed in experiment.seeds
        for rule in experiment.rules
        for size in sizes
        if rule == "same" or size > min(sizes)
    ]
    if not steps:
        raise ConfigError(
            f"rules must have same where there is one batch size, as the others change the rates of larger ones, got "
            f"{', '.join(experiment.rules)}."
        )
    reduced = []
    if count < len(whole.train):
        reduced.append(Remark(f"The first {count:,} of {len(whole.train):,} training examples"))
    if updates < experiment.updates:
        reduced.append(Remark(f"{updates:,} of {experiment.updates:,} updates"))
    return Study(
        experiment,
        list(steps),
        Laboratory(
            resolved_device(experiment.resources.device),
            store,
            dataset=dataset,
            build=builder(experiment.network, dataset),
            loss=cross_entropy,
            each=None,
        ),
        outline=(
            f"{experiment.network.label} on {count:,} examples of {dataset.name}, batches of "
            f"{', '.join(f'{size:,}' for size in sizes)}, {counted(updates, 'update')} each",
        ),
        tags=("distance from the start", experiment.network.label, dataset.name),
        reduced=reduced,
        cautions=[*small_tails(count, sizes)],
        origins={"data": dataset.provenance},
    )


def rate_of(experiment: WeightDistance, rule: str, size: int, base: int) -> float:
    """The learning rate of a batch size."""
    rate = experiment.learning_rate
    return rate if rule == "same" else SCALINGS[rule](rate, size, base=base)


def sizes_of(experiment: WeightDistance, examples: int) -> list[int]:
    """The batch sizes, small before large.

    Raises:
        ConfigError: If one is 1 or larger than the data.
    """
    try:
        sizes = sorted({resolved_size(size, examples) for size in experiment.batch_sizes})
    except ValueError as error:
        raise ConfigError(f"batch_sizes: {error}") from None
    if sizes[0] < 2:
        raise ConfigError(f"batch_sizes must be 2 or more, as BatchNorm needs two examples, got {sizes[0]}.")
    return sizes
