"""What is done with each network: train it, lead it to a critical point, count its eigenvalues; and draw around one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, mse_loss, one_hot

from flatmin.core.vectors import norm
from flatmin.curvature import find_critical_point, hessian
from flatmin.curvature.critical_points import kind_of_point
from flatmin.curvature.spectra import signs_of
from flatmin.data import Dataset
from flatmin.experiments.step import Outcome, Workplace
from flatmin.objective.objective import Objective
from flatmin.results import Record
from flatmin.studies.critical_points.settings import CriticalPoints, Plane

Advance = Callable[[float], None]
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


@dataclass(frozen=True)
class Examples:
    """The examples and the network's form: what fixes an objective but its weights.

    Attributes:
        name: Of the data set.
        count: Of the examples, the first ones.
        pool: Pixels a side that are averaged.
        hidden: Units.
        activation: Of the hidden layer.
        loss: Its name.
        inputs: (count, features), float64.
        targets: (count,).
        classes: How many.
    """

    name: str
    count: int
    pool: int
    hidden: int
    activation: str
    loss: str
    inputs: Tensor
    targets: Tensor
    classes: int

    @classmethod
    def of(cls, experiment: CriticalPoints, dataset: Dataset) -> "Examples":
        """The first examples of a data set, pooled."""
        inputs = dataset.train.inputs.double()
        pooled = avg_pool2d(inputs, experiment.pool) if inputs.ndim == 4 and experiment.pool > 1 else inputs
        return cls(
            dataset.name,
            len(inputs),
            experiment.pool,
            experiment.hidden,
            experiment.activation,
            experiment.loss,
            pooled.flatten(1),
            dataset.train.targets,
            dataset.num_classes,
        )

    @property
    def setup(self) -> dict[str, Any]:
        """What identifies them."""
        return {
            "data": self.name,
            "examples": self.count,
            "pool": self.pool,
            "hidden": self.hidden,
            "activation": self.activation,
            "loss": self.loss,
        }

    @property
    def size(self) -> int:
        """Weights of the network."""
        return (self.inputs.shape[1] + 1) * self.hidden + (self.hidden + 1) * self.classes

    @property
    def given(self) -> int:
        """Eigenvalues that are zero at every point: of inputs that never vary, and of one shift of all scores."""
        constant = int((self.inputs.std(0) == 0).sum())
        return constant * self.hidden + (self.hidden + 1 if self.loss == "cross_entropy" else 0)

    def objective(self, seed: int) -> Objective:
        """The loss of the network as it starts."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(self.inputs.shape[1], self.hidden), ACTIVATIONS[self.activation]()]
            model = nn.Sequential(*layers, nn.Linear(self.hidden, self.classes)).double()
        if self.loss == "cross_entropy":
            return Objective(model, cross_entropy, [(self.inputs, self.targets)])
        return Objective(model, mse_loss, [(self.inputs, one_hot(self.targets, self.classes).double())])


@dataclass(frozen=True)
class CriticalStep:
    """One network, trained and led to a critical point."""

    examples: Examples
    seed: int
    updates: int
    learning_rate: float
    method: str
    steps: int
    gradient: float
    tolerances: tuple[float, ...]

    kind = "minimum_ratio"
    noun = "networks to lead to a critical point"
    needs = ()
    after = None

    @property
    def cost(self) -> float:
        """A step that writes the Hessian out costs a product a weight."""
        return float(self.steps if self.method == "gradient_norm" else self.steps * self.examples.size)

    @property
    def label(self) -> str:
        """Such as ``gradient_norm-30-seed0``."""
        return f"{self.method}-{self.updates}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {
            **self.examples.setup,
            "seed": self.seed,
            "updates": self.updates,
            "learning_rate": self.learning_rate,
            "method": self.method,
            "steps": self.steps,
            "gradient": self.gradient,
            "tolerances": list(self.tolerances),
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows."""
        return {"seed": self.seed, "updates": self.updates, "method": self.method}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Train, search, count; a row for each tolerance."""
        objective = self.examples.objective(self.seed)
        start = trained(objective, self.updates, self.learning_rate)
        advance(0.1)
        found = find_critical_point(
            objective, method=self.method, tolerance=self.gradient, steps=self.steps, theta=start
        )
        advance(0.8)
        matrix = hessian(objective, theta=found.theta)
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        row = {
            "trained_loss": float(objective.value(start)),
            "trained_gradient": norm(objective.gradient(start)),
            "loss": found.loss,
            "gradient_norm": found.gradient_norm,
            "converged": found.converged,
            "distance": found.distance,
            "weights_norm": norm(found.theta),
            "lowest": float(values[0]),
            "highest": float(values[-1]),
            "size": objective.size,
            "given_zeros": self.examples.given,
            "gradients": found.gradients,
            "products": found.products + objective.size,
        }
        rows = [row | counted(values, tolerance, found.gradient_norm) for tolerance in self.tolerances]
        advance(0.1)
        arrays = {
            "theta": found.theta.numpy(),
            "eigenvalues": values.numpy(),
            "ends": vectors[:, [0, -1]].T.numpy(),
        }
        return Outcome(result=rows[0], arrays=arrays, tables={self.kind: pd.DataFrame(rows)})

    def found(self, record: Record) -> str:
        """Its kind and counts."""
        of = record.result
        return (
            f"{of['kind']}, loss {of['loss']:.4g}, gradient {of['gradient_norm']:.1g}, minimum ratio "
            f"{of['minimum_ratio']:.3g} ({of['negative']} negative, {of['zero']} near zero)"
        )


def trained(objective: Objective, updates: int, learning_rate: float) -> Tensor:
    """The weights after so many updates of Adam on all examples."""
    theta = objective.theta.requires_grad_()
    adam = torch.optim.Adam([theta], lr=learning_rate)
    for _ in range(updates):
        theta.grad = objective.gradient(theta.detach())
        adam.step()
    return theta.detach()


def counted(values: Tensor, tolerance: float, gradient_norm: float) -> dict[str, Any]:
    """How many eigenvalues are of which sign, and what kind of point that makes."""
    negative, zero, positive = signs_of(values, tolerance)
    signs = [sign for sign, count in ((-1, negative), (0, zero), (1, positive)) if count]
    return {
        "tolerance": tolerance,
        "negative": negative,
        "zero": zero,
        "positive": positive,
        "minimum_ratio": positive / len(values),
        "kind": kind_of_point(gradient_norm <= tolerance * float(values.abs().max()), signs),
    }


@dataclass(frozen=True)
class PlaneStep:
    """The loss in the plane of two eigenvectors of a critical point."""

    point: CriticalStep
    reach: float
    points: int

    kind = "critical_plane"
    noun = "planes"
    after = None

    @property
    def needs(self) -> tuple[CriticalStep, ...]:
        """The point."""
        return (self.point,)

    @property
    def cost(self) -> float:
        """A gradient is as two losses."""
        return self.points**2 / 2

    @property
    def label(self) -> str:
        """Such as ``plane-gradient_norm-30-seed0``."""
        return f"plane-{self.point.label}"

    @property
    def setup(self) -> dict[str, Any]:
        """The point and the grid."""
        return {"point": self.point.setup, "reach": self.reach, "points": self.points}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows."""
        return self.point.facts

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Evaluate the loss on the grid."""
        arrays = workplace.record(self.point).arrays
        objective, theta = self.point.examples.objective(self.point.seed), torch.as_tensor(arrays["theta"])
        down, up = torch.as_tensor(arrays["ends"])
        steps = np.linspace(-self.reach, self.reach, self.points)
        rows = []
        for along_up in steps:
            for along_down in steps:
                loss = float(objective.value(theta + along_up * up + along_down * down))
                rows.append({"largest": along_up, "smallest": along_down, "loss": loss})
            advance(1 / self.points)
        result = {"lowest": float(arrays["eigenvalues"][0]), "highest": float(arrays["eigenvalues"][-1])}
        return Outcome(result=result, tables={self.kind: pd.DataFrame(rows).assign(**result)})

    def found(self, record: Record) -> str:
        """Its eigenvalues."""
        of = record.result
        return f"eigenvalues {of['lowest']:.3g} and {of['highest']:.3g}"


def plane_of(plane: Plane, points: list[CriticalStep]) -> PlaneStep | None:
    """The plane around the point that it names, if it is one of them."""
    wanted = (plane.seed, plane.updates, plane.method)
    for point in points:
        if (point.seed, point.updates, point.method) == wanted:
            return PlaneStep(point, plane.reach, plane.points)
    return None
