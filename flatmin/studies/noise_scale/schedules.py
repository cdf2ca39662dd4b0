"""One training in three schedules: as it began, with a learning rate that falls, with batches that grow."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from flatmin.core.cuts import cuts
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.noise_scale.grid import SCHEDULES
from flatmin.studies.noise_scale.settings import Swap
from flatmin.studies.noise_scale.sharpness import RHO, TOLERANCE, sharpness_of
from flatmin.studies.noise_scale.stack import Stack, epochs_of

KINDS = ("constant", "decay", "growth")


@dataclass(frozen=True)
class ScheduleTraining:
    """Train from every seed's start in one schedule, and look at loss and accuracy after each epoch.

    Args:
        data: Name, numbers of examples, pool, inputs, classes and the files' md5s.
        width: Of the hidden layers.
        schedule: ``constant``; ``decay`` divides the learning rate; ``growth`` multiplies the batch size.
        swap: Where they begin, by how much and when they change.
        momentum: Of SGD.
        seeds: Of the start and the order of examples.
    """

    data: dict[str, Any]
    width: int
    schedule: str
    swap: Swap
    momentum: float
    seeds: tuple[int, ...]

    kind = SCHEDULES
    noun = "schedules to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """The schedule."""
        return self.schedule

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        fixed = {"data": self.data, "width": self.width, "schedule": self.schedule, "momentum": self.momentum}
        return fixed | {"seeds": self.seeds, "tolerance": TOLERANCE, "rho": RHO} | self.swap.model_dump()

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows, beside their seed."""
        return {"schedule": self.schedule}

    @property
    def cost(self) -> float:
        """Three passes an epoch, and the steps."""
        examples = self.data["examples"]
        return float(self.swap.epochs * 3 * (examples + 400 * examples / self.swap.batch_size))

    def plan(self) -> Iterator[tuple[float, int]]:
        """Learning rate and batch size of each epoch."""
        for epoch in range(self.swap.epochs):
            change = self.swap.factor ** sum(epoch >= after for after in self.swap.at)
            rate = self.swap.learning_rate / (change if self.schedule == "decay" else 1)
            size = self.swap.batch_size * (change if self.schedule == "growth" else 1)
            yield rate, min(round(size), self.data["examples"])

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train; a row for each seed and epoch, the last ones with their sharpness."""
        stack, train = Stack.of([workplace.start(seed) for seed in self.seeds]), workplace.train
        rows, updates = self._looked(workplace, stack, 0, 0), 0
        for epoch, (rate, size) in enumerate(self.plan()):
            rates = torch.full((len(self.seeds),), rate, device=workplace.device)
            for chosen in next(epochs_of(self.data["examples"], size, self.seeds, start=epoch)):
                own: Tensor = chosen.to(workplace.device)
                stack.step(train.inputs[own], train.targets[own], rates, self.momentum)
            updates += len(cuts(self.data["examples"], size))
            rows += self._looked(workplace, stack, epoch + 1, updates)
            advance(1 / self.swap.epochs)
        for place, row in enumerate(rows[-len(self.seeds) :]):
            if math.isfinite(row["train_loss"]):
                network = workplace.start(0)
                network.load_state_dict(stack.state(place))
                row |= {name: sharpness_of(network, workplace)[name] for name in ("top_eigenvalue", "adaptive")}
        return Outcome(result={"updates": updates}, tables={SCHEDULES: pd.DataFrame(rows)})

    def _looked(self, workplace: Laboratory, stack: Stack, epoch: int, updates: int) -> list[dict[str, float]]:
        (train_loss, _), (test_loss, accuracy) = stack.scores(workplace.train), stack.scores(workplace.test)
        return [
            {
                "seed": seed,
                "epoch": epoch,
                "updates": updates,
                "train_loss": float(train_loss[place]),
                "test_loss": float(test_loss[place]),
                "test_accuracy": float(accuracy[place]),
                "top_eigenvalue": math.nan,
                "adaptive": math.nan,
            }
            for place, seed in enumerate(self.seeds)
        ]

    def found(self, record: Record) -> str:
        """How many updates it took."""
        return f"{record.result['updates']:,} updates"
