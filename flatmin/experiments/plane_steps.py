"""Planes as steps: the random plane through each minimum, and the one through the start and both minima."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from flatmin.experiments.slice_step import AlphaBounds, SliceReading, SliceStep
from flatmin.experiments.training_step import TrainingStep
from flatmin.landscapes import Plane, filter_normalized, plane_through, slice_2d
from flatmin.landscapes.grid import spaced
from flatmin.objective.objective import Objective


@dataclass(frozen=True)
class RandomPlaneStep(SliceStep):
    """The plane of two filter-normalised random directions through one minimum; both regimes share the draws."""

    network: TrainingStep
    alphas: AlphaBounds
    reading: SliceReading

    form = "random"
    table = "planes"

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """The training."""
        return (self.network,)

    @property
    def seeds(self) -> tuple[int, int]:
        """Seeds of the two directions."""
        return (2 * self.network.seed, 2 * self.network.seed + 1)

    @property
    def grid(self) -> dict[str, Any]:
        """The coordinates of either axis and the seeds of the directions."""
        return {"alphas": list(self.alphas), "direction_seeds": list(self.seeds)}

    @property
    def num_points(self) -> int:
        """Cells."""
        return int(self.alphas[2] ** 2)

    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Plane:
        """Evaluate the plane."""
        first, second = (filter_normalized(objectives[0], seed=seed) for seed in self.seeds)
        axis = spaced(*self.alphas)
        return slice_2d(objectives[0], (first, second), (axis, axis), engine=self.reading.engine, **resumable)


@dataclass(frozen=True)
class ThreePointPlaneStep(SliceStep):
    """The plane through the common start and both minima.

    Args:
        first: Training of the small batch.
        second: Training of the large batch.
        margin: How far the plane goes beyond the three points on each side, as a share of their larger extent.
        points: Coordinates of either axis.
        reading: ``batch_norm`` is ``"batch"`` or ``"reestimate"``: no running averages hold for all three.
    """

    first: TrainingStep
    second: TrainingStep
    margin: float
    points: int
    reading: SliceReading

    form = "three_points"
    table = "planes"

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """Both trainings."""
        return (self.first, self.second)

    @property
    def grid(self) -> dict[str, Any]:
        """Margin and number of coordinates."""
        return {"margin_of_larger_extent": self.margin, "points": self.points}

    @property
    def num_points(self) -> int:
        """Cells."""
        return int(self.points**2)

    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Plane:
        """Evaluate the plane."""
        small, large = objectives
        plane = plane_through(weights(start).to(small.theta), small.theta, large.theta)
        grid = plane.grid(self.points, self.margin)
        return slice_2d(small, plane.axes, grid, origin=plane.origin, engine=self.reading.engine, **resumable)

    def marks(self, networks: list[nn.Module], start: nn.Module) -> dict[str, pd.DataFrame]:
        """Where the three points lie."""
        plane = plane_through(*(weights(network) for network in (start, *networks)))
        frame = pd.DataFrame(plane.coordinates.numpy(), columns=["alpha", "beta"])
        return {"points": frame.assign(label=["start", "small_batch", "large_batch"])}


def weights(network: nn.Module) -> Tensor:
    """The trainable parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters() if p.requires_grad])
