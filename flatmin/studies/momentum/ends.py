"""Where a real network ends with momentum: its losses, its largest eigenvalue, its way from the start."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.objective.objective import Objective
from flatmin.results import Record
from flatmin.studies.momentum.identity import vector
from flatmin.studies.momentum.settings import EFFECTIVE, FIXED, Ends

TABLE = "momentum_ends"


@dataclass(frozen=True)
class EndStep:
    """One training, looked at where its loss is first below the target and at its end.

    Args:
        data: Name, number of examples and the files' md5s.
        network: Width, inputs and classes.
        asked: How all are trained.
        momentum: Of this one.
        equal: What it shares with the one without momentum, ``learning_rate`` or ``effective_rate``.
        seed: Of the start, and of the order of examples.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    asked: Ends
    momentum: float
    equal: str
    seed: int

    kind = TABLE
    noun = "networks to train"
    needs = ()
    after = None

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.asked.learning_rate * (1 - self.momentum if self.equal == EFFECTIVE else 1)

    @property
    def label(self) -> str:
        """Such as ``effective_rate_0.9-seed0``."""
        return f"{self.equal}_{self.momentum:g}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        named = {name: getattr(self, name) for name in ("data", "network", "momentum", "equal", "seed")}
        return named | {"ends": self.asked.model_dump(exclude={"momenta"})}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return {"equal": self.equal, "momentum": self.momentum, "rate": self.rate, "seed": self.seed}

    @property
    def cost(self) -> float:
        """Three passes an example and epoch, and some forty for each look."""
        return float(self.data["examples"] * (3 * self.asked.epochs + 80))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train and look."""
        train, network = workplace.train, workplace.start(self.seed)
        objective, start = Objective(network, cross_entropy, [train]), vector(network)
        test = Objective(network, cross_entropy, [workplace.test])
        optimizer = torch.optim.SGD(network.parameters(), lr=self.rate, momentum=self.momentum)
        batches = ShuffledBatches(*train, min(self.asked.batch_size, len(train.targets)), seed=self.seed)
        rows, value = list[dict[str, Any]](), math.nan

        def look(when: str, epoch: int) -> None:
            here, there = objective.at(network), test.at(network).evaluate()
            of = here.evaluate()
            found = top_eigenvalues(here, tolerance=self.asked.tolerance, copies=False)
            distance = float((vector(network) - start).norm())
            rows.append({"when": when, "epoch": epoch, "train_loss": of.loss, "train_accuracy": of.accuracy})
            rows[-1] |= {"test_loss": there.loss, "test_accuracy": there.accuracy, "distance": distance}
            rows[-1] |= {"top_eigenvalue": float(found), "converged": float(found.converged)}

        for epoch in range(1, self.asked.epochs + 1):
            for batch in batches:
                optimizer.zero_grad()
                cross_entropy(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            value = mean_loss(network, *train)
            advance(1 / self.asked.epochs)
            if not math.isfinite(value):
                advance(1 - epoch / self.asked.epochs)
                nothing = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy"), math.nan)
                nothing |= dict.fromkeys(("distance", "top_eigenvalue", "converged"), math.nan)
                rows.append({"when": "end", "epoch": epoch, **nothing})
                break
            if value < self.asked.target and not rows:
                look("target", epoch)
        else:
            look("end", self.asked.epochs)
        status = "finished" if math.isfinite(value) else "diverged"
        return Outcome(result=rows[-1], tables={TABLE: pd.DataFrame(rows)}, status=status)

    def found(self, record: Record) -> str:
        """Where it ended."""
        of = record.result
        return (
            f"training loss {of['train_loss']:.3g}, test accuracy {of['test_accuracy']:.4f}, eigenvalue "
            f"{of['top_eigenvalue']:.3g}"
        )


def mean_loss(network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """The loss over all examples."""
    with torch.no_grad():
        return float(cross_entropy(network(inputs), targets))


def steps_of(data: dict[str, Any], network: dict[str, Any], asked: Ends, seed: int) -> list[EndStep]:
    """The trainings of one seed; without momentum both rates are one, and it is trained once."""
    ways = [(momentum, equal) for equal in (FIXED, EFFECTIVE) for momentum in asked.momenta]
    return [
        EndStep(data, network, asked, momentum, equal, seed) for momentum, equal in ways if momentum or equal == FIXED
    ]
