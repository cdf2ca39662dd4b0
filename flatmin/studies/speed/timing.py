"""Times of several jobs side by side: visited again and again, each time in another order, warm and synchronised."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch

MOST = 100_000
"""Times that a job is done in a visit, at most."""


@dataclass
class Job:
    """Something that is done to one thing after another.

    Attributes:
        of: What it is.
        batch_size: For batches of this size; 0 where there are none.
        amount: How much is done each time: examples, operations or bytes.
        things: So many things to do it to, made outside of the time; they are taken in turn if they are fewer.
        work: Does it to one of them.
        times: How often it is done in a visit.
    """

    of: str
    batch_size: int
    amount: float
    things: Callable[[int], Sequence[Any]]
    work: Callable[[Any], object]
    times: int = 1


class Stopwatch:
    """Seconds between two moments at which the device has nothing left to do."""

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self.device, self.clock = device, clock

    def now(self) -> float:
        """The clock, when all that was asked of a GPU is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock()

    def took(self, work: Callable[[], object]) -> float:
        """Seconds of doing it."""
        start = self.now()
        work()
        return self.now() - start

    def visit(self, job: Job) -> float:
        """Seconds each time, over one visit; where it is done several times, once more before, untimed."""
        things = job.things(job.times)
        if job.times > 1:
            job.work(things[0])

        def all_of_them() -> None:
            for thing in islice(cycle(things), job.times):
                job.work(thing)

        return self.took(all_of_them) / job.times

    def settle(self, job: Job, seconds: float) -> None:
        """Do a job untimed, twice unless that takes long, and see how often it fits into a visit."""
        things = job.things(1)
        first = self.took(lambda: job.work(things[0]))
        again = first if first >= 10 * seconds else self.took(lambda: job.work(things[0]))
        job.times = min(MOST, max(1, math.ceil(seconds / max(again, 1e-9))))


def timed(
    jobs: Sequence[Job], watch: Stopwatch, *, repeats: int, visit: float, seed: int, advance: Callable[[float], None]
) -> list[dict[str, Any]]:
    """Visit every job ``repeats`` times, in a random order each time, after a first visit that does not count.

    Args:
        jobs: What is timed.
        watch: By what.
        repeats: Visits of each.
        visit: Seconds that one lasts at least.
        seed: Of the orders.
        advance: Takes the share done since the last call, never while a clock runs.

    Returns:
        One row per visit.
    """
    rows, orders = list[dict[str, Any]](), random.Random(seed)
    for job in jobs:
        watch.settle(job, visit)
        advance(1 / (len(jobs) * (repeats + 1)))
    for repeat in range(repeats):
        for job in orders.sample(list(jobs), len(jobs)):
            row = {"of": job.of, "batch_size": job.batch_size, "repeat": repeat, "times": job.times}
            rows.append({**row, "seconds": watch.visit(job), "amount": job.amount})
            advance(1 / (len(jobs) * (repeats + 1)))
    return rows
