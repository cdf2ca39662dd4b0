"""How sharp the networks of one batch size are, at the same loss and after equal epochs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from flatmin.core.errors import FlatminError
from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.sharpness.worst_case import worst_case_sharpness
from flatmin.studies.noise_scale.grid import REACHED, SHARPNESS
from flatmin.studies.noise_scale.trainings import BatchTrainings

TOLERANCE = 0.03
"""Of the residual of an eigenvalue, relative; the eigenvalue is off by about its square."""
RHO = 0.5
"""Of ASAM's ball, in shares of the weights."""


@dataclass(frozen=True)
class BatchSharpness:
    """Measure each network of one batch size that is any good.

    Args:
        training: Their training.
    """

    training: BatchTrainings

    kind = SHARPNESS
    noun = "stacks of networks to measure"
    after = None

    @property
    def needs(self) -> tuple[BatchTrainings, ...]:
        """The training."""
        return (self.training,)

    @property
    def label(self) -> str:
        """That of the training."""
        return self.training.label

    @property
    def setup(self) -> dict[str, Any]:
        """The training, and what is measured."""
        return {"networks": self.training.setup, "tolerance": TOLERANCE, "rho": RHO}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows, beside their learning rate and seed."""
        return self.training.facts

    @property
    def cost(self) -> float:
        """Some sixty passes for each network, twice."""
        return float(120 * self.training.data["examples"] * len(self.training.each))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Measure; a row for each network and reading."""
        record, each = workplace.record(self.training), self.training.each
        trained, arrays = record.table(self.training.kind), record.arrays
        good, rows = trained[trained["status"] == REACHED], list[dict[str, Any]]()
        for row in good.to_dict("records"):
            place = each.index((row["learning_rate"], row["seed"]))
            network = self.training.network(workplace, arrays, row["reading"], place)
            named = {name: row[name] for name in ("learning_rate", "seed", "reading")}
            rows.append({**named, **sharpness_of(network, workplace)})
            advance(1 / len(good))
        advance(0.0 if len(good) else 1.0)
        columns = ("learning_rate", "seed", "reading", "top_eigenvalue", "residual", "adaptive", "converged")
        return Outcome(result={"rows": len(rows)}, tables={SHARPNESS: pd.DataFrame(rows, columns=list(columns))})

    def found(self, record: Record) -> str:
        """How many there were."""
        return f"{record.result['rows']} networks measured"


def sharpness_of(network: nn.Module, workplace: Laboratory) -> dict[str, float]:
    """The largest eigenvalue of the Hessian, and the adaptive worst case in ASAM's ball; NaN where there is none."""
    nothing = dict.fromkeys(("top_eigenvalue", "residual", "adaptive", "converged"), math.nan)
    try:
        objective = workplace.objective(network, workplace.train, len(workplace.train.targets), "running")
        top = top_eigenvalues(objective, tolerance=TOLERANCE)
        worst = worst_case_sharpness(objective, rho=RHO, adaptive=True)
    except (FlatminError, RuntimeError):
        return nothing
    return {
        "top_eigenvalue": float(top),
        "residual": float(top.residuals[0]),
        "adaptive": float(worst),
        "converged": float(worst.converged and top.converged),
    }
