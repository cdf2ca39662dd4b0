"""What the benchmarks measure on: the networks of the paper, data of their shapes, and training without its records."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from flatmin.data.batches import Pair
from flatmin.networks import C1, C2, C3, C4, F1, F2
from flatmin.objective.objective import Evaluation
from flatmin.training import record_keeping

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
CLOCK_HELP = "cpu: of this process, where other jobs share the machine"


class Subject(NamedTuple):
    """A network with the shape of an input and the number of classes."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int


NETWORKS = {
    "F1": Subject(F1, (1, 28, 28), 10),
    "F2": Subject(F2, (360,), 1973),
    "C1": Subject(C1, (3, 32, 32), 10),
    "C2": Subject(C2, (3, 32, 32), 10),
    "C3": Subject(C3, (3, 32, 32), 100),
    "C4": Subject(C4, (3, 32, 32), 100),
}


def noise(subject: Subject, examples: int, device: torch.device) -> Pair:
    """Uniform inputs with labels by chance: enough where only the time counts."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(examples, *subject.shape, generator=generator)
    return Pair(inputs.to(device), torch.randint(subject.classes, (examples,), generator=generator).to(device))


def patterns(subject: Subject, examples: int) -> Pair:
    """One pattern a class under noise of twice its size, which a network can learn; torch's own generator draws."""
    targets = torch.randint(subject.classes, (examples,))
    inputs = torch.randn(subject.classes, *subject.shape)[targets] + 2 * torch.randn(examples, *subject.shape)
    return Pair(inputs, targets)


class _Constant:
    """Stands in for the objective of the records that `train` takes after each epoch."""

    has_batch_norm = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def at(self, model: nn.Module) -> "_Constant":
        """The same."""
        return self

    def evaluate(self) -> Evaluation:
        """A constant."""
        return Evaluation(1.0, 0.0)


def without_records() -> None:
    """From here on `train` evaluates nothing after an epoch, as a loop that keeps no records does."""
    record_keeping.Objective = _Constant  # type: ignore[misc, assignment]
