"""One training, looked at when it has spent as many epochs, as many updates and as many seconds as are compared."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.cuts import cuts
from flatmin.core.precision import full_precision
from flatmin.data.batches import Pair, ShuffledBatches, fixed_batches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome, Workplace
from flatmin.experiments.training_step import at_chance
from flatmin.results import Record
from flatmin.studies.speed.steps import updater
from flatmin.studies.speed.timing import Stopwatch

TABLE = "batch_size_scores"
EQUAL = ("epochs", "updates", "seconds")
AT_ONCE = 5000
"""Examples that are evaluated together."""
WORD_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Laboratories(Workplace):
    """A workplace with several data sets.

    Attributes:
        rooms: One for each, by its name.
    """

    rooms: dict[str, Laboratory]


@dataclass(frozen=True)
class BatchSizeTraining:
    """Train one network by Adam until all three budgets are spent.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Inputs, classes, depth and width.
        batch_size: Examples of an update.
        learning_rate: Of Adam.
        epochs: The first budget.
        updates: The second.
        seconds: The third; what it buys does not follow from the setup.
        seed: Of the start and of the order of examples.
    """

    data: dict[str, Any]
    network: dict[str, int]
    batch_size: int
    learning_rate: float
    epochs: int
    updates: int
    seconds: float
    seed: int

    kind = TABLE
    noun = "networks to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``mnist-batch100-seed0``."""
        return f"{self.data['name']}-batch{self.batch_size}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers but those after so many seconds."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        named = {"data": self.data["name"], "examples": self.data["examples"]}
        return named | {"batch_size": self.batch_size, "seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes an example, and an update as dear as those of fifty examples."""
        done = max(self.epochs * len(cuts(self.data["examples"], self.batch_size)), self.updates)
        return float(3 * done * (self.batch_size + 50))

    def run(self, workplace: Laboratories, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train until the last budget is spent."""
        room = workplace.rooms[self.data["name"]]
        with full_precision(workplace.device):
            rows = list(self._readings(room, Stopwatch(workplace.device), advance))
        finite = all(math.isfinite(row["train_loss"]) for row in rows)
        return Outcome(
            result={row["equal"]: row["test_accuracy"] for row in rows},
            tables={TABLE: pd.DataFrame(rows)},
            status="finished" if finite else "diverged",
        )

    def _readings(
        self, room: Laboratory, watch: Stopwatch, advance: Callable[[float], None]
    ) -> Iterator[dict[str, Any]]:
        """A row as each budget is spent; the clock stands still while the network is looked at."""
        network = room.start(self.seed)
        batches = ShuffledBatches(*room.train, self.batch_size, seed=self.seed)
        whole = {"epochs": self.epochs * len(batches), "updates": self.updates, "seconds": self.seconds}
        left, told, updates, spent = [*EQUAL], 0.0, 0, 0.0
        update = warm_updater(network, room.train, self.learning_rate)
        every, word = 16 if room.device.type == "cuda" else 1, WORD_SECONDS
        start = watch.now()
        while left:
            for batch in batches:
                update(batch)
                updates += 1
                if "seconds" in left and updates % every == 0:
                    spent += (now := watch.now()) - start
                    start = now
                met = [name for name in left if {"seconds": spent}.get(name, updates) >= whole[name]]
                if not met and spent < word:
                    continue
                spent, word = spent + watch.now() - start, spent + WORD_SECONDS
                for name in met:
                    left.remove(name)
                    passes = updates / len(batches)
                    yield {"equal": name, "epochs": passes, "updates": updates, "seconds": spent, **seen(network, room)}
                done = sum(min(1.0, {"seconds": spent}.get(name, updates) / whole[name]) for name in EQUAL) / len(EQUAL)
                advance(done - told)
                told = done
                if not left:
                    break
                start = watch.now()
        advance(1 - told)

    def found(self, record: Record) -> str:
        """The test accuracy at each point."""
        return ", ".join(f"{record.result[name]:.1%} at equal {name}" for name in EQUAL)


def warm_updater(network: nn.Module, train: Pair, rate: float) -> Callable[[Pair], None]:
    """Updates of a network, after one of a copy of it: the first in a process takes long."""
    updater(deepcopy(network), rate)(Pair(train.inputs[:1], train.targets[:1]))
    return updater(network, rate)


def seen(network: nn.Module, room: Laboratory) -> dict[str, float]:
    """Loss and accuracy on training and test examples, and whether that in training is no better than a guess."""
    found = dict[str, float]()
    for split, pair in (("train", room.train), ("test", room.test)):
        loss = right = 0.0
        with torch.no_grad():
            for inputs, targets in fixed_batches(*pair, AT_ONCE):
                outputs = network(inputs)
                loss += float(cross_entropy(outputs, targets, reduction="sum"))
                right += float((outputs.argmax(1) == targets).sum())
        found |= {f"{split}_loss": loss / len(pair.targets), f"{split}_accuracy": right / len(pair.targets)}
    return found | {"at_chance": float(at_chance(found["train_accuracy"], room.train.targets))}
