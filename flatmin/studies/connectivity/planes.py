"""The plane through two minima and the bend of a curve between them, in which the curve lies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from flatmin.connectivity.curves import COEFFICIENTS
from flatmin.experiments.laboratory import Laboratory
from flatmin.experiments.slice_step import SliceReading
from flatmin.experiments.step import Outcome, Step
from flatmin.landscapes import plane_through, slice_2d
from flatmin.objective.batch_norm import batch_norm_layers
from flatmin.results import Record
from flatmin.studies.connectivity.steps import WayStep

PLANES, PLACES = "connectivity_planes", "connectivity_places"
MARGIN = 0.25
"""How far a plane goes beyond the three points, as a share of their larger extent."""
ON_CURVE = 61


@dataclass(frozen=True)
class PlaneStep:
    """The training loss in the plane of a curve with one bend.

    Args:
        way: The curve.
        points: Coordinates of either axis.
    """

    way: WayStep
    points: int

    kind = "connectivity_plane"
    noun = "planes of curves"
    after = None

    @property
    def needs(self) -> tuple[Step, ...]:
        """Both trainings and the curve."""
        return *self.way.needs, self.way

    @property
    def label(self) -> str:
        """Such as ``small_large-seed0-seed0-bezier``."""
        return self.way.label

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {"curve": self.way.setup, "points": self.points, "margin": MARGIN}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        return self.way.facts

    @property
    def cost(self) -> float:
        """Two passes an example and cell."""
        return float(2 * self.points**2 * (self.way.look.examples or self.way.first.data["examples"]))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Evaluate the plane, and say where in it the curve lies."""
        first, second = (workplace.trained(step) for step in self.way.needs)
        batch_norm = "reestimate" if batch_norm_layers(first) else "running"
        look = self.way.look
        reading = SliceReading(batch_norm, ("train",), look.examples, look.batch_size, "flatmin")
        objective = reading.objective(first, workplace.train, workplace)
        end = torch.nn.utils.parameters_to_vector(second.parameters()).detach().to(objective.theta)
        bend = torch.as_tensor(workplace.record(self.way).arrays["bends"][0]).to(objective.theta)
        plane = plane_through(objective.theta, end, bend)
        told = 1 / self.points**2
        found = slice_2d(
            objective,
            plane.axes,
            plane.grid(self.points, MARGIN),
            origin=plane.origin,
            progress=lambda *_: advance(told),
        )
        corners = plane.coordinates[[0, 2, 1]]
        ts = np.linspace(0, 1, ON_CURVE)
        curve = torch.stack([COEFFICIENTS[self.way.way](float(t), 3) @ corners for t in ts]).numpy()
        bent = plane.coordinates[2].tolist()
        places = pd.DataFrame({"t": [*ts, np.nan], "alpha": [*curve[:, 0], bent[0]], "beta": [*curve[:, 1], bent[1]]})
        return Outcome(
            result={"lowest": float(found.loss.min()), "highest": float(found.loss.max())},
            tables={PLANES: found.to_frame()[["alpha", "beta", "loss"]], PLACES: places},
        )

    def found(self, record: Record) -> str:
        """The range of the loss."""
        return f"training loss {record.result['lowest']:.4g} to {record.result['highest']:.4g}"
