"""One training, whose largest eigenvalue is looked at again and again."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.objective.objective import Objective
from flatmin.objective.preconditioned import preconditioned, scales_of
from flatmin.results import Record
from flatmin.sharpness.critical import critical_sharpness
from flatmin.sharpness.stability import threshold_of
from flatmin.studies.edge_of_stability.settings import Way

TABLE = "edge_of_stability"


def tanh_network(inputs: int, classes: int, width: int) -> nn.Module:
    """Two hidden layers of tanh."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, classes),
    )


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half of the squared distance to the class as a unit vector, mean over the examples."""
    return (outputs - one_hot(targets, outputs.shape[1])).square().sum(1).mean() / 2


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": squared_error,
    "cross_entropy": cross_entropy,
}


def optimizer_of(way: Way, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser, of torch."""
    if way.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=way.learning_rate, betas=(way.momentum, 0.999))
    nesterov = way.optimizer == "nesterov"
    return torch.optim.SGD(parameters, lr=way.learning_rate, momentum=way.momentum, nesterov=nesterov)


@dataclass(frozen=True)
class EdgeStep:
    """Train one network in one way, and look at it every so many steps.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Width, inputs and classes.
        loss: Its name.
        way: How.
        seed: Of the start, and of the order of examples.
        steps: How long.
        every: Steps from one measurement to the next.
        tolerance: Of the eigenvalues, relative.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    loss: str
    way: Way
    seed: int
    steps: int
    every: int
    tolerance: float

    kind = TABLE
    noun = "networks to train to the edge"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``descent_0.1-full-seed0``."""
        batch = self.way.batch_size or "full"
        momentum = f"_{self.way.momentum:g}" if self.way.momentum else ""
        rate = f"{self.way.learning_rate:g}".replace("+", "")
        return f"{self.way.optimizer}_{rate}{momentum}-{batch}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = {name: getattr(self, name) for name in ("data", "network", "loss", "seed", "steps", "every")}
        return named | {"tolerance": self.tolerance, "way": self.way.model_dump()}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        way = self.way
        named = {"optimizer": way.optimizer, "learning_rate": way.learning_rate, "momentum": way.momentum}
        return named | {"batch_size": way.batch_size or self.data["examples"], "seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes a step, and some forty a measurement."""
        return float(self.data["examples"] * (3 * self.steps + 40 * self.steps / self.every))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train and look."""
        train, loss, network = workplace.train, LOSSES[self.loss], workplace.start(self.seed)
        optimizer = optimizer_of(self.way, network.parameters())
        objective = Objective(network, loss, [train])
        look, batches = Look(objective, self.tolerance), self._batches(train)
        rows, rises, before = list[dict[str, float]](), list[bool](), math.inf
        for step in range(self.steps + 1):
            if step % self.every == 0:
                rows.append({"step": float(step), **look.at(network, optimizer), "rises": share(rises)})
                rises.clear()
                if not math.isfinite(rows[-1]["loss"]):
                    break
            optimizer.zero_grad()
            inputs, targets = next(batches)
            value = loss(network(inputs), targets)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if self.way.batch_size is None:
                rises.append(float(value.detach()) > before)
                before = float(value.detach())
            advance(1 / (self.steps + 1))
        advance(1 - (step + bool(math.isfinite(rows[-1]["loss"]))) / (self.steps + 1))
        return Outcome(
            result={**rows[-1], "products": sum(row["products"] for row in rows)},
            tables={TABLE: pd.DataFrame(rows)},
            status="finished" if math.isfinite(rows[-1]["loss"]) else "diverged",
        )

    def _batches(self, train: Pair) -> Iterator[Pair]:
        """Batches without end."""
        if self.way.batch_size is None:
            while True:
                yield train
        yield from ShuffledBatches(*train, self.way.batch_size, seed=self.seed).endless()

    def found(self, record: Record) -> str:
        """Where it ended."""
        of = record.result
        return f"loss {of['loss']:.3g}, eigenvalue {of['effective']:.4g}, the line at {of['threshold']:.4g}"


class Look:
    """What there is to see of a network on its way; each search starts from the last one's vector."""

    def __init__(self, objective: Objective, tolerance: float) -> None:
        self.objective, self.tolerance = objective, tolerance
        self.vectors: dict[str, Tensor] = {}
        self.step = 1.0

    def at(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """Loss, eigenvalues and threshold; NaN where it is not finite, and for Adam before its first step."""
        objective, nan = self.objective.at(network), math.nan
        evaluation = objective.evaluate()
        seen = {"loss": evaluation.loss, "accuracy": evaluation.accuracy, "hessian": nan, "effective": nan}
        seen |= {"residual": nan, "products": 0.0, "critical": nan, "threshold": threshold_of(optimizer)}
        if not math.isfinite(evaluation.loss):
            return seen
        seen |= self._eigenvalue("hessian", objective)
        if isinstance(optimizer, torch.optim.SGD):
            seen["effective"] = seen["hessian"]
        elif optimizer.state:
            products = seen["products"]
            seen |= self._eigenvalue("effective", preconditioned(objective, scales_of(optimizer, objective)))
            seen["products"] += products
        critical = critical_sharpness(objective, start=self.step)
        if critical.converged:
            self.step = critical.step
            seen["critical"] = critical.value
        return seen

    def _eigenvalue(self, name: str, objective: Any) -> dict[str, float]:
        try:
            found = top_eigenvalues(objective, tolerance=self.tolerance, start=self.vectors.get(name), copies=False)
        except RuntimeError:  # a product is not finite, on the way out
            return {name: math.nan, "residual": math.nan, "products": 0.0}
        self.vectors[name] = found.vectors
        return {name: float(found), "residual": float(found.residuals[0]), "products": float(found.products)}


def share(of: list[bool]) -> float:
    """The share of those that hold; NaN of none."""
    return sum(of) / len(of) if of else math.nan
