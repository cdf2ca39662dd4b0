"""The gradient-noise scale along one training: the batch size beyond which, McCandlish says, examples are wasted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.sharpness.gradient_noise import gradient_noise_scale
from flatmin.studies.noise_scale.grid import LEVELS, NOISE
from flatmin.studies.noise_scale.stack import Stack, epochs_of


@dataclass(frozen=True)
class NoiseAlong:
    """Train from every seed's start with one rate and batch size, and measure on the way.

    Args:
        data: Name, numbers of examples, pool, inputs, classes and the files' md5s.
        width: Of the hidden layers.
        batch_size: Examples of a step.
        learning_rate: Of SGD.
        momentum: Of it.
        seeds: Of the start and the order of examples.
        epochs: At most.
    """

    data: dict[str, Any]
    width: int
    batch_size: int
    learning_rate: float
    momentum: float
    seeds: tuple[int, ...]
    epochs: int

    kind = NOISE
    noun = "trainings to follow"
    needs = ()
    after = None

    @property
    def label(self) -> str:
        """Such as ``rate0.02-batch4``."""
        return f"rate{self.learning_rate:g}-batch{self.batch_size}".replace("+", "")

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        names = ("data", "width", "batch_size", "learning_rate", "momentum", "seeds", "epochs")
        return {name: getattr(self, name) for name in names} | {"levels": LEVELS}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows, beside their seed."""
        return {"learning_rate": self.learning_rate, "batch_size": self.batch_size}

    @property
    def cost(self) -> float:
        """Three passes an epoch, and the steps."""
        return float(self.epochs * 3 * (self.data["examples"] + 400 * self.data["examples"] / self.batch_size))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train and measure."""
        stack = Stack.of([workplace.start(seed) for seed in self.seeds])
        train, walk = workplace.train, epochs_of(self.data["examples"], self.batch_size, self.seeds)
        rates = torch.full((len(self.seeds),), self.learning_rate, device=workplace.device)
        rows, passed, epoch = list[dict[str, float]](), [0] * len(self.seeds), 0
        for place in range(len(self.seeds)):
            rows.append(self._measured(workplace, stack, place, epoch))
        while min(passed) < len(LEVELS) and epoch < self.epochs:
            for chosen in next(walk):
                own = chosen.to(workplace.device)
                stack.step(train.inputs[own], train.targets[own], rates, self.momentum)
            epoch += 1
            advance(1 / self.epochs)
            for place, loss in enumerate(stack.scores(train)[0].tolist()):
                crossed = sum(loss <= level for level in LEVELS)
                if crossed > passed[place]:
                    rows.append(self._measured(workplace, stack, place, epoch))
                    passed[place] = crossed
        advance(1 - epoch / self.epochs)
        return Outcome(result={"rows": len(rows), "epochs": epoch}, tables={NOISE: pd.DataFrame(rows)})

    def _measured(self, workplace: Laboratory, stack: Stack, place: int, epoch: int) -> dict[str, float]:
        network = workplace.start(0)
        network.load_state_dict(stack.state(place))
        objective = workplace.objective(network, workplace.train, self.data["examples"], "running")
        found = gradient_noise_scale(objective)
        return {
            "seed": self.seeds[place],
            "epoch": epoch,
            "train_loss": float(objective.value()),
            "noise_scale": found.value,
            "noise_scale_error": found.standard_error,
            "variance": found.variance,
            "signal": found.signal,
            "signal_error": found.signal_error,
        }

    def found(self, record: Record) -> str:
        """How often it was measured."""
        return f"{record.result['rows']} noise scales in {record.result['epochs']} epochs"
