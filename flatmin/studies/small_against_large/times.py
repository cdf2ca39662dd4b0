"""What an update and an epoch take, of every batch size in turn, so that what slows the machine slows all alike."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.devices import device_name
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.gradient_noise.steps import epoch_of_descent
from flatmin.studies.small_against_large.trainings import optimizer_of

TIMES = "small_large_times"
REPEATS = 5
"""Updates of a round, of which the median counts."""


@dataclass(frozen=True)
class TimesStep:
    """Time updates and epochs.

    An update with parallelism takes the batch at once, on all threads or the GPU; one without takes an example after
    the other on one thread of the CPU, adding up their gradients.

    Args:
        data: What identifies the examples.
        width: Of the hidden layers.
        batch_sizes: Those that are compared in all.
        others: Of which only an update is timed.
        optimizer: Its name.
        learning_rate: Of it.
        rounds: How often.
        device: Where.
    """

    data: dict[str, Any]
    width: int
    batch_sizes: tuple[int, int]
    others: tuple[int, ...]
    optimizer: str
    learning_rate: float
    rounds: int
    device: str

    kind = TIMES
    noun = "timings"
    needs = ()
    after = None
    label = "times"

    @property
    def setup(self) -> dict[str, Any]:
        """All that is asked for; the numbers are the machine's."""
        named = ("data", "width", "optimizer", "learning_rate", "rounds", "device")
        several = {"batch_sizes": list(self.batch_sizes), "others": list(self.others)}
        return {name: getattr(self, name) for name in named} | several

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    @property
    def cost(self) -> float:
        """An update costs as much as some two hundred examples beside its own."""
        alone = 200 * sum(self.batch_sizes) + 200 * self.data["examples"] / min(self.batch_sizes)
        return float(self.rounds * (alone + REPEATS * sum(200 + size for size in self.others)))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Go through the rounds; the first, in which memory and caches fill, is left out."""
        rows = list[dict[str, Any]]()
        for turn in range(self.rounds + 1):
            for size in (*self.batch_sizes, *self.others):
                row = self._timed(workplace, size, whole=size in self.batch_sizes)
                rows += [{"round": turn, "batch_size": size} | row] * bool(turn)
            advance(1 / (self.rounds + 1))
        facts: dict[str, Any] = {"device": device_name(workplace.device), "threads": torch.get_num_threads()}
        return Outcome(result=rows[-1] | facts, tables={TIMES: pd.DataFrame(rows).assign(**facts)})

    def _timed(self, workplace: Laboratory, size: int, *, whole: bool) -> dict[str, float]:
        network, train = workplace.start(0), workplace.train
        optimizer = optimizer_of(self.optimizer, network, self.learning_rate)
        batch = Pair(train.inputs[:size], train.targets[:size])
        at_once = [seconds(lambda: update(network, optimizer, batch), workplace.device) for _ in range(REPEATS)]
        found = {"update": median(at_once), "one_by_one": float("nan"), "epoch": float("nan")}
        if whole:
            batches = ShuffledBatches(*train, size, seed=0)
            found["epoch"] = seconds(lambda: epoch_of_descent(network, optimizer, batches), workplace.device)
            alone, cpu = network.cpu(), Pair(*(tensor.cpu() for tensor in batch))
            optimizer = optimizer_of(self.optimizer, alone, self.learning_rate)
            with one_thread():
                found["one_by_one"] = seconds(lambda: update_one_by_one(alone, optimizer, cpu), torch.device("cpu"))
        return found

    def found(self, record: Record) -> str:
        """Where it was."""
        return f"{record.result['device']}, threads {record.result['threads']}"


def seconds(work: Callable[[], None], device: torch.device) -> float:
    """Wall-clock time of some work."""
    settle(device)
    start = time.perf_counter()
    work()
    settle(device)
    return time.perf_counter() - start


def settle(device: torch.device) -> None:
    """Wait until a GPU has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch has one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def update(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Pair) -> None:
    """One step on the mean loss of a batch."""
    optimizer.zero_grad()
    cross_entropy(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def update_one_by_one(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Pair) -> None:
    """The same step with the gradients of single examples added up, one after the other."""
    optimizer.zero_grad()
    edges = range(len(batch.targets) + 1)
    for first, last in pairwise(edges):
        loss = cross_entropy(network(batch.inputs[first:last]), batch.targets[first:last])
        (loss / len(batch.targets)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
