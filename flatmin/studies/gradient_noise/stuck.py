"""A point where the gradient of one batch's loss vanishes: what that batch, others and all examples say there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from flatmin.core.vectors import norm
from flatmin.curvature import find_critical_point, top_eigenvalues
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.landscapes import slice_1d
from flatmin.objective.objective import Objective
from flatmin.results import Record
from flatmin.studies.gradient_noise.settings import Stuck

POINTS = "stuck_points"
LINES = "stuck_lines"


@dataclass(frozen=True)
class StuckStep:
    """Lead a network to where one batch's gradient vanishes, and ask other batches of the same size.

    Args:
        data: What identifies the examples.
        width: Of the hidden layers.
        seed: Of the start, and of which examples are in which batch.
        learning_rate: Of the steps that are tried there.
        batch_size: Of the batch and of the others.
        settings: How it is searched and looked at.
    """

    data: dict[str, Any]
    width: int
    seed: int
    learning_rate: float
    batch_size: int
    settings: Stuck

    kind = POINTS
    noun = "points where one batch is stuck"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``batch50-seed0``."""
        return f"batch{self.batch_size}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = {name: getattr(self, name) for name in ("data", "width", "seed", "learning_rate", "batch_size")}
        return named | {"settings": self.settings.model_dump(exclude={"batch_sizes"})}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"seed": self.seed, "batch_size": self.batch_size}

    @property
    def cost(self) -> float:
        """A gradient and a product a step of the search; small batches take as long as some hundred examples."""
        return float(6 * self.settings.steps * max(200, self.batch_size))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Search, ask, step and slice; in float64."""
        whole, parts = self._losses(workplace)
        own, others = parts[0], parts[1 : 1 + self.settings.others]
        found = find_critical_point(own, tolerance=self.settings.near / 100, steps=self.settings.steps)
        advance(0.8)
        theta = found.theta
        slopes = [other.gradient(theta) for other in others]
        first = -slopes[0] / slopes[0].norm()
        falls = [
            float(other.value(theta) - other.value(theta - self.learning_rate * slope))
            for other, slope in zip(others, slopes, strict=True)
        ]
        lengths = torch.stack([slope.norm() for slope in slopes])
        ways = {"own": self._descended(theta, [own]), "others": self._descended(theta, others)}
        row = {
            "start_loss": float(found.losses[0]),
            "start_gradient": float(found.gradient_norms[0]),
            "loss": found.loss,
            "gradient_norm": found.gradient_norm,
            "stuck": found.gradient_norm <= self.settings.near,
            "lowest": float(top_eigenvalues(own.at(own.module_at(theta)), which="smallest", copies=False)),
            "others": len(others),
            "other_gradient": float(lengths.square().mean().sqrt()),
            "other_shortest": float(lengths.min()),
            "full_gradient": norm(whole.gradient(theta)),
            "lowered": sum(fall > 0 for fall in falls),
            "fall": float(np.mean(falls)),
            "full_before": float(whole.value(theta)),
        }
        for name, end in ways.items():
            row |= {f"full_after_{name}": float(whole.value(end)), f"moved_{name}": norm(end - theta)}
        alphas = np.linspace(-self.settings.reach, self.settings.reach, self.settings.points).tolist()
        seen = {"own": own, "other": others[0], "full": whole}
        lines = {name: slice_1d(one, first, alphas, origin=theta).loss.numpy() for name, one in seen.items()}
        advance(0.2)
        tables = {POINTS: pd.DataFrame([row]), LINES: pd.DataFrame({"alpha": alphas, **lines})}
        return Outcome(result=row, tables=tables)

    def _losses(self, workplace: Laboratory) -> tuple[Objective, list[Objective]]:
        """The loss of all examples, and of disjoint batches."""
        train, network = workplace.train, workplace.start(self.seed).double()
        order = torch.randperm(len(train.targets), generator=torch.Generator().manual_seed(self.seed))
        order = order[: len(order) // self.batch_size * self.batch_size].to(train.targets.device)
        whole = Objective(network, cross_entropy, [(train.inputs[order].double(), train.targets[order])])
        return whole, whole.parts(self.batch_size)

    def _descended(self, theta: Tensor, losses: Sequence[Objective]) -> Tensor:
        """Where gradient steps on these losses in turn lead."""
        for step in range(self.settings.descent):
            theta = theta - self.learning_rate * losses[step % len(losses)].gradient(theta)
        return theta

    def found(self, record: Record) -> str:
        """The lengths of the gradients."""
        of = record.result
        return (
            f"gradient {of['gradient_norm']:.1g} for the batch, {of['other_gradient']:.2g} for others, "
            f"{of['full_gradient']:.2g} for all examples"
        )
