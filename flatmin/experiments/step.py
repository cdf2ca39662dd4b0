"""One piece of an experiment: what fixes its numbers, what it depends on, and how it is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import torch

from flatmin.core.errors import ResultsError
from flatmin.results import Record, Store
from flatmin.results.schema import columns

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
    """What every step works with.

    Attributes:
        device: Where it computes.
        store: Where records lie.
        logger: The mirror of a step's training, if there is one.
    """

    device: torch.device
    store: Store
    logger: Callable[["Step"], "MirrorLogger | None"] = lambda step: None

    def record(self, step: "Step") -> Record:
        """Where a step's result lies."""
        return self.store.record(step.kind, step.label, step.setup)


class Named(Protocol):
    """What finds a record and names its rows."""

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


class Step(Named, Protocol):
    """A piece of work that leaves one record."""

    @property
    def noun(self) -> str:
        """What a plan calls several of its kind."""
        ...

    @property
    def needs(self) -> tuple["Step", ...]:
        """Steps that have to be finished first."""
        ...

    @property
    def after(self) -> int | None:
        """The epoch after which it takes the network of the first step it needs; ``None`` for the end of training."""
        ...

    @property
    def cost(self) -> float:
        """Work in forward passes of one example, roughly; for the progress bar."""
        ...

    def run(self, workplace: Any, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Do the work; ``advance`` takes the share done since the last call."""
        ...

    def found(self, record: Record) -> str:
        """What its record says, in a few words."""
        ...


def with_facts(table: str, frame: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a record with the columns that name its step, in the table's order.

    Raises:
        ResultsError: If the table or a column of it is not as declared.
    """
    if table not in columns():
        raise ResultsError(f"a step has left a table {table!r}, which no kind of study declares in `columns`.")
    wanted = columns()[table]
    known = {column: value for column, value in facts.items() if column in wanted}
    whole = frame.assign(**known)
    if absent := [column for column in wanted if column not in whole]:
        raise ResultsError(f"a step has left a table {table!r} without the declared columns {', '.join(absent)}.")
    return whole[list(wanted)]
