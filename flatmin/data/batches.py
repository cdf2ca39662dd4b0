"""Batches as slices of one tensor: in fixed order for a loss, in a seeded permutation for training."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from flatmin.core.checks import whole
from flatmin.core.cuts import cuts


class Pair(NamedTuple):
    """Inputs (N, ...) and targets (N,)."""

    inputs: Tensor
    targets: Tensor


def pair_of(name: str, value: Any) -> Pair:
    """Return inputs and targets as a :class:`Pair`, from any tuple or list of the two.

    Raises:
        TypeError: If it is something else.
    """
    whole = isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(part, Tensor) for part in value)
    if not whole:
        raise TypeError(f"`{name}` must be a pair (inputs, targets) of tensors, got {type(value).__name__}.")
    return Pair(*value)


def resolved_size(batch_size: int | str, examples: int) -> int:
    """Batch size as a number: ``256``, or ``"10%"`` of the examples, rounded up so that no short tail batch remains.

    Raises:
        ValueError: If it is not a whole number or percentage, below one, or larger than the data.

    Example:
        >>> resolved_size("10%", 60_000), resolved_size("10%", 1_437), resolved_size(256, 60_000)
        (6000, 144, 256)
    """
    if isinstance(batch_size, str):
        try:
            share = Fraction(batch_size.removesuffix("%").strip()) / 100
        except (ValueError, ZeroDivisionError):
            share = Fraction(0)
        if not (batch_size.endswith("%") and 0 < share <= 1):
            raise ValueError(f"`batch_size` must be a whole number or a percentage like '10%', got {batch_size!r}.")
        return math.ceil(share * examples)
    whole("batch_size", batch_size, minimum=1)
    if batch_size > examples:
        raise ValueError(f"`batch_size` must be at most the {examples} training examples, got {batch_size}.")
    return batch_size


class FixedBatches:
    """The data in their own order, cut into batches (views); a loader of them, where a list would be many loaders."""

    def __init__(self, inputs: Tensor, targets: Tensor, batch_size: int) -> None:
        self.inputs, self.targets = inputs, targets
        self.cuts = cuts(len(targets), min(batch_size, len(targets)))

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.cuts)

    def __iter__(self) -> Iterator[Pair]:
        """Walk through the batches."""
        return (Pair(self.inputs[a:b], self.targets[a:b]) for a, b in self.cuts)


def fixed_batches(inputs: Tensor, targets: Tensor, batch_size: int) -> list[Pair]:
    """The data in their own order, cut into a list of batches (views)."""
    return [*FixedBatches(inputs, targets, batch_size)]


class ShuffledBatches:
    """The data cut into batches, in a new permutation each time they are walked through.

    The permutation of an epoch depends on the seed and the number of the epoch alone. It is drawn on the CPU from its
    own generator, so an epoch is the same on any device and after a resumed run. Each walk is the next epoch; Lightning
    tells the number of its own, be the run resumed or not, as it tells samplers (:meth:`set_epoch`).

    Args:
        inputs: All inputs.
        targets: Their targets.
        batch_size: Examples a batch; see :func:`flatmin.core.cuts.cuts` for the last one.
        seed: Of the permutations.
        epoch: Number of the first walk.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, batch_size: int, *, seed: int, epoch: int = 0) -> None:
        self.inputs, self.targets = inputs, targets
        self.seed, self.epoch = seed, epoch
        self.cuts = cuts(len(targets), batch_size)

    @property
    def sampler(self) -> "ShuffledBatches":
        """Where Lightning looks for :meth:`set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Make the next walk that of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.cuts)

    def __iter__(self) -> Iterator[Pair]:
        """Walk through the batches of an epoch, settled as the first is taken; the next walk is that of the next."""
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(len(self.targets), generator=generator).to(self.targets.device)
        self.epoch += 1
        for first, last in self.cuts:
            chosen = order[first:last]
            yield Pair(self.inputs[chosen], self.targets[chosen])

    def endless(self) -> Iterator[Pair]:
        """Walk through epoch after epoch."""
        while True:
            yield from self


def epoch_seed(seed: int, epoch: int) -> int:
    """One seed for each pair of seed and epoch, of 32 bits: torch's CPU generator ignores all higher ones."""
    return int(np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(1)[0])
