"""One piece of an experiment: what fixes its numbers, what it depends on, and how it is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import torch
from torch import nn

from flatmin.data import Dataset
from flatmin.data.batches import Pair
from flatmin.results import COLUMNS, Record, Store
from flatmin.training import start_network

if TYPE_CHECKING:
    from flatmin.experiments.wandb_logging import MirrorLogger


@dataclass(frozen=True)
class Outcome:
    """What a step found: numbers, arrays, tables (without the columns that name the step) and how it ended."""

    result: Mapping[str, Any]
    arrays: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    status: str = "finished"


@dataclass(frozen=True)
class Workplace:
    """What every step works with."""

    dataset: Dataset
    device: torch.device
    store: Store
    build: Callable[[], nn.Module]
    logger: Callable[["Step"], "MirrorLogger | None"] = lambda step: None

    @cached_property
    def train(self) -> Pair:
        """Training examples on the device."""
        return Pair(*(tensor.to(self.device) for tensor in (self.dataset.train.inputs, self.dataset.train.targets)))

    @cached_property
    def test(self) -> Pair:
        """Test examples on the device."""
        return Pair(*(tensor.to(self.device) for tensor in (self.dataset.test.inputs, self.dataset.test.targets)))

    def start(self, seed: int) -> nn.Module:
        """The network at the start of a seed."""
        return start_network(self.build, seed).to(self.device)

    def trained(self, step: "Step", epoch: int | None = None) -> nn.Module:
        """The network that a finished training step left, or its snapshot of an epoch."""
        arrays = self.record(step).arrays
        network = self.start(0)
        names = {name: name if epoch is None else snapshot_name(epoch, name) for name in network.state_dict()}
        network.load_state_dict({name: torch.as_tensor(arrays[stored]) for name, stored in names.items()})
        return network

    def record(self, step: "Step") -> Record:
        """Where a step's result lies."""
        return self.store.record(step.kind, step.label, step.setup)


class Step(Protocol):
    """A piece of work that leaves one record."""

    @property
    def kind(self) -> str:
        """Kind of record."""
        ...

    @property
    def label(self) -> str:
        """What a reader sees in the folder's name and on the screen."""
        ...

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that name this step in the tables."""
        ...

    @property
    def needs(self) -> tuple["Step", ...]:
        """Steps that have to be finished first."""
        ...

    @property
    def after(self) -> int | None:
        """The epoch after which it takes the network that it needs; ``None`` for the end of training."""
        ...

    @property
    def cost(self) -> float:
        """Work in forward passes of one example, roughly; for the progress bar."""
        ...

    def run(self, workplace: Workplace, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Do the work; ``advance`` takes the share done since the last call."""
        ...


def snapshot_name(epoch: int, name: str) -> str:
    """Name under which a record holds a weight as it was after an epoch."""
    return f"epoch_{epoch}/{name}"


def named(table: str, frame: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a record with the columns that name its step, in the table's order."""
    known = {column: value for column, value in facts.items() if column in COLUMNS[table]}
    return frame.assign(**known)[list(COLUMNS[table])]


def examples_of(pair: Pair, count: int | None) -> Pair:
    """The first ``count`` examples, or all."""
    return pair if count is None else Pair(pair.inputs[:count], pair.targets[:count])
