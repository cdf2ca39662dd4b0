"""Small ReLU networks on averaged images: what studies train by the hundred, to the same loss or for the same time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import Dataset, load
from flatmin.data.batches import Pair
from flatmin.data.dataset import Split
from flatmin.experiments.budget import examples_for
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.setups import Data
from flatmin.objective.each import Loss
from flatmin.results import Store
from flatmin.results.remarks import Remark


def relu_network(inputs: int, classes: int, width: int) -> nn.Module:
    """Two hidden layers of ReLU."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def scores(network: nn.Module, data: Pair) -> tuple[float, float]:
    """Cross-entropy and accuracy."""
    with torch.no_grad():
        outputs = network(data.inputs)
        right = (outputs.argmax(1) == data.targets).double().mean()
        return float(cross_entropy(outputs, data.targets)), float(right)


@dataclass(frozen=True)
class SmallImages:
    """The first examples of a data set as vectors.

    Attributes:
        dataset: Inputs (N, pixels), less the training mean, over the training standard deviation.
        setup: What fixes them, for the setup of a step.
        reduced: What is less than all.
    """

    dataset: Dataset
    setup: dict[str, Any]
    reduced: list[Remark]

    def laboratory(
        self, folder: Path, device: str, build: Callable[[int, int], nn.Module], each: Loss | None = None
    ) -> Laboratory:
        """Where networks are trained on them by the cross-entropy.

        Args:
            folder: Of the records.
            device: As in an experiment's ``resources``.
            build: Makes the network, from how many inputs and classes there are.
            each: The loss of every example, where a step asks for it.
        """
        return Laboratory(
            resolved_device(device),
            Store(folder),
            dataset=self.dataset,
            build=partial(build, self.setup["inputs"], self.setup["classes"]),
            loss=cross_entropy,
            each=each,
        )


def small_images(
    wanted: Data,
    *,
    pool: int,
    test_examples: int | None,
    budget: float,
    batch_sizes: Iterable[int | str] = (),
    root: Path | None,
    download: bool,
) -> SmallImages:
    """Load a data set and make small vectors of its first examples.

    Args:
        wanted: Which, and how many training examples; a budget leaves a share of them.
        pool: Images are averaged over squares of so many pixels a side.
        test_examples: The first so many test examples; ``None`` takes all.
        budget: The share.
        batch_sizes: Sizes for which it leaves examples enough.
        root: Folder searched first for the data.
        download: Fetch data that are nowhere.

    Raises:
        DataError: If the data are absent or damaged.
        ConfigError: If they have no classes, or fewer examples or pixels than asked for.
    """
    whole = load(wanted.name, root=root, split=wanted.split, verify=wanted.verify, download=download)
    if whole.num_classes == 0:
        raise ConfigError(f"data must have classes, {whole.name} has real targets.")
    sides = whole.train.inputs.shape[2:]
    if sides and pool > min(sides):
        raise ConfigError(f"pool must be at most the {min(sides)} pixels of a side of {whole.name}, got {pool}.")
    available = len(whole.train)
    count = examples_for(budget, wanted.examples or available, batch_sizes)
    tests = test_examples or len(whole.test)
    if tests > len(whole.test):
        raise ConfigError(f"test_examples must be at most the {len(whole.test):,} of {whole.name}, got {tests:,}.")
    if count > available:
        raise ConfigError(f"data.examples must be at most the {available} of {whole.name}, got {count}.")
    dataset = pooled(replace(whole, train=whole.train.first(count)), pool, tests)
    setup = {"name": dataset.name, "examples": count, "test_examples": tests, "pool": pool}
    setup |= {"inputs": dataset.train.inputs.shape[1], "classes": dataset.num_classes}
    pairs = ((count, available, "training"), (tests, len(whole.test), "test"))
    reduced = [Remark(f"The first {used:,} of {all_:,} {split} examples") for used, all_, split in pairs if used < all_]
    return SmallImages(dataset, setup | {"files": dict(dataset.provenance["files"])}, reduced)


def pooled(dataset: Dataset, pool: int, tests: int) -> Dataset:
    """The data as vectors, averaged over squares; less the training mean, over the training standard deviation."""
    train, test = (_vectors(split, pool) for split in (dataset.train, dataset.test.first(tests)))
    mean, deviation = train.inputs.mean(0), train.inputs.std()
    train, test = (replace(split, inputs=(split.inputs - mean) / deviation) for split in (train, test))
    return replace(dataset, train=train, test=test)


def _vectors(split: Split, pool: int) -> Split:
    inputs = avg_pool2d(split.inputs, pool) if split.inputs.ndim == 4 and pool > 1 else split.inputs
    return replace(split, inputs=inputs.flatten(1))
