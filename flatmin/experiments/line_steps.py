"""Lines as steps: the paths between both minima and the random line through each."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from flatmin.experiments.slice_step import AlphaBounds, SliceReading, SliceStep
from flatmin.experiments.training_step import TrainingStep
from flatmin.landscapes import Line, filter_normalized, path_between, slice_1d
from flatmin.landscapes.grid import spaced
from flatmin.objective.objective import Objective


@dataclass(frozen=True)
class PathStep(SliceStep):
    """The straight or curved path from the small-batch to the large-batch minimum (the paper's Figures 3 and 7)."""

    first: TrainingStep
    second: TrainingStep
    form: str  # type: ignore[misc]
    alphas: AlphaBounds
    reading: SliceReading

    table = "lines"

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """Both trainings."""
        return (self.first, self.second)

    @property
    def grid(self) -> dict[str, Any]:
        """The coordinates."""
        return {"alphas": list(self.alphas)}

    @property
    def num_points(self) -> int:
        """Coordinates."""
        return self.alphas[2]

    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Line:
        """Evaluate the path."""
        first, second = objectives
        interpolated = self.reading.batch_norm == "interpolated"
        return path_between(
            first,
            second,
            spaced(*self.alphas),
            curve=self.form,
            interpolate_batch_norm=interpolated,
            engine=self.reading.engine,
            **resumable,
        )


@dataclass(frozen=True)
class RandomLineStep(SliceStep):
    """A filter-normalised random line through one minimum; both regimes of a seed share the draw."""

    network: TrainingStep
    alphas: AlphaBounds
    reading: SliceReading

    form = "random"
    table = "lines"

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """The training."""
        return (self.network,)

    @property
    def grid(self) -> dict[str, Any]:
        """The coordinates and the seed of the direction."""
        return {"alphas": list(self.alphas), "direction_seed": self.network.seed}

    @property
    def num_points(self) -> int:
        """Coordinates."""
        return self.alphas[2]

    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Line:
        """Evaluate the line."""
        direction = filter_normalized(objectives[0], seed=self.network.seed)
        return slice_1d(objectives[0], direction, spaced(*self.alphas), engine=self.reading.engine, **resumable)
