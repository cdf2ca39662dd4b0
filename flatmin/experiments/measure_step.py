"""Any measure as a step: one network, one thing asked of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flatmin.core.errors import FlatminError, NotFinite
from flatmin.core.fields import shown
from flatmin.experiments.laboratory import Laboratory, examples_of
from flatmin.experiments.step import Outcome
from flatmin.experiments.training_step import TrainingStep
from flatmin.measures.measure import Asked, Measure, Specimen, whole_epoch
from flatmin.results import Record


@dataclass(frozen=True)
class MeasureStep:
    """Measure one trained network.

    Args:
        network: The training step whose network is measured.
        measure: What is measured.
        asked: What of it.
        epoch: Measure the network as it was after this epoch; ``None`` for the end of training.
    """

    network: TrainingStep
    measure: Measure[Any]
    asked: Asked
    epoch: int | None = None

    @property
    def kind(self) -> str:
        """The name of the measure."""
        return self.measure.name

    @property
    def noun(self) -> str:
        """What a plan counts."""
        return self.measure.noun

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-small_batch-seed0-full-strong-batch``."""
        place = "" if self.epoch is None else f"-epoch{self.epoch}"
        return f"{self.network.label}{place}-{self.asked.label}"

    @property
    def needs(self) -> tuple[TrainingStep]:
        """The training of the network."""
        return (self.network,)

    @property
    def after(self) -> int | None:
        """The epoch of it."""
        return self.epoch

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the numbers."""
        return {
            "network": self.network.setup,
            "batch_norm": self.asked.batch_norm,
            "examples": self.asked.examples,
            "batch_size": self.asked.batch_size,
            **self.asked.setup,
            **({} if self.epoch is None else {"epoch": self.epoch}),
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows in the table."""
        return {
            **self.network.facts,
            "epoch": whole_epoch(self.epoch),
            "batch_norm": self.asked.batch_norm,
            "examples": self.asked.examples,
            "partition": self.asked.batch_size,
            **self.asked.facts,
        }

    @property
    def own_columns(self) -> list[str]:
        """What its rows have to hold."""
        return [name for name in self.measure.columns if name not in self.asked.facts]

    @property
    def cost(self) -> float:
        """Passes over the examples."""
        return self.asked.passes * self.asked.examples

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Measure; leave no row where the loss of the network, or a derivative that is asked for, is not finite.

        Raises:
            FlatminError: If the measure returns other rows than it declares.
        """
        subject = self.subject(workplace)
        base_loss = float(subject.objective.value())
        if not math.isfinite(base_loss):
            return Outcome(result={"rows": [], "base_loss": base_loss}, status="diverged")
        try:
            rows = self.measure.run(subject, self.asked, advance)
        except NotFinite as error:
            return Outcome(result={"rows": [], "base_loss": base_loss, "reason": str(error)}, status="diverged")
        if problem := misfit(self.measure, rows, self.own_columns):
            raise FlatminError(f"measure {self.measure.name}: {problem}")
        frame = pd.DataFrame(rows, columns=self.own_columns)
        return Outcome(result={"rows": rows}, tables={self.measure.name: frame})

    def subject(self, workplace: Laboratory) -> Specimen:
        """The loss of the network on the examples asked for, and on others."""
        network, train = workplace.trained(self.network, self.epoch), workplace.train
        on = partial(workplace.objective, network, batch_size=self.asked.batch_size, batch_norm=self.asked.batch_norm)
        return Specimen(
            objective=on(examples_of(train, self.asked.examples)),
            following=lambda count: on(examples_of(train, count, start=self.asked.examples)),
            test=lambda: on(workplace.test),
            population=int(self.network.data["examples"]),
            each=workplace.each,
        )

    def found(self, record: Record) -> str:
        """The numbers, in a few words."""
        if record.state == "diverged":
            reason = record.result.get("reason", f"the loss of the network is {record.result['base_loss']}")
            return f"not measured, {reason.rstrip('.')}"
        return self.measure.in_words(record.result["rows"])


def misfit(measure: Measure[Any], rows: Any, wanted: list[str]) -> str:
    """What is wrong with the rows that a measure has returned, against its declaration; empty where nothing is."""
    if not (isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)):
        return f"`run` must return a list of at least one row, got {shown(rows)}."
    for row in rows:
        if absent := [name for name in wanted if name not in row]:
            return (
                f"every row must have the columns that are declared, got none of {', '.join(absent)} in {shown(row)}."
            )
        for name in wanted:
            value, words = row[name], name in measure.text
            if words and not (isinstance(value, str) and value not in ("", "nan")):
                return f"the text column {name!r} must hold words, got {value!r}."
            if not words and not isinstance(value, Real | np.bool_):
                return f"the column {name!r} must hold numbers, or be declared in `text`, got {shown(value)}."
    return ""
