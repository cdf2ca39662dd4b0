"""The times of updates, of what they could be limited by, and of whole epochs, on one device."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flatmin.core.cuts import cuts
from flatmin.core.precision import full_precision
from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.speed.network import relu_stack
from flatmin.studies.speed.timing import Job, Stopwatch, timed
from flatmin.studies.speed.work import Work, counted
from flatmin.training import start_network

TIMES, WORK = "speed_times", "speed_work"
SIDES = {"cpu": 1024, "cuda": 8192}
"""Rows of the square matrices whose product is the most that a device can do."""
LARGEST_COPY = 2**30
RATE = 1e-3


@dataclass(frozen=True)
class SpeedStep:
    """Time the updates with batches of all sizes, in turn.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Inputs, classes, depth and width.
        batch_sizes: Each a number of examples.
        repeats: Visits of each size.
        visit: Seconds that one lasts at least.
        whole: The longest epoch that is timed whole, in seconds.
        seed: Of the start and of the orders.
        device: Its name; times of another one are other times.
        threads: Of the processor.
    """

    data: dict[str, Any]
    network: dict[str, int]
    batch_sizes: tuple[int, ...]
    repeats: int
    visit: float
    whole: float
    seed: int
    device: str
    threads: int

    kind = TIMES
    noun = "devices to time"
    needs = ()
    after = None
    cost = 1.0

    @property
    def label(self) -> str:
        """Such as ``cpu-2threads``."""
        return f"{self.device.partition(' ')[0].replace(':', '')}-{self.threads}threads"

    @property
    def setup(self) -> dict[str, Any]:
        """What was timed where; the times are those of one day on one machine, and do not follow from it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"device": self.device, "threads": self.threads, "examples": self.data["examples"]}

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Time everything."""
        device, watch, load = workplace.device, Stopwatch(workplace.device), load_average()
        with full_precision(device):
            bench = Bench(workplace.train, workplace.start(self.seed), self.seed)
            works = {size: bench.work(size) for size in self.batch_sizes}
            jobs = [*bench.jobs(works), overhead(self.network["depth"], device, self.seed), product(device, self.seed)]
            rows = timed(jobs, watch, repeats=self.repeats, visit=self.visit, seed=self.seed, advance=advance)
            rows += self._epochs(bench, rows, watch)
        machine = {"load": load, "processors": os.cpu_count() or 1}
        table = pd.DataFrame(
            [{"batch_size": size, **bench.described(size, work), **machine} for size, work in works.items()]
        )
        return Outcome(
            result={str(size): middle(rows, "update", size) for size in self.batch_sizes},
            tables={TIMES: pd.DataFrame(rows), WORK: table},
        )

    def _epochs(self, bench: "Bench", rows: list[dict[str, Any]], watch: Stopwatch) -> list[dict[str, Any]]:
        """Whole epochs, of those that should be short enough."""
        found = []
        for size in self.batch_sizes:
            expected = bench.updates(size) * (middle(rows, "update", size) + middle(rows, "input", size))
            if expected <= self.whole:
                row = {"of": "epoch", "batch_size": size, "repeat": 0, "times": 1, "amount": bench.examples}
                found.append({**row, "seconds": watch.took(lambda size=size: bench.epoch(size))})  # type: ignore[misc]
        return found

    def found(self, record: Record) -> str:
        """The shortest and the longest update."""
        low, high = (f(record.result.items(), key=lambda item: int(item[0])) for f in (min, max))
        return f"an update of {low[0]} takes {1000 * low[1]:.3g} ms, one of {high[0]} {1000 * high[1]:.3g} ms"


class Bench:
    """A network in training, and batches for it; the first update, which makes Adam's moments, is done at once."""

    def __init__(self, train: Pair, network: nn.Module, seed: int) -> None:
        self.train, self.seed, self.examples = train, seed, len(train.targets)
        self.update = updater(network)
        self.update(self.taken(self.chosen(1, 1)[0]))

    def updates(self, size: int) -> int:
        """Updates of an epoch."""
        return len(cuts(self.examples, size))

    def chosen(self, size: int, count: int) -> list[Tensor]:
        """The examples of each of the first so many batches of an epoch."""
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(self.examples, generator=generator).to(self.train.targets.device)
        return [order[first:last] for first, last in cuts(self.examples, size)[:count]]

    def taken(self, chosen: Tensor) -> Pair:
        """A batch of these examples."""
        return Pair(self.train.inputs[chosen], self.train.targets[chosen])

    def epoch(self, size: int) -> None:
        """Train for an epoch, as trainings do."""
        for batch in ShuffledBatches(*self.train, size, seed=self.seed):
            self.update(batch)

    def work(self, size: int) -> Work:
        """What an update needs."""
        batch = self.taken(self.chosen(size, 1)[0])
        return counted(lambda: self.update(batch))

    def described(self, size: int, work: Work) -> dict[str, float]:
        """A row on the work of an update."""
        return {"updates": self.updates(size), **vars(work)}

    def jobs(self, works: dict[int, Work]) -> list[Job]:
        """For each size: to take a batch, to update by one, and to copy as much as an update touches."""
        found = []
        for size, work in works.items():
            found += [
                Job("input", size, size, lambda count, size=size: self.chosen(size, count), self.taken),  # type: ignore[misc]
                Job("update", size, size, lambda count, size=size: self._batches(size, count), self.update),  # type: ignore[misc]
                copy(size, work, self.train.targets.device),
            ]
        return found

    def _batches(self, size: int, count: int) -> list[Pair]:
        return [self.taken(chosen) for chosen in self.chosen(size, count)]


def updater(network: nn.Module, rate: float = RATE) -> Callable[[Pair], None]:
    """One step of Adam on a batch."""
    fused = torch.__version__ >= "2.4"  # compared as versions, not as text
    adam = torch.optim.Adam(network.parameters(), lr=rate, fused=fused)

    def update(batch: Pair) -> None:
        adam.zero_grad()
        cross_entropy(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
        adam.step()

    return update


def overhead(depth: int, device: torch.device, seed: int) -> Job:
    """The update of a network as deep with one unit a layer, on one example of one number: all but the work itself."""
    network = start_network(lambda: relu_stack(1, 2, depth=depth, width=1), seed).to(device)
    batch = Pair(torch.ones(1, 1, device=device), torch.zeros(1, dtype=torch.int64, device=device))
    return Job("overhead", 1, 1, lambda count: [batch], updater(network))


def product(device: torch.device, seed: int) -> Job:
    """A product of large square matrices, in float32 like all else."""
    side, generator = SIDES.get(device.type, SIDES["cpu"]), torch.Generator().manual_seed(seed)
    left, right = (torch.randn(side, side, generator=generator).to(device) for _ in range(2))
    made = torch.empty_like(left)
    return Job("product", 0, 2 * side**3, lambda count: [None], lambda _: torch.mm(left, right, out=made))


def copy(size: int, work: Work, device: torch.device) -> Job:
    """A copy from one half of as much memory as an update touches to the other."""
    length = max(1, int(min(work.footprint, LARGEST_COPY)) // 8)
    source, target = (torch.zeros(length, device=device) for _ in range(2))
    return Job("copy", size, 8 * length, lambda count: [None], lambda _: target.copy_(source))


def load_average() -> float:
    """How many processes wanted a processor over the last minute; NaN where nobody counts them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


def middle(rows: list[dict[str, Any]], of: str, size: int) -> float:
    """The median of the times of something."""
    return float(median(row["seconds"] for row in rows if row["of"] == of and row["batch_size"] == size))


def updates_of(examples: int, size: int) -> int:
    """Updates of an epoch by the formula, the number of examples over the batch size, rounded up."""
    return math.ceil(examples / size)
