"""Descents by batches of a few examples, the loss that they go down, and the batches of a loader counted."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.experiments.step import Outcome, Workplace
from flatmin.results import Record
from flatmin.results.words import counted
from flatmin.studies.toy.steps import Advance, Alone

WAYS, SURFACE, LOADERS = "small_sample", "small_sample_surface", "small_sample_loaders"
GRID = 51


@dataclass(frozen=True)
class Sample:
    """The examples of a seed.

    Args:
        examples: How many.
        spread: Of the second input.
        noise: Of the targets.
        seed: Of all.
    """

    examples: int
    spread: float
    noise: float
    seed: int

    @property
    def pair(self) -> Pair:
        """Inputs (N, 2) and targets (N,), float64."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(self.examples, 3, generator=generator, dtype=torch.float64)
        inputs = drawn[:, :2] * torch.tensor([1.0, self.spread], dtype=torch.float64)
        return Pair(inputs, inputs.sum(1) + self.noise * drawn[:, 2])

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes it."""
        return {"examples": self.examples, "spread": self.spread, "noise": self.noise, "seed": self.seed}


def losses(weights: Tensor, pair: Pair) -> Tensor:
    """The mean squared error at each row of weights, (k, 2) to (k,)."""
    return (weights @ pair.inputs.T - pair.targets).square().mean(1)


def gradient(weights: Tensor, batch: Pair) -> Tensor:
    """Its gradient at a point, (2,)."""
    return 2 * batch.inputs.T @ (batch.inputs @ weights - batch.targets) / len(batch.targets)


def least(pair: Pair) -> Tensor:
    """Where it is least, (2,)."""
    found: Tensor = torch.linalg.lstsq(pair.inputs, pair.targets[:, None], driver="gelsd").solution[:, 0]
    return found


@dataclass(frozen=True)
class WayStep(Alone):
    """A descent by batches of one size.

    Args:
        sample: The examples.
        batch_size: Of an update.
        start: Where it begins.
        learning_rate: Of it.
        updates: How many.
    """

    sample: Sample
    batch_size: int
    start: tuple[float, float]
    learning_rate: float
    updates: int

    kind = WAYS
    noun = "descents"

    @property
    def label(self) -> str:
        """Such as ``batch_1-seed0``."""
        return f"batch_{self.batch_size}-seed{self.sample.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the way."""
        named = {name: getattr(self, name) for name in ("batch_size", "learning_rate", "updates")}
        return named | {"start": list(self.start), "sample": self.sample.setup}

    @property
    def facts(self) -> dict[str, Any]:  # type: ignore[override]
        """Batch size and seed."""
        return {"batch_size": self.batch_size, "seed": self.sample.seed}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Go down, epoch by epoch, each in an order of its own."""
        pair = self.sample.pair
        batches = ShuffledBatches(*pair, self.batch_size, seed=self.sample.seed)
        weights = torch.tensor(self.start, dtype=torch.float64)
        way, epochs = [weights], [0]
        while len(way) <= self.updates:
            for batch in batches:
                weights = weights - self.learning_rate * gradient(weights, batch)
                way.append(weights)
                epochs.append(batches.epoch)
        places, best = torch.stack(way)[: self.updates + 1], least(pair)
        found, length = losses(places, pair), (places[1:] - places[:-1]).norm(dim=1).cumsum(0)
        table = pd.DataFrame(
            {
                "update": range(len(places)),
                "epoch": epochs[: len(places)],
                "w1": places[:, 0],
                "w2": places[:, 1],
                "loss": found,
                "excess": (found - losses(best[None], pair)).clamp_min(0),
                "length": torch.cat([torch.zeros(1, dtype=torch.float64), length]),
                "displacement": (places - places[0]).norm(dim=1),
            }
        )
        advance(1.0)
        last = {str(name): float(value) for name, value in table.iloc[-1].items()}
        status = "finished" if math.isfinite(last["loss"]) else "diverged"
        return Outcome(result=last, tables={WAYS: table}, status=status)

    def found(self, record: Record) -> str:
        """Where it ended."""
        of = record.result
        return f"loss {of['loss']:.4g} after {of['update']:g} updates, a way of {of['length']:.4g}"


@dataclass(frozen=True)
class SurfaceStep(Alone):
    """The loss over all examples, for the map.

    Args:
        sample: The examples.
        start: Of the descents, which is to be on it.
    """

    sample: Sample
    start: tuple[float, float]

    kind = SURFACE
    noun = "loss on a grid"
    label = "surface"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes it."""
        return {"sample": self.sample.setup, "start": list(self.start), "grid": GRID}

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Evaluate the loss around the start and its minimum."""
        pair = self.sample.pair
        ends = np.stack([np.array(self.start), least(pair).numpy()])
        low, high = ends.min(0), ends.max(0)
        margin = 0.35 * max(high - low) + 0.1
        first, second = (np.linspace(a - margin, b + margin, GRID) for a, b in zip(low, high, strict=True))
        points = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
        values = losses(torch.from_numpy(points), pair).numpy()
        table = pd.DataFrame({"w1": points[:, 0], "w2": points[:, 1], "loss": values})
        advance(1.0)
        best = {"w1": float(ends[1][0]), "w2": float(ends[1][1])}
        return Outcome(result=best, tables={SURFACE: table.assign(least_w1=best["w1"], least_w2=best["w2"])})

    def found(self, record: Record) -> str:
        """Where it is least."""
        return "least at ({w1:.4g}, {w2:.4g})".format(**record.result)


@dataclass(frozen=True)
class LoaderStep(Alone):
    """The batches of an epoch, by a loader's length and by walking through it.

    Args:
        examples: How many.
        batch_size: Of a batch.
    """

    examples: int
    batch_size: int

    kind = LOADERS
    noun = "loaders to walk through"

    @property
    def label(self) -> str:
        """Such as ``60000_by_1000``."""
        return f"{self.examples}_by_{self.batch_size}"

    @property
    def setup(self) -> dict[str, Any]:
        """Both numbers."""
        return {"examples": self.examples, "batch_size": self.batch_size}

    @property
    def facts(self) -> dict[str, Any]:  # type: ignore[override]
        """Both numbers."""
        return self.setup

    def run(self, workplace: Workplace, folder: Path, advance: Advance) -> Outcome:
        """Count."""
        numbers = torch.arange(self.examples)
        loader = ShuffledBatches(numbers, numbers, self.batch_size, seed=0)
        walked = sum(1 for _ in loader)
        ceiling = -(-self.examples // self.batch_size)
        row = {"loader": len(loader), "walked": walked, "ceiling": ceiling}
        advance(1.0)
        return Outcome(result=row, tables={LOADERS: pd.DataFrame([row])})

    def found(self, record: Record) -> str:
        """How many."""
        return f"{counted(record.result['walked'], 'batch')} of {self.batch_size:,}"
