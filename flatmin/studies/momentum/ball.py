"""A ball on a loss of one weight: a slope, a plateau, a local minimum, a hump and a deeper minimum behind it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flatmin.experiments.step import Outcome, Workplace
from flatmin.results import Record
from flatmin.studies.momentum.settings import Ball
from flatmin.studies.momentum.valley import FORMULA, HUMP, Line, gradient, loss
from flatmin.studies.toy.steps import Alone

ROLLS, SWEEP = "momentum_ball", "momentum_sweep"
LEFT = 50.0
"""A ball that far away has left."""
FINE, ROUNDS = 101, 3


def rolled(start: float, rates: Line, momenta: Line, steps: int) -> Line:
    """Where balls end, one for each rate and momentum; NaN for one that has left."""
    place, movement = np.full(len(momenta), start), np.zeros(len(momenta))
    for _ in range(steps):
        movement = momenta * movement - rates * gradient(place)
        place = place + movement
        place = np.where(np.abs(place) < LEFT, place, np.nan)
    return place


@dataclass(frozen=True)
class RollStep(Alone):
    """The balls that are drawn: without momentum, with one that is too weak and with one that is not."""

    asked: Ball

    kind = ROLLS
    noun = "balls to roll"
    label = "rolls"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {"loss": FORMULA, **self.asked.model_dump(exclude={"momenta"})}

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Roll each, step by step, until it rests."""
        asked, frames = self.asked, []
        for momentum in dict.fromkeys((0.0, asked.weak, asked.momentum)):
            place, movement, rows = asked.start, 0.0, list[dict[str, float]]()
            for step in range(asked.steps):
                slope, last = float(gradient(np.array(place))), movement
                row = {"momentum": momentum, "step": step, "w": place, "loss": float(loss(np.array(place)))}
                movement = momentum * last - asked.learning_rate * slope
                rows.append(row | {"gradient": slope, "push": -asked.learning_rate * slope, "last": momentum * last})
                rows[-1]["movement"] = movement
                if max(abs(slope), abs(movement)) < 1e-9 or not abs(place) < LEFT:
                    break
                place += movement
            frames.append(pd.DataFrame(rows))
        advance(1.0)
        table = pd.concat(frames, ignore_index=True)
        ends = table.groupby("momentum")["w"].last()
        return Outcome(result={f"{key:g}": float(value) for key, value in ends.items()}, tables={ROLLS: table})

    def found(self, record: Record) -> str:
        """Where each ended."""
        return ", ".join(f"momentum {name} ends at {place:.4g}" for name, place in record.result.items())


@dataclass(frozen=True)
class SweepStep(Alone):
    """Which momenta cross the hump, from which on, and whether gradient descent does at their effective rates."""

    asked: Ball

    kind = SWEEP
    noun = "sweep of momenta"
    label = "sweep"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {"loss": FORMULA, **self.asked.model_dump(exclude={"momentum", "weak"})}

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Try all, then look closer and closer at where the first crosses."""
        asked = self.asked
        momenta = np.linspace(0, 0.99, asked.momenta)
        rates = np.full(len(momenta), asked.learning_rate)
        ends = rolled(asked.start, rates, momenta, asked.steps)
        advance(0.4)
        plain = rolled(asked.start, rates / (1 - momenta), np.zeros(len(momenta)), asked.steps)
        advance(0.2)
        low, high = around(momenta, ends)
        for _ in range(ROUNDS):
            closer = np.linspace(low, high, FINE)
            if math.isfinite(high):
                low, high = around(closer, rolled(asked.start, np.full(FINE, rates[0]), closer, asked.steps))
        advance(0.4)
        table = pd.DataFrame({"momentum": momenta, "end": ends, "effective_rate": rates / (1 - momenta)})
        table = table.assign(descent_end=plain, critical_low=low, critical_high=high)
        return Outcome(result={"critical_low": low, "critical_high": high}, tables={SWEEP: table})

    def found(self, record: Record) -> str:
        """From which momentum on the hump is crossed."""
        high = record.result["critical_high"]
        return f"crosses from momentum {high:.6g} on" if math.isfinite(high) else "no momentum crosses"


def around(momenta: Line, ends: Line) -> tuple[float, float]:
    """The first momentum that crosses, after the one before it; NaN where none does."""
    crossed = np.flatnonzero(ends > HUMP)
    if len(crossed) == 0:
        return math.nan, math.nan
    first = int(crossed[0])
    return float(momenta[max(first - 1, 0)]), float(momenta[first])
