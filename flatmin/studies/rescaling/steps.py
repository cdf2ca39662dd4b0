"""Train one network, and take every measure of what a rescaling makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from flatmin.experiments.step import Outcome, Workplace
from flatmin.measures.readings import measure_named, readings
from flatmin.objective.objective import Objective
from flatmin.results import Record
from flatmin.studies.rescaling import Rescaling
from flatmin.symmetries import over_amounts


@dataclass(frozen=True)
class Rescaled:
    """The one step."""

    asked: Rescaling
    data: str
    inputs: Tensor
    targets: Tensor
    classes: int

    kind = "rescaling"
    noun = "networks to rescale"
    needs = ()
    after = None
    cost = 1.0

    @property
    def label(self) -> str:
        """Such as ``layer_rescaling-seed0``."""
        return f"{self.asked.symmetry}-seed{self.asked.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        asked = self.asked.model_dump(mode="json")
        names = ("pool", "width", "seed", "updates", "learning_rate", "symmetry", "amounts", "measures")
        return {"data": self.data, "examples": len(self.inputs)} | {name: asked[name] for name in names}

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing names its rows."""
        return {}

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train, rescale, measure."""
        inputs = self.inputs.double()
        pooled = avg_pool2d(inputs, self.asked.pool) if inputs.ndim == 4 and self.asked.pool > 1 else inputs
        batch = (pooled.flatten(1), self.targets)
        model = self.network(batch[0].shape[1])
        adam = torch.optim.Adam(model.parameters(), lr=self.asked.learning_rate)
        for _ in range(self.asked.updates):
            adam.zero_grad()
            cross_entropy(model(batch[0]), batch[1]).backward()  # type: ignore[no-untyped-call]
            adam.step()
        advance(0.2)
        taken = {name: first_of(name) for name in self.asked.measures}
        frame = over_amounts(
            model, cross_entropy, [batch], taken, amounts=self.asked.amounts, symmetry=self.asked.symmetry
        )
        advance(0.8)
        return Outcome(result={"loss": float(frame["loss"].iloc[0])}, tables={self.kind: frame})

    def network(self, features: int) -> nn.Module:
        """The network as it starts."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.asked.seed)
            width = self.asked.width
            layers = [nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(width, self.classes)).double()

    def found(self, record: Record) -> str:
        """The loss of all of them."""
        return f"loss {record.result['loss']:.4g} at every amount"


def first_of(name: str) -> Callable[[Objective], float]:
    """A measure with its usual settings as one number, the first where it gives several."""
    return lambda objective: readings(name, measure_named(name)(objective))[0].value
