"""Slices as steps: paths between both minima, random lines and planes through each, the plane through three points."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flatmin.core.objective import Objective
from flatmin.data.batches import Pair, fixed_batches
from flatmin.experiments.points import Points
from flatmin.experiments.step import Outcome, Workplace, examples_of
from flatmin.experiments.training_step import TrainingStep
from flatmin.landscapes import (
    Line,
    Plane,
    ThreePointPlane,
    filter_normalized,
    path_between,
    plane_through,
    slice_1d,
    slice_2d,
)

Bounds = tuple[float, float, int]


@dataclass(frozen=True)
class Reading:
    """On which data a slice is evaluated, and how.

    Args:
        batch_norm: ``"running"``, ``"batch"``, ``"reestimate"``, on paths also ``"interpolated"``.
        splits: ``"train"``, ``"test"`` or both.
        examples: Number of examples of each split, the first ones; ``None`` for all.
        batch_size: Of the fixed partition.
        engine: What evaluates the points.
    """

    batch_norm: str
    splits: tuple[str, ...]
    examples: int | None
    batch_size: int
    engine: str

    def objective(self, network: nn.Module, data: Pair) -> Objective:
        """The mean cross-entropy of ``network`` over a split."""
        batches = fixed_batches(*examples_of(data, self.examples), self.batch_size)
        batch_norm = "running" if self.batch_norm == "interpolated" else self.batch_norm
        return Objective(network, cross_entropy, batches, batch_norm=batch_norm)


class SliceStep(ABC):
    """What all slices have in common: a form, a reading, and one table."""

    kind = "slices"
    form: ClassVar[str]
    table: ClassVar[str]
    reading: Reading

    @property
    @abstractmethod
    def needs(self) -> tuple[TrainingStep, ...]:
        """The training of the networks it runs through."""

    @property
    @abstractmethod
    def grid(self) -> dict[str, Any]:
        """What fixes the points."""

    @property
    @abstractmethod
    def num_points(self) -> int:
        """Points on each split."""

    @abstractmethod
    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Line | Plane:
        """Evaluate one split; ``objectives`` are those of the networks it needs."""

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-seed0-linear-batch``."""
        first = self.needs[0]
        regime = f"-{first.regime}" if len(self.needs) == 1 else ""
        name = f"{first.network['name']}-{first.data['name']}{regime}-seed{first.seed}"
        return f"{name}-{self.form}-{self.table}-{self.reading.batch_norm}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        networks = [step.setup for step in self.needs]
        return {"form": self.form, "networks": networks, "grid": self.grid, "reading": asdict(self.reading)}

    @property
    def facts(self) -> dict[str, Any]:
        """What names the slice in its table."""
        first = self.needs[0].facts
        regime = first["regime"] if len(self.needs) == 1 else "both"
        return {**first, "regime": regime, "kind": self.form, "batch_norm": self.reading.batch_norm}

    @property
    def cost(self) -> float:
        """A pass a point; re-estimating takes about three."""
        passes = 3.0 if self.reading.batch_norm == "reestimate" else 1.0
        examples = self.reading.examples or self.needs[0].data["examples"]
        return passes * self.num_points * len(self.reading.splits) * examples

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Evaluate every split, going on from the points that ``folder`` holds."""
        networks = [workplace.trained(step) for step in self.needs]
        start = workplace.start(self.needs[0].seed)
        points = Points(folder / "points.jsonl")
        share = 1 / (self.num_points * len(self.reading.splits))
        frames, checks = [], {}
        for split in self.reading.splits:
            data = {"train": workplace.train, "test": workplace.test}[split]
            objectives = [self.reading.objective(network, data) for network in networks]
            keep = points.keep(split, lambda: advance(share))
            cut = self.cut(objectives, start, progress=keep, known=points.known(split))
            frames.append(tidy(cut).assign(split=split))
            checks[split] = {
                "base_loss": cut.base_loss,
                "center_loss": cut.center_loss,
                "non_finite": cut.non_finite,
            } | ({"cosine": cut.cosine} if isinstance(cut, Plane) else {})
        tables = {self.table: pd.concat(frames, ignore_index=True)}
        return Outcome(result={"checks": checks}, tables=tables | self.marks(networks, start))

    def marks(self, networks: list[nn.Module], start: nn.Module) -> dict[str, pd.DataFrame]:
        """Named points of the slice, where it has any."""
        return {}


@dataclass(frozen=True)
class PathStep(SliceStep):
    """The straight or curved path from the small-batch to the large-batch minimum (the paper's Figures 3 and 7)."""

    first: TrainingStep
    second: TrainingStep
    form: str  # type: ignore[misc]
    alphas: Bounds
    reading: Reading

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
            spaced(self.alphas),
            curve=self.form,
            interpolate_batch_norm=interpolated,
            engine=self.reading.engine,
            **resumable,
        )


@dataclass(frozen=True)
class RandomLineStep(SliceStep):
    """A filter-normalised random line through one minimum; both regimes of a seed share the draw."""

    network: TrainingStep
    alphas: Bounds
    reading: Reading

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
        return slice_1d(objectives[0], direction, spaced(self.alphas), engine=self.reading.engine, **resumable)


@dataclass(frozen=True)
class RandomPlaneStep(SliceStep):
    """The plane of two filter-normalised random directions through one minimum; both regimes share the draws."""

    network: TrainingStep
    alphas: Bounds
    reading: Reading

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
        axis = spaced(self.alphas)
        return slice_2d(objectives[0], (first, second), (axis, axis), engine=self.reading.engine, **resumable)


@dataclass(frozen=True)
class ThreePointPlaneStep(SliceStep):
    """The plane through the common start and both minima.

    Args:
        first: Training of the small batch.
        second: Training of the large batch.
        margin: How far the plane goes beyond the three points on each side, as a share of their extent.
        points: Coordinates of either axis.
        reading: ``batch_norm`` is ``"batch"`` or ``"reestimate"``: no running averages hold for all three.
    """

    first: TrainingStep
    second: TrainingStep
    margin: float
    points: int
    reading: Reading

    form = "three_points"
    table = "planes"

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """Both trainings."""
        return (self.first, self.second)

    @property
    def grid(self) -> dict[str, Any]:
        """Margin and number of coordinates."""
        return {"margin": self.margin, "points": self.points}

    @property
    def num_points(self) -> int:
        """Cells."""
        return int(self.points**2)

    def cut(self, objectives: list[Objective], start: nn.Module, **resumable: Any) -> Plane:
        """Evaluate the plane."""
        small, large = objectives
        plane = plane_through(weights(start).to(small.theta), small.theta, large.theta)
        axes = self.axes(plane)
        return slice_2d(small, plane.axes, axes, origin=plane.origin, engine=self.reading.engine, **resumable)

    def axes(self, plane: ThreePointPlane) -> tuple[Tensor, Tensor]:
        """Coordinates that enclose the three points."""
        low, high = plane.coordinates.amin(0), plane.coordinates.amax(0)
        room = self.margin * (high - low)
        ends = zip((low - room).tolist(), (high + room).tolist(), strict=True)
        first, second = (spaced((a, b, self.points)) for a, b in ends)
        return first, second

    def marks(self, networks: list[nn.Module], start: nn.Module) -> dict[str, pd.DataFrame]:
        """Where the three points lie."""
        plane = plane_through(*(weights(network) for network in (start, *networks)))
        frame = pd.DataFrame(plane.coordinates.numpy(), columns=["alpha", "beta"])
        return {"points": frame.assign(label=["start", "small_batch", "large_batch"])}


def spaced(bounds: Bounds) -> Tensor:
    """Equally spaced coordinates, exact at 0 where they pass it."""
    low, high, points = bounds
    axis = torch.linspace(low, high, points, dtype=torch.float64)
    return torch.where(axis.abs() < 1e-12 * (high - low), 0.0, axis)


def weights(network: nn.Module) -> Tensor:
    """The trainable parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters() if p.requires_grad])


def tidy(cut: Line | Plane) -> pd.DataFrame:
    """One row a point."""
    values = {"loss": cut.loss.reshape(-1).numpy(), "accuracy": cut.accuracy.reshape(-1).numpy()}
    if isinstance(cut, Line):
        return pd.DataFrame({"alpha": cut.alphas.numpy(), **values})
    alphas, betas = torch.meshgrid(cut.alphas, cut.betas, indexing="ij")
    return pd.DataFrame({"alpha": alphas.reshape(-1).numpy(), "beta": betas.reshape(-1).numpy(), **values})
