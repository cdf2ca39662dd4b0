"""One path between two minima: what the loss is along it, under each reading of BatchNorm."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from flatmin.connectivity import barrier, connect, match_neurons
from flatmin.experiments.laboratory import Laboratory, examples_of
from flatmin.experiments.slice_step import SliceReading
from flatmin.experiments.step import Outcome
from flatmin.experiments.training_step import TrainingStep
from flatmin.landscapes import Line, linear_path, path_between, slice_path
from flatmin.landscapes.grid import spaced
from flatmin.objective.batch_norm import batch_norm_layers
from flatmin.objective.objective import Objective
from flatmin.results import Record

LINES, BARRIERS, WAYS = "connectivity_lines", "connectivity_barriers", "connectivity_ways"
STRAIGHT = ("interpolated", "batch", "reestimate")
CURVED = ("batch", "reestimate")
SPLITS = ("train", "test")
SEEDS = 3
"""Orders of visiting the layers that matching by weights tries."""
LOOKED = 1000
"""Examples on which activations are compared."""
BATCH = 256
"""Examples on which a network of matched neurons is held against the one it was."""
TRAINING = 0.5
"""Share of a curve's step that its training is taken to be."""


@dataclass(frozen=True)
class Look:
    """Where a path is looked at.

    Attributes:
        points: Places on it, its ends among them.
        examples: The first so many of each split; ``None`` for all.
        batch_size: Of the fixed partition.
    """

    points: int
    examples: int | None
    batch_size: int


@dataclass(frozen=True)
class WayStep:
    """Look along one path between two minima.

    Args:
        pair: ``small_large``, ``small_small`` or ``large_large``.
        first: The training whose minimum is at t = 0.
        second: The one at t = 1.
        way: ``segment``, ``matched_weights``, ``matched_activations``, ``bezier`` or ``polychain``.
        look: Where.
        settings: Of a curve's training.
    """

    pair: str
    first: TrainingStep
    second: TrainingStep
    way: str
    look: Look
    settings: dict[str, Any] = field(default_factory=dict)

    kind = "connectivity"
    noun = "paths between minima"
    after = None

    @property
    def needs(self) -> tuple[TrainingStep, ...]:
        """Both trainings."""
        return self.first, self.second

    @property
    def label(self) -> str:
        """Such as ``small_large-seed0-seed0-bezier``."""
        return f"{self.pair}-seed{self.first.seed}-seed{self.second.seed}-{self.way}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        ends = {"first": self.first.setup, "second": self.second.setup}
        matching = {"seeds": SEEDS, "looked": LOOKED} if self.method else {}
        return ends | {"way": self.way, "look": asdict(self.look)} | matching | self.settings

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name its rows."""
        named = {"network": self.first.network["name"], "data": self.first.data["name"], "pair": self.pair}
        return named | {"first_seed": self.first.seed, "second_seed": self.second.seed, "way": self.way}

    @property
    def method(self) -> str:
        """How neurons are matched; empty where they are not."""
        return self.way.removeprefix("matched_") if self.way.startswith("matched_") else ""

    @property
    def cost(self) -> float:
        """Two passes an example and place for each reading, and three of each epoch of a curve."""
        examples = self.first.data["examples"]
        readings = len(CURVED if self.settings else STRAIGHT)
        return float(2 * readings * self.look.points * (self.look.examples or examples) + 3 * self._epochs * examples)

    @property
    def _epochs(self) -> int:
        return int(self.settings.get("epochs", 0))

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Find the path, and look along it."""
        first, second = (workplace.trained(step) for step in self.needs)
        facts: dict[str, Any] = dict.fromkeys(("neurons", "moved", "sweeps", "converged"), np.nan)
        facts |= {"distance": apart(first, second), "distance_before": np.nan, "stretch": np.nan}
        facts |= {"steps": 0, "first_loss": np.nan, "last_loss": np.nan, "diverged": 0}
        arrays: dict[str, Any] = {}
        path: Callable[[float], Tensor] | None = None
        left = 1.0
        if self.method:
            shown = examples_of(workplace.train, LOOKED if self.method == "activations" else BATCH)
            found = match_neurons(first, second, [shown], method=self.method, seeds=SEEDS)
            second = found.model
            facts |= {"neurons": found.neurons, "moved": found.moved, "sweeps": found.sweeps}
            facts |= {"converged": int(found.converged)}
            facts |= {"distance": found.distance, "distance_before": found.distance_before}
        elif self.settings:
            ends = (Objective(net, workplace.loss, [workplace.train], batch_norm="batch") for net in (first, second))
            curve = connect(*ends, curve=self.way, seed=self.first.seed, **self.settings)
            losses = curve.losses.tolist()
            facts |= {"stretch": curve.stretch, "steps": curve.steps, "diverged": int(curve.diverged)}
            facts |= {"first_loss": losses[0], "last_loss": losses[-1]}
            arrays, path = {"bends": curve.bends.numpy()}, curve
            advance(TRAINING)
            left -= TRAINING
        readings = list(self._readings(first))
        each = left / (len(readings) * len(SPLITS) * self.look.points)
        frames, hills = [], []
        for reading in readings:
            lines = self._lines(workplace, (first, second), path, reading, lambda *_: advance(each))
            frames.append(table_of(lines).assign(batch_norm=reading))
            hills += [row | {"batch_norm": reading} for row in barriers_of(lines)]
        barriers = pd.DataFrame(hills)
        return Outcome(
            result=facts | _highest(barriers),
            arrays=arrays,
            tables={LINES: pd.concat(frames, ignore_index=True), BARRIERS: barriers, WAYS: pd.DataFrame([facts])},
            status="diverged" if facts["diverged"] else "finished",
        )

    def _readings(self, network: nn.Module) -> Iterator[str]:
        """How BatchNorm is read; in one way where there is none."""
        readings = CURVED if self.settings else STRAIGHT
        yield from readings if batch_norm_layers(network) else readings[-1:]

    def _lines(
        self,
        workplace: Laboratory,
        networks: tuple[nn.Module, nn.Module],
        path: Callable[[float], Tensor] | None,
        batch_norm: str,
        told: Callable[..., None],
    ) -> dict[str, Line]:
        """The line of each split; with re-estimated statistics those of the test loss are the training data's."""
        reading = SliceReading(batch_norm, SPLITS, self.look.examples, self.look.batch_size, "flatmin")
        ts = spaced(0.0, 1.0, self.look.points)
        found: dict[str, Line] = {}
        on_train: Objective | None = None
        for split, data in zip(SPLITS, (workplace.train, workplace.test), strict=True):
            one, other = (reading.objective(network, data, workplace) for network in networks)
            if batch_norm == "interpolated":
                found[split] = path_between(one, other, ts, interpolate_batch_norm=True, progress=told)
                continue
            if batch_norm == "reestimate":
                one = one.normalized_by(on_train) if on_train is not None else one
                on_train = on_train or one
            found[split] = slice_path(one, path or linear_path(one.theta, other.theta), ts, progress=told)
        return found

    def found(self, record: Record) -> str:
        """The barrier, and what was done to find the path."""
        of = record.result
        said = f"training loss at most {of['highest']:.4g}, {of['above_ends']:.4g} above the higher end"
        if self.method:
            said = f"{of['moved']:.0%} of {of['neurons']:,} neurons moved; {said}"
        return f"DIVERGED; {said}" if of["diverged"] else said


def apart(first: nn.Module, second: nn.Module) -> float:
    """Euclidean distance of the parameters."""
    flat = [torch.nn.utils.parameters_to_vector(network.parameters()).detach().double() for network in (first, second)]
    return float((flat[0] - flat[1]).norm())


def table_of(lines: dict[str, Line]) -> pd.DataFrame:
    """A row a place, with loss and accuracy on each split."""
    train, test = (lines[split] for split in SPLITS)
    columns = {"t": train.alphas, "train_loss": train.loss, "train_accuracy": train.accuracy}
    columns |= {"test_loss": test.loss, "test_accuracy": test.accuracy}
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()})


def barriers_of(lines: dict[str, Line]) -> Iterator[dict[str, Any]]:
    """The barrier of loss and error on each split; not-a-number where an end is not finite."""
    for split, line in lines.items():
        for quantity, values in (("loss", line.loss), ("error", 1 - line.accuracy)):
            named = {"quantity": f"{split}_{quantity}"}
            try:
                hill = barrier(values, line.alphas)
            except ValueError:
                yield named | dict.fromkeys(
                    ("above_ends", "above_line", "at", "highest", "first_value", "second_value"), np.nan
                )
                continue
            ends = {"first_value": hill.first, "second_value": hill.second}
            yield (
                named
                | {"above_ends": hill.above_ends, "above_line": hill.above_line, "at": hill.at}
                | ends
                | {"highest": hill.maximum}
            )


def _highest(barriers: pd.DataFrame) -> dict[str, float]:
    """The training loss of the last reading, the re-estimated one."""
    row = barriers[barriers["quantity"] == "train_loss"].iloc[-1]
    return {name: float(row[name]) for name in ("above_ends", "above_line", "highest")}
