"""What every slice of the loss has in common: the data it reads, its points on disk, its tidy table."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from torch import nn

from flatmin.data.batches import Pair
from flatmin.experiments.laboratory import Laboratory, examples_of
from flatmin.experiments.points import Points
from flatmin.experiments.step import Outcome
from flatmin.experiments.training_step import TrainingStep
from flatmin.landscapes import Line, Plane
from flatmin.objective.objective import Objective
from flatmin.results import Record

AlphaBounds = tuple[float, float, int]


@dataclass(frozen=True)
class SliceReading:
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

    def objective(self, network: nn.Module, data: Pair, laboratory: Laboratory) -> Objective:
        """The mean loss of ``network`` over a split."""
        batch_norm = "running" if self.batch_norm == "interpolated" else self.batch_norm
        return laboratory.objective(network, examples_of(data, self.examples), self.batch_size, batch_norm)


class SliceStep(ABC):
    """What all slices have in common: a form, a reading, and one table."""

    kind = "slices"
    noun = "slices"
    after = None
    form: ClassVar[str]
    table: ClassVar[str]
    reading: SliceReading

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

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Evaluate every split, going on from the points that ``folder`` holds."""
        networks = [workplace.trained(step) for step in self.needs]
        start = workplace.start(self.needs[0].seed)
        points = Points(folder / "points.jsonl")
        share = 1 / (self.num_points * len(self.reading.splits))
        frames, checks = [], {}
        for split in self.reading.splits:
            data = {"train": workplace.train, "test": workplace.test}[split]
            objectives = [self.reading.objective(network, data, workplace) for network in networks]
            keep = points.keep(split, lambda: advance(share))
            cut = self.cut(objectives, start, progress=keep, known=points.known(split))
            frames.append(points_table(cut).assign(split=split))
            checks[split] = {
                "base_loss": cut.base_loss,
                "center_loss": cut.center_loss,
                "non_finite": cut.non_finite,
            } | ({"cosine": cut.cosine} if isinstance(cut, Plane) else {})
        tables = {self.table: pd.concat(frames, ignore_index=True)}
        return Outcome(result={"checks": checks}, tables=tables | self.marks(networks, start))

    def found(self, record: Record) -> str:
        """How many points have no finite loss."""
        lost = sum(check["non_finite"] for check in record.result["checks"].values())
        return f"{lost} values not finite" if lost else "done"

    def marks(self, networks: list[nn.Module], start: nn.Module) -> dict[str, pd.DataFrame]:
        """Named points of the slice, where it has any."""
        return {}


def points_table(cut: Line | Plane) -> pd.DataFrame:
    """One row a point, with its coordinates and values alone."""
    return pd.DataFrame(cut.rows())
