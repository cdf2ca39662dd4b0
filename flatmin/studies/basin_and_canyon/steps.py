"""The minima of both batch sizes, and the lines through each."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from flatmin.core.vectors import norm
from flatmin.curvature import top_eigenvalues
from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.small_networks import scores
from flatmin.experiments.step import Outcome
from flatmin.landscapes import filter_normalized, slice_1d
from flatmin.objective.objective import Objective
from flatmin.results import Record
from flatmin.studies.basin_and_canyon.settings import Directions
from flatmin.studies.basin_and_canyon.shifts import aligned, alike, curvature, lowest, reach_of
from flatmin.studies.correlation.trainings import ending
from flatmin.studies.gradient_noise.steps import epoch_of_descent

MINIMA = "shifted_minima"
LINES = "shifted_lines"
CURVES = "shifted_curves"
AT_ONCE = 4096
"""Examples of a forward pass."""


@dataclass(frozen=True)
class MinimumStep:
    """Train one network by SGD until its training loss is low enough.

    Args:
        data: What identifies the examples.
        width: Of the hidden layers.
        regime: ``small_batch`` or ``large_batch``.
        batch_size: Examples of a step.
        learning_rate: Of SGD.
        seed: Of the start and the order of examples.
        target: The training loss at which it ends.
        epochs: At most.
    """

    data: dict[str, Any]
    width: int
    regime: str
    batch_size: int
    learning_rate: float
    seed: int
    target: float
    epochs: int

    kind = MINIMA
    noun = "minima"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``small_batch-seed0``."""
        return f"{self.regime}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the weights."""
        named = ("data", "width", "batch_size", "learning_rate", "seed", "target", "epochs")
        return {name: getattr(self, name) for name in named} | {"ends": "at the update that reaches the target"}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows."""
        return {"regime": self.regime, "batch_size": self.batch_size, "seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes an epoch; most end long before the last."""
        return float(self.epochs * self.data["examples"])

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train; the loss is looked at after each epoch, and in the one that reaches the target after each update."""
        network, train = workplace.start(self.seed), workplace.train
        sgd = torch.optim.SGD(network.parameters(), lr=self.learning_rate)
        batches = ShuffledBatches(*train, self.batch_size, seed=self.seed)
        loss, epoch, updates = scores(network, train)[0], 0, 0
        while self.target < loss < math.inf and epoch < self.epochs:
            before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            epoch_of_descent(network, sgd, batches)
            epoch, loss, done = epoch + 1, scores(network, train)[0], len(batches)
            if loss <= self.target:
                network.load_state_dict(before)
                batches.set_epoch(epoch - 1)
                done = self._reached(network, sgd, batches, train)
            updates += done
            advance(1 / self.epochs)
        advance(1 - epoch / self.epochs)
        (train_loss, train_accuracy), (test_loss, test_accuracy) = (
            scores(network, data) for data in (train, workplace.test)
        )
        finite = math.isfinite(train_loss)
        top = float(top_eigenvalues(workplace.objective(network, train, AT_ONCE, "running"))) if finite else math.nan
        row = {
            "status": ending(train_loss, self.target),
            "epochs": epoch,
            "updates": updates,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "top_eigenvalue": top,
        }
        arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
        status = "finished" if finite else "diverged"
        return Outcome(result=row, arrays=arrays, tables={MINIMA: pd.DataFrame([row])}, status=status)

    def _reached(self, network: nn.Module, sgd: torch.optim.Optimizer, batches: ShuffledBatches, train: Pair) -> int:
        """Train to the first update of an epoch that is at the target, and count them."""
        done = 0
        for batch in batches:
            epoch_of_descent(network, sgd, [batch])
            done += 1
            if scores(network, train)[0] <= self.target:
                break
        return done

    def found(self, record: Record) -> str:
        """How it ended."""
        of = record.result
        return (
            f"{of['status']} after {of['epochs']} epochs, loss {of['train_loss']:.3g} on train and "
            f"{of['test_loss']:.3g} on test, largest eigenvalue {of['top_eigenvalue']:.3g}"
        )


@dataclass(frozen=True)
class LinesStep:
    """Training and test loss along lines through one minimum.

    Args:
        minimum: It.
        other: That of the other batch size.
        directions: Which lines.
        rise: How far up they go.
        points: On each.
    """

    minimum: MinimumStep
    other: MinimumStep
    directions: Directions
    rise: float
    points: int

    kind = LINES
    noun = "minima to draw lines through"
    after = None

    @property
    def needs(self) -> tuple[MinimumStep, ...]:
        """Both minima, for the line between them."""
        return (self.minimum, self.other) if self.directions.between else (self.minimum,)

    @property
    def label(self) -> str:
        """That of the minimum."""
        return self.minimum.label

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        own = {"rise": self.rise, "points": self.points, "directions": self.directions.model_dump()}
        return own | {"minima": [step.setup for step in self.needs]}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"regime": self.minimum.regime, "seed": self.minimum.seed}

    @property
    def cost(self) -> float:
        """Some hundred passes a line beside those of its points."""
        chosen = self.directions
        lines = chosen.random + chosen.steepest + chosen.between + chosen.downhill
        examples = self.minimum.data["examples"] + self.minimum.data["test_examples"]
        return float(max(lines, 1) * examples * (self.points + 100))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Go along every line."""
        network = workplace.trained(self.minimum)
        train, test = (
            workplace.objective(network, data, AT_ONCE, "running") for data in (workplace.train, workplace.test)
        )
        lines = list(self._lines(workplace, train, test))
        rows, curves = list[dict[str, Any]](), list[pd.DataFrame]()
        for name, number, direction in lines:
            most = norm(direction) / 2 if name == "between" else math.inf
            row, curve = shifted(train, test, direction, self.rise, self.points, most=most)
            rows.append({"direction": name, "number": number} | row)
            curves.append(curve.assign(direction=name, number=number))
            advance(1 / len(lines))
        if not lines:
            advance(1.0)
            return Outcome(result={"lines": 0})
        tables = {LINES: pd.DataFrame(rows), CURVES: pd.concat(curves, ignore_index=True)}
        costs = [row["cost"] for row in rows]
        return Outcome(result={"lines": len(rows), "cost": float(np.median(costs))}, tables=tables)

    def _lines(self, workplace: Laboratory, train: Objective, test: Objective) -> Iterator[tuple[str, int, Tensor]]:
        for number in range(self.directions.random):
            yield "random", number, filter_normalized(train, seed=number)
        if count := self.directions.steepest:
            for number, vector in enumerate(top_eigenvalues(train, k=count).vectors):
                yield "steepest", number, vector
        if self.directions.between:
            yield "between", 0, train.at(workplace.trained(self.other)).theta - train.theta
        if self.directions.downhill:
            slope = test.gradient()
            yield "downhill", 0, -slope / slope.norm()

    def found(self, record: Record) -> str:
        """The cost of the shift."""
        of = record.result
        return f"{of['lines']} lines" + (f", the shift costs {of['cost']:.2g} nats, median" if of["lines"] else "")


def shifted(
    train: Objective, test: Objective, direction: Tensor, rise: float, points: int, *, most: float = math.inf
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What there is to see along one line: a row of numbers, and both curves.

    Lengths are in units of the weights; ``most`` is how far to go at most.
    """
    unit = direction / direction.norm()
    theta = train.theta

    def along(objective: Objective) -> Callable[[float], float]:
        return lambda alpha: float(objective.value(torch.add(theta, unit, alpha=float(alpha))))

    on_train, on_test = along(train), along(test)
    reach = min(reach_of(on_train, rise), most)
    alphas = np.linspace(-reach, reach, points)
    losses, test_losses = (slice_1d(one, unit, alphas.tolist()).loss.numpy() for one in (train, test))
    bottom, _ = lowest(on_train, alphas, losses)
    test_bottom, inside = lowest(on_test, alphas, test_losses)
    shift, steep = test_bottom - bottom, curvature(on_test, test_bottom, reach)
    there = alike(*aligned(alphas, losses, test_losses, shift))
    row = {
        "length": norm(direction),
        "reach": reach,
        "train_argmin": bottom,
        "test_argmin": test_bottom,
        "shift": shift,
        "inside": inside,
        "train_min": on_train(bottom),
        "test_min": on_test(test_bottom),
        "gap": on_test(bottom) - on_train(bottom),
        "cost": on_test(bottom) - on_test(test_bottom),
        "predicted": steep * shift**2 / 2,
        "train_curvature": curvature(on_train, bottom, reach),
        "test_curvature": steep,
        "correlation": there.correlation,
        "residual": there.residual,
        "steepness": there.steepness,
        "scaled_residual": there.scaled_residual,
        "unaligned_residual": alike(losses, test_losses).residual,
    }
    return row, pd.DataFrame({"alpha": alphas, "train": losses, "test": test_losses})
