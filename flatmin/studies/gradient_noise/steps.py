"""One training, along which the gradients of batches are drawn."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.vectors import norm
from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.small_networks import scores
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.sharpness.gradient_noise import gradient_noise_scale
from flatmin.studies.gradient_noise.variances import center_and_spread, drawn, finite_population, scatter

VARIANCES = "batch_gradients"
HOW = {True: "with replacement", False: "without replacement"}


@dataclass(frozen=True)
class NoiseStep:
    """Train one network, and draw batches of every size after some epochs.

    Args:
        data: What identifies the examples.
        width: Of the hidden layers.
        seed: Of the start, the order of examples and the draws.
        epochs: After which it is looked at.
        learning_rate: Of SGD.
        training_batch: Examples of a step of it.
        batch_sizes: Of the draws.
        draws: Of each size, at least.
        least: Examples in them, at least.
    """

    data: dict[str, Any]
    width: int
    seed: int
    epochs: tuple[int, ...]
    learning_rate: float
    training_batch: int
    batch_sizes: tuple[int, ...]
    draws: int
    least: int

    kind = VARIANCES
    noun = "networks along which gradients are drawn"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``seed0``."""
        return f"seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = ("data", "width", "seed", "learning_rate", "training_batch", "draws", "least")
        several = {"epochs": list(self.epochs), "batch_sizes": list(self.batch_sizes)}
        return {name: getattr(self, name) for name in named} | several

    @property
    def facts(self) -> dict[str, Any]:
        """The column that names its rows."""
        return {"seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes an example, of training and of draws."""
        drawn = sum(2 * size * self._draws(size) for size in self.batch_sizes)
        return float(3 * (max(self.epochs) * self.data["examples"] + len(self.epochs) * drawn))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train and look."""
        network, train = workplace.start(self.seed), workplace.train
        sgd = torch.optim.SGD(network.parameters(), lr=self.learning_rate)
        batches = ShuffledBatches(*train, self.training_batch, seed=self.seed)
        rows, left = list[dict[str, Any]](), 1.0
        for epoch in range(max(self.epochs) + 1):
            if epoch:
                epoch_of_descent(network, sgd, batches)
            if epoch in self.epochs:
                if not (seen := self._looked(workplace, network, epoch)):
                    break
                rows += seen
                left -= 1 / len(self.epochs)
                advance(1 / len(self.epochs))
        else:
            return Outcome(result=rows[-1], tables={VARIANCES: pd.DataFrame(rows)})
        advance(left)
        return Outcome(
            result={"loss": math.inf, "spread": math.nan, "noise_scale": math.nan},
            tables={VARIANCES: pd.DataFrame(rows)} if rows else {},
            status="diverged",
        )

    def _looked(self, workplace: Laboratory, network: nn.Module, epoch: int) -> list[dict[str, Any]]:
        """A row for each size and way of drawing; none where the training has left."""
        train = workplace.train
        loss, accuracy = scores(network, train)
        center, spread = center_and_spread(network, train)
        if not math.isfinite(loss + spread):
            return []
        parts = gradient_noise_scale(workplace.objective(network, train, 1000, "running"))
        here = {
            "epoch": epoch,
            "loss": loss,
            "accuracy": accuracy,
            "gradient_norm": norm(center),
            "spread": spread,
            "noise_scale": spread / float(center.square().sum()),
            "parts_spread": parts.variance,
            "parts_error": parts.variance_error,
        }
        rows, examples = list[dict[str, Any]](), len(train.targets)
        generator = torch.Generator().manual_seed(self.seed)
        for replacement, how in HOW.items():
            for size in self.batch_sizes:
                chosen = drawn(examples, size, self._draws(size), replacement=replacement, generator=generator)
                found = scatter(network, train, chosen.to(train.targets.device), center)
                factor = 1.0 if replacement else finite_population(examples, size)
                own = {"drawn": how, "batch_size": size, "draws": found.draws, "factor": factor}
                rows.append(here | own | {"variance": found.variance, "standard_error": found.standard_error})
        return rows

    def _draws(self, size: int) -> int:
        return max(self.draws, math.ceil(self.least / size))

    def found(self, record: Record) -> str:
        """What it is at the end."""
        of = record.result
        return f"loss {of['loss']:.3g}, tr(Sigma) {of['spread']:.3g}, noise scale {of['noise_scale']:.3g} examples"


def epoch_of_descent(network: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Pair]) -> None:
    """Train for one epoch on the cross-entropy."""
    for inputs, targets in batches:
        optimizer.zero_grad()
        cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
