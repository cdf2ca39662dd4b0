"""Measuring sharpness as a step: one trained network, one search space, one method, one BatchNorm reading."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor
from torch.nn.functional import cross_entropy

from flatmin.core.cuts import SMALL_TAIL
from flatmin.core.objective import Objective
from flatmin.core.vectors import norm
from flatmin.data.batches import Pair, fixed_batches
from flatmin.experiments.step import Outcome, Workplace, examples_of
from flatmin.experiments.training_step import TrainingStep
from flatmin.sharpness import METHODS, Sharpness, epsilon_sharpness, rise_on

EACH = partial(cross_entropy, reduction="none")
RISES = (
    "standard_error",
    *(f"{place}_{name}" for place in ("heldout", "test") for name in ("sharpness", "standard_error")),
)


@dataclass(frozen=True)
class SharpnessStep:
    """Search one trained network's box for every epsilon, the smallest first.

    Each larger box contains the smaller one, so ``strong`` starts there from the worst point found so far too, and a
    search that finds less in the larger one has not converged, whatever it says of itself.

    The rise at each worst point is taken on other examples as well: on training examples that were not searched on (as
    many, the next ones, where there are so many) and on all test examples.

    Args:
        network: The training step whose network is measured.
        epsilons: Half-widths of the box.
        method: ``"paper"`` or ``"strong"``.
        batch_norm: Reading of BatchNorm.
        subspace_dim: Columns of the random A; ``None`` for the full space.
        distribution: Of the entries of A; ``"identity"`` in the full space.
        draw: Which A, the seed of its draw; 0 in the full space.
        examples: Number of training examples, the first ones.
        batch_size: Of the fixed partition.
        epoch: Measure the network as it was after this epoch; ``None`` for the end of training.
    """

    network: TrainingStep
    epsilons: tuple[float, ...]
    method: str
    batch_norm: str
    subspace_dim: int | None
    distribution: str
    draw: int
    examples: int
    batch_size: int
    epoch: int | None = None

    kind = "sharpness"

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-small_batch-seed0-full-strong-batch``."""
        place = "" if self.epoch is None else f"-epoch{self.epoch}"
        space = "full" if self.subspace_dim is None else f"{self.distribution}{self.draw}"
        return f"{self.network.label}{place}-{space}-{self.method}-{self.batch_norm}"

    @property
    def needs(self) -> tuple[TrainingStep]:
        """The training of the network."""
        return (self.network,)

    @property
    def after(self) -> int | None:
        """The epoch of it."""
        return self.epoch

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers, the settings of the search included."""
        return {
            "network": self.network.setup,
            "epoch": self.epoch,
            "epsilons": sorted(self.epsilons),
            "method": {"name": self.method, **METHODS[self.method]},
            "batch_norm": self.batch_norm,
            "subspace_dim": self.subspace_dim,
            "distribution": self.distribution,
            "draw": self.draw,
            "examples": self.examples,
            "batch_size": self.batch_size,
            "held_out": self.held_out,
        }

    @property
    def held_out(self) -> int:
        """Training examples on which the worst points are tried without having been found on them.

        Not so few that their BatchNorm statistics are another function than those of the partition.
        """
        others = min(self.examples, int(self.network.data["examples"]) - self.examples)
        return others if others >= SMALL_TAIL * self.batch_size and others > 1 else 0

    @property
    def facts(self) -> dict[str, Any]:
        """What names the search in the table."""
        return {
            **self.network.facts,
            "epoch": math.nan if self.epoch is None else self.epoch,
            "space": "full" if self.subspace_dim is None else "random",
            "subspace_dim": math.nan if self.subspace_dim is None else self.subspace_dim,
            "distribution": self.distribution,
            "draw": self.draw,
            "method": self.method,
            "batch_norm": self.batch_norm,
            "examples": self.examples,
            "partition": self.batch_size,
        }

    @property
    def cost(self) -> float:
        """Three passes an evaluation."""
        evaluations = {"paper": 13, "strong": 110}[self.method]
        return 3.0 * evaluations * len(self.epsilons) * self.examples

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Search, and leave one row per epsilon; none where the loss at the minimum is not finite."""
        objectives = self.objectives(workplace)
        objective = objectives["searched"]
        base_loss = float(objective.value())
        if not math.isfinite(base_loss):
            return Outcome(result={"searches": [], "base_loss": base_loss}, status="diverged")
        gradient_norm = norm(objective.gradient())
        rows, worst, highest = [], list[Tensor](), 0.0
        for epsilon in sorted(self.epsilons):
            found = epsilon_sharpness(
                objective,
                epsilon=epsilon,
                subspace_dim=self.subspace_dim,
                method=self.method,
                distribution="normal" if self.subspace_dim is None else self.distribution,
                seed=self.draw,
                starts=worst if self.method == "strong" else (),
            )
            worst.append(found.coordinates)
            row = found.to_record() | {"gradient_norm": gradient_norm} | self.elsewhere(found, objectives)
            row["converged"] &= found.sharpness >= highest
            highest = max(highest, found.sharpness)
            rows.append(row)
            advance(1 / len(self.epsilons))
        return Outcome(result={"searches": rows}, tables={"sharpness": table(rows)})

    def objectives(self, workplace: Workplace) -> dict[str, Objective]:
        """The loss on the examples that are searched on, on training examples that are not, and on test examples."""
        network, train = workplace.trained(self.network, self.epoch), workplace.train
        data = {"searched": examples_of(train, self.examples), "test": workplace.test}
        if self.held_out:
            data["heldout"] = Pair(*(tensor[self.examples : self.examples + self.held_out] for tensor in train))
        return {
            name: Objective(network, cross_entropy, fixed_batches(*pair, self.batch_size), batch_norm=self.batch_norm)
            for name, pair in data.items()
        }

    def elsewhere(self, found: Sharpness, objectives: dict[str, Objective]) -> dict[str, float]:
        """The standard error of the rise where it was searched for, and the rise on other examples with its own."""
        numbers = dict.fromkeys(RISES, math.nan)
        if not math.isfinite(found.worst_loss):
            return numbers
        for name, objective in objectives.items():
            population = int(self.network.data["examples"]) if name == "searched" else None
            rise = rise_on(objective, found.perturbation, each=EACH, population=population)
            prefix = "" if name == "searched" else f"{name}_"
            numbers |= {f"{prefix}standard_error": rise.standard_error}
            numbers |= {f"{prefix}sharpness": rise.sharpness} if prefix else {}
        return numbers


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The columns of the tidy table that a search fills in itself."""
    columns = ["epsilon", "sharpness", "base_loss", "worst_loss", "evaluations", "share_at_bound"]
    return pd.DataFrame(rows)[[*columns, "perturbation_norm", "spread", "converged", "gradient_norm", *RISES]]
