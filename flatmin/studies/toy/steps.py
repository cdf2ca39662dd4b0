"""What is done with the toy network: its Hessian at some points, steps from the saddle, and descents."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor

from flatmin.core.functions import FunctionObjective
from flatmin.curvature import critical_point, hessian
from flatmin.experiments.step import Outcome, Workplace
from flatmin.results import Record
from flatmin.studies.toy.settings import Toy

NEAR_ZERO = 1e-9
"""What share of the longest eigenvalue counts as zero."""
Advance = Callable[[float], None]


def loss(weights: Tensor) -> Tensor:
    """(1 - w1 w2)^2."""
    return (1 - weights[0] * weights[1]) ** 2


def at(point: tuple[float, ...]) -> FunctionObjective:
    """The loss, standing at a point."""
    return FunctionObjective(loss, torch.tensor(point, dtype=torch.float64))


class Alone:
    """A step that needs no other."""

    kind: ClassVar[str]
    noun: ClassVar[str]
    needs = ()
    after = None
    cost = 1.0
    facts: ClassVar[dict[str, Any]] = {}


@dataclass(frozen=True)
class PointStep(Alone):
    """Loss, gradient and eigenvalues of the Hessian at a point, and what kind of critical point it is."""

    point: tuple[float, float]

    kind = "critical_points"
    noun = "points to look at"

    @property
    def label(self) -> str:
        """Such as ``point_0.5_2``."""
        return "point_{:g}_{:g}".format(*self.point)

    @property
    def setup(self) -> dict[str, Any]:
        """The point and what counts as zero."""
        return {"point": list(self.point), "near_zero": NEAR_ZERO}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Ask the objective."""
        of = critical_point(at(self.point), tolerance=NEAR_ZERO)
        row = {"w1": self.point[0], "w2": self.point[1], "loss": of.loss, "gradient_norm": of.gradient_norm}
        row |= {"lowest": of.lowest, "highest": of.highest}
        found = row | {"negative": of.negative, "zero": of.zero, "positive": of.positive, "kind": of.kind}
        advance(1.0)
        return Outcome(result=found, tables={self.kind: pd.DataFrame([found])})

    def found(self, record: Record) -> str:
        """Its kind and eigenvalues."""
        of = record.result
        return f"{of['kind']}, loss {of['loss']:.4g}, eigenvalues {of['lowest']:.4g} and {of['highest']:.4g}"


@dataclass(frozen=True)
class EscapeStep(Alone):
    """Steps from the saddle at the origin along its eigenvector of the lowest eigenvalue: the loss and its model."""

    lengths: tuple[float, ...]

    kind = "escapes"
    noun = "escape from the saddle"
    label = "escape"

    @property
    def setup(self) -> dict[str, Any]:
        """The lengths."""
        return {"lengths": list(self.lengths)}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Step along the eigenvector, both ways."""
        saddle = at((0.0, 0.0))
        values, vectors = torch.linalg.eigh(hessian(saddle))
        way, base = vectors[:, 0] * vectors[:, 0].sum().sign(), float(saddle.value())
        rows = [
            {
                "length": sign * length,
                "w1": float(sign * length * way[0]),
                "w2": float(sign * length * way[1]),
                "loss": float(saddle.value(sign * length * way)),
                "model": base + float(values[0]) * length**2 / 2,
            }
            for length in self.lengths
            for sign in (1, -1)
        ]
        advance(1.0)
        return Outcome(result={"rows": rows, "lowest": float(values[0])}, tables={self.kind: pd.DataFrame(rows)})

    def found(self, record: Record) -> str:
        """How low it gets."""
        return f"down to {min(row['loss'] for row in record.result['rows']):.4g}"


@dataclass(frozen=True)
class DescentStep(Alone):
    """Gradient descent from one point, with or without momentum: v <- momentum v - learning_rate g, w <- w + v."""

    start: tuple[float, float]
    method: str
    learning_rate: float
    momentum: float
    steps: int
    reached: float

    kind = "descents"
    noun = "descents"

    @property
    def label(self) -> str:
        """Such as ``momentum_0.5_-0.5``."""
        return "{}_{:g}_{:g}".format(self.method, *self.start)

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the way; ``reached`` fixes what is said of it."""
        return {
            "start": list(self.start),
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "steps": self.steps,
            "reached": self.reached,
        }

    @property
    def facts(self) -> dict[str, Any]:  # type: ignore[override]
        """Method and start."""
        return {"method": self.method, "start_w1": self.start[0], "start_w2": self.start[1]}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Go down."""
        objective = at(self.start)
        weights, velocity = objective.theta, torch.zeros(2, dtype=torch.float64)
        rows = []
        for step in range(self.steps + 1):
            value, gradient = objective.value_and_gradient(weights)
            rows.append({"step": step, "w1": float(weights[0]), "w2": float(weights[1]), "loss": float(value)})
            if not math.isfinite(float(value)):
                break
            velocity = self.momentum * velocity - self.learning_rate * gradient
            weights = weights + velocity
        first = next((row["step"] for row in rows if row["loss"] < self.reached), None)
        advance(1.0)
        result = {"reached_after": first, **rows[-1]}
        return Outcome(result=result, tables={self.kind: pd.DataFrame(rows)})

    def found(self, record: Record) -> str:
        """When it arrived, or where it ended."""
        of = record.result
        if of["reached_after"] is not None:
            return f"loss below {self.reached:g} after {of['reached_after']} steps"
        return f"loss {of['loss']:.4g} at ({of['w1']:.3g}, {of['w2']:.3g}) after {of['step']} steps"


def steps_of(toy: Toy) -> list[Any]:
    """Everything that a file asks for."""
    descents = [
        DescentStep(
            start,
            method,
            toy.learning_rate,
            toy.momentum if method == "momentum" else 0.0,
            toy.steps,
            toy.reached,
        )
        for start in toy.starts
        for method in toy.methods
    ]
    return [*map(PointStep, toy.points), EscapeStep(toy.escapes), *descents]
