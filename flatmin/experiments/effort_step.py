"""Measuring how the sharpness found depends on the search, as a step: one network, one box, one BatchNorm reading."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from torch.nn.functional import cross_entropy

from flatmin.core.objective import Objective
from flatmin.data.batches import fixed_batches
from flatmin.experiments.step import Outcome, Workplace, examples_of
from flatmin.experiments.training_step import TrainingStep
from flatmin.sharpness import METHODS, effort


@dataclass(frozen=True)
class EffortStep:
    """Climb in the box of one trained network with every climber from every start, and keep the way up.

    Args:
        network: The training step whose network is measured.
        epsilon: Half-width of the box.
        climbers: Names of the climbers.
        starts: Names of their starts.
        batch_norm: Reading of BatchNorm.
        evaluations: Budget of one climb.
        examples: Number of training examples, the first ones.
        batch_size: Of the fixed partition.
    """

    network: TrainingStep
    epsilon: float
    climbers: tuple[str, ...]
    starts: tuple[str, ...]
    batch_norm: str
    evaluations: int
    examples: int
    batch_size: int

    kind = "effort"
    after = None

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-small_batch-seed0-effort-batch-0.001``."""
        return f"{self.network.label}-effort-{self.batch_norm}-{self.epsilon:g}"

    @property
    def needs(self) -> tuple[TrainingStep]:
        """The training of the network."""
        return (self.network,)

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {
            "network": self.network.setup,
            "epsilon": self.epsilon,
            "climbers": sorted(self.climbers),
            "starts": sorted(self.starts),
            "searches": METHODS,
            "batch_norm": self.batch_norm,
            "evaluations": self.evaluations,
            "examples": self.examples,
            "batch_size": self.batch_size,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What names the searches in the table."""
        return {
            **self.network.facts,
            "space": "full",
            "epsilon": self.epsilon,
            "batch_norm": self.batch_norm,
            "examples": self.examples,
        }

    @property
    def cost(self) -> float:
        """Three passes an evaluation."""
        return 3.0 * self.evaluations * len(self.climbers) * len(self.starts) * self.examples

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Climb, and leave one row for each evaluation that found a higher loss; none where the loss is not finite."""
        objective = Objective(
            workplace.trained(self.network),
            cross_entropy,
            fixed_batches(*examples_of(workplace.train, self.examples), self.batch_size),
            batch_norm=self.batch_norm,
        )
        base_loss = float(objective.value())
        if not math.isfinite(base_loss):
            return Outcome(result={"climbs": [], "base_loss": base_loss}, status="diverged")
        found = []
        for climber, start in product(self.climbers, self.starts):
            way = effort(objective, epsilon=self.epsilon, climber=climber, start=start, evaluations=self.evaluations)
            found.append(way.to_record())
            advance(1 / (len(self.climbers) * len(self.starts)))
        return Outcome(result={"climbs": found}, tables={"effort": table(found)})


def table(climbs: list[dict[str, Any]]) -> pd.DataFrame:
    """The columns of the tidy table that the climbs fill in themselves."""
    rows = [
        {"climber": climb["climber"], "start": climb["start"], "evaluations": spent, "sharpness": value}
        for climb in climbs
        for spent, value in zip(climb["evaluations"], climb["sharpness"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["climber", "start", "evaluations", "sharpness"])
