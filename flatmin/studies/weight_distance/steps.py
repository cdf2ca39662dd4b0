"""One training at one learning rate, and how far its weights are from where they started."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from flatmin.core.precision import full_precision
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.results.words import counted

TABLE = "weight_distance"
AT_ONCE = 5000
"""Examples that are evaluated together."""


def looked_at(updates: int, points: int) -> list[int]:
    """The updates at which to look, from the first to the last, evenly spread on a log axis.

    Example:
        >>> looked_at(100, 6)
        [1, 3, 6, 16, 40, 100]
    """
    return sorted({round(place) for place in np.geomspace(1, updates, points)})


def weights_of(network: nn.Module) -> Tensor:
    """All that is trained, as one vector, float64."""
    return torch.cat([parameter.detach().double().flatten() for parameter in network.parameters()])


@dataclass(frozen=True)
class DistanceTraining:
    """Train one network by SGD at a rate that does not fall, and look at it evenly on a log axis.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Its name and what else it takes.
        batch_size: Examples of an update.
        rule: By which its learning rate was found.
        learning_rate: Of SGD.
        momentum: Of SGD.
        updates: How many.
        points: How often it is looked at, at most.
        seed: Of the start and of the order of examples.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    batch_size: int
    rule: str
    learning_rate: float
    momentum: float
    updates: int
    points: int
    seed: int

    kind = TABLE
    noun = "networks to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``same-batch25-seed0``."""
        return f"{self.rule}-batch{self.batch_size}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {name: getattr(self, name) for name in ("rule", "batch_size", "learning_rate", "seed")}

    @property
    def cost(self) -> float:
        """Three passes an example, and an update as dear as those of fifty examples."""
        return float(3 * self.updates * (self.batch_size + 50) + self.points * self.data["examples"])

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train and look."""
        with full_precision(workplace.device):
            rows = list(self._rows(workplace, advance))
        last = rows[-1]
        status = "finished" if math.isfinite(last["distance"] + last["loss"]) else "diverged"
        return Outcome(result=last, tables={TABLE: pd.DataFrame(rows)}, status=status)

    def _rows(self, room: Laboratory, advance: Callable[[float], None]) -> Iterator[dict[str, float]]:
        network = room.start(self.seed)
        optimizer = torch.optim.SGD(network.parameters(), lr=self.learning_rate, momentum=self.momentum)
        objective = room.objective(network, room.train, AT_ONCE, "batch")
        shuffled = ShuffledBatches(*room.train, self.batch_size, seed=self.seed)
        start, left, done = weights_of(network), looked_at(self.updates, self.points), 0
        size = float(start.norm())
        for update, batch in enumerate(shuffled.endless(), start=1):
            optimizer.zero_grad()
            room.loss(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if update < left[0]:
                continue
            left.pop(0)
            found = objective.at(network).evaluate()
            yield {
                "update": float(update),
                "epoch": update / len(shuffled),
                "distance": float((weights_of(network) - start).norm()),
                "start": size,
                "loss": found.loss,
                "accuracy": found.accuracy,
            }
            advance((update - done) / self.updates)
            done = update
            if not left or not math.isfinite(found.loss):
                break
        advance(1 - done / self.updates)

    def found(self, record: Record) -> str:
        """How far it went."""
        of = record.result
        after = counted(round(of["update"]), "update")
        return f"{of['distance']:.4g} from the start after {after}, {of['accuracy']:.2%} right"
