"""One training of the grid: to a loss that is the same for all."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from flatmin.data.batches import ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.small_networks import relu_network, scores
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.studies.correlation.grid import AXES, TRAININGS


@dataclass(frozen=True)
class GridTraining:
    """Train one network by SGD until its training loss is low enough.

    Args:
        data: Name, numbers of examples, pool, inputs, classes and the files' md5s.
        batch_size: Examples of a step.
        learning_rate: Of SGD.
        width: Of the hidden layers.
        weight_decay: Times the weight, added to the gradient.
        seed: Of the start and the order of examples.
        target: The training loss at which it ends.
        epochs: At most.
    """

    data: dict[str, Any]
    batch_size: int
    learning_rate: float
    width: int
    weight_decay: float
    seed: int
    target: float
    epochs: int

    kind = TRAININGS
    noun = "networks to train"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``batch8-rate0.1-width16-decay0-seed0``."""
        rate, decay = (f"{value:g}".replace("+", "") for value in (self.learning_rate, self.weight_decay))
        return f"batch{self.batch_size}-rate{rate}-width{self.width}-decay{decay}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the weights."""
        return {name: getattr(self, name) for name in ("data", *AXES, "seed", "target", "epochs")}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows."""
        return {name: getattr(self, name) for name in (*AXES, "seed")}

    @property
    def cost(self) -> float:
        """Three passes an epoch; that of a step counts too, by as many examples as take its time."""
        return float(self.epochs * 3 * (self.data["examples"] + 200 * self.data["examples"] / self.batch_size))

    def laboratory(self, workplace: Laboratory) -> Laboratory:
        """The workplace with networks of this width."""
        return replace(
            workplace, build=partial(relu_network, self.data["inputs"], self.data["classes"], width=self.width)
        )

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train; the loss is looked at after each epoch."""
        network, train = self.laboratory(workplace).start(self.seed), workplace.train
        sgd = torch.optim.SGD(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        batches = ShuffledBatches(*train, self.batch_size, seed=self.seed)
        loss, epoch = scores(network, train)[0], 0
        while self.target < loss < math.inf and epoch < self.epochs:
            for inputs, targets in batches:
                sgd.zero_grad()
                cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
                sgd.step()
            epoch += 1
            loss = scores(network, train)[0]
            advance(1 / self.epochs)
        advance(1 - epoch / self.epochs)
        train_loss, train_accuracy = scores(network, train)
        test_loss, test_accuracy = scores(network, workplace.test)
        row = {
            "status": ending(train_loss, self.target),
            "epochs": epoch,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "size": sum(parameter.numel() for parameter in network.parameters()),
        }
        arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
        status = "finished" if math.isfinite(train_loss) else "diverged"
        return Outcome(result=row, arrays=arrays, tables={TRAININGS: pd.DataFrame([row])}, status=status)

    def found(self, record: Record) -> str:
        """How it ended."""
        of = record.result
        return (
            f"{of['status']} after {of['epochs']} epochs, loss {of['train_loss']:.3g} on train and "
            f"{of['test_loss']:.3g} on test, accuracy {of['train_accuracy']:.1%} and {of['test_accuracy']:.1%}"
        )


def ending(loss: float, target: float) -> str:
    """How a training ended: ``reached`` its target or not."""
    return "reached" if loss <= target else "short" if math.isfinite(loss) else "diverged"
