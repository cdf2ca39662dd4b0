"""One training, looked at where it has had as many epochs, as many updates and as low a training loss as the other."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from flatmin.core.vectors import norm
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.small_networks import scores
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.gradient_noise.steps import epoch_of_descent
from flatmin.studies.gradient_noise.variances import center_and_spread, drawn, scatter

POINTS = "small_large_points"
NOISE = "small_large_noise"
AT = ("equal epochs", "equal updates", "equal training loss")


def optimizer_of(name: str, network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser, of torch."""
    kind = torch.optim.Adam if name == "adam" else torch.optim.SGD
    return kind(network.parameters(), lr=learning_rate)


@dataclass(frozen=True)
class TrainingStep:
    """Train with one batch size.

    Args:
        data: What identifies the examples.
        width: Of the hidden layers.
        batch_size: Examples of a step.
        optimizer: Its name.
        learning_rate: Of it.
        seed: Of the start and the order of examples.
        epochs: At which it is looked at first.
        updates: At which it is looked at, and ends.
        target: The training loss at which it is looked at.
    """

    data: dict[str, Any]
    width: int
    batch_size: int
    optimizer: str
    learning_rate: float
    seed: int
    epochs: int
    updates: int
    target: float

    kind = POINTS
    noun = "networks to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``batch10-seed0``."""
        return f"batch{self.batch_size}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = ("data", "width", "batch_size", "optimizer", "learning_rate", "seed", "epochs", "updates", "target")
        return {name: getattr(self, name) for name in named}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"batch_size": self.batch_size, "seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes an update, and one an epoch; an update costs as much as some two hundred examples beside."""
        passes = 3 * self.batch_size + 200 + self.batch_size
        return float(self.updates * passes)

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train until all three are reached, or the updates are done."""
        network, train = workplace.start(self.seed), workplace.train
        optimizer = optimizer_of(self.optimizer, network, self.learning_rate)
        batches = ShuffledBatches(*train, self.batch_size, seed=self.seed)
        last = max(self.epochs, math.ceil(self.updates / len(batches)))
        rows, arrays = list[dict[str, Any]](), dict[str, Any]()
        for epoch in range(1, last + 1):
            epoch_of_descent(network, optimizer, batches)
            loss = scores(network, train)[0]
            reached = loss <= self.target and not any(row["at"] == AT[2] for row in rows)
            for at, now in zip(AT, (epoch == self.epochs, epoch == last, reached), strict=True):
                if now:
                    rows.append({"at": at} | self._seen(workplace, network, epoch, epoch * len(batches)))
            if epoch == self.epochs:
                arrays = {name: tensor.cpu().numpy().copy() for name, tensor in network.state_dict().items()}
            advance(1 / last)
        return Outcome(result=rows[0], arrays=arrays, tables={POINTS: pd.DataFrame(rows)})

    def _seen(self, workplace: Laboratory, network: nn.Module, epoch: int, updates: int) -> dict[str, Any]:
        seen: dict[str, Any] = {"epochs": epoch, "updates": updates}
        for split, data in (("train", workplace.train), ("test", workplace.test)):
            loss, accuracy = scores(network, data)
            seen |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        return seen

    def found(self, record: Record) -> str:
        """The first point."""
        of = record.result
        return (
            f"loss {of['train_loss']:.3g} on train and {of['test_loss']:.3g} on test after {of['epochs']} epochs, "
            f"accuracy {of['train_accuracy']:.1%} and {of['test_accuracy']:.1%}"
        )


@dataclass(frozen=True)
class GradientsStep:
    """The noise of both batch sizes at the same points: the start, and where the small batch has led.

    Args:
        training: That of the small batch.
        batch_sizes: Both.
        draws: Batches of each.
    """

    training: TrainingStep
    batch_sizes: tuple[int, int]
    draws: int

    kind = NOISE
    noun = "networks at which gradients are drawn"
    after = None

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """The training."""
        return (self.training,)

    @property
    def label(self) -> str:
        """Such as ``seed0``."""
        return f"seed{self.training.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {"training": self.training.setup, "batch_sizes": list(self.batch_sizes), "draws": self.draws}

    @property
    def facts(self) -> dict[str, Any]:
        """The column that names its rows."""
        return {"seed": self.training.seed}

    @property
    def cost(self) -> float:
        """Three passes an example."""
        return float(6 * self.draws * sum(self.batch_sizes) + 12 * self.training.data["examples"])

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Draw batches as an epoch does, each example once in a batch."""
        rows, train = list[dict[str, Any]](), workplace.train
        networks = {"start": workplace.start(self.training.seed), "end": workplace.trained(self.training)}
        generator = torch.Generator().manual_seed(self.training.seed)
        for when, network in networks.items():
            center, _ = center_and_spread(network, train)
            for size in self.batch_sizes:
                chosen = drawn(len(train.targets), size, self.draws, replacement=False, generator=generator)
                found = scatter(network, train, chosen.to(train.targets.device), center)
                noise = math.sqrt(found.variance) / norm(center)
                rows.append({"when": when, "batch_size": size, "gradient_norm": norm(center), "relative_noise": noise})
            advance(1 / len(networks))
        return Outcome(result=rows[-1], tables={NOISE: pd.DataFrame(rows)})

    def found(self, record: Record) -> str:
        """Noise of the large batch at the end."""
        return f"noise of a large batch's gradient {record.result['relative_noise']:.3g} of the gradient's length"
