"""All measures of one trained network, in one record."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from flatmin.experiments.laboratory import Laboratory, examples_of
from flatmin.experiments.step import Outcome
from flatmin.measures.measure import Asked, Measure, Row, Specimen
from flatmin.results import Record
from flatmin.studies.correlation.grid import MEASURES
from flatmin.studies.correlation.trainings import GridTraining

NUMBERS = ("measure", "setting", "value", "standard_error", "converged")


@dataclass(frozen=True)
class GridMeasures:
    """Take every measure of one network; of one that has not reached its target, none.

    Args:
        training: Its training.
        asked: What is asked of each measure.
    """

    training: GridTraining
    asked: tuple[tuple[Measure[Any], Asked], ...]

    kind = MEASURES
    noun = "networks to measure"
    after = None

    @property
    def needs(self) -> tuple[GridTraining, ...]:
        """The training."""
        return (self.training,)

    @property
    def label(self) -> str:
        """That of the training."""
        return self.training.label

    @property
    def setup(self) -> dict[str, Any]:
        """The training, and what fixes each measure."""
        each = [
            {"measure": measure.name, "examples": asked.examples, "batch_size": asked.batch_size, **asked.setup}
            for measure, asked in self.asked
        ]
        return {"network": self.training.setup, "measures": each}

    @property
    def facts(self) -> dict[str, Any]:
        """What names its rows."""
        return self.training.facts

    @property
    def cost(self) -> float:
        """Passes over the examples."""
        return sum(asked.passes * asked.examples for _, asked in self.asked)

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Measure; a row for each number."""
        if workplace.record(self.training).result["status"] != "reached":
            advance(1.0)
            return Outcome(result={"rows": 0})
        laboratory = self.training.laboratory(workplace)
        network, rows = laboratory.trained(self.training), list[Row]()
        for measure, asked in self.asked:
            rows += numbers(measure, measure.run(specimen(laboratory, network, asked), asked, lambda share: None))
            advance(1 / len(self.asked))
        frame = pd.DataFrame(rows, columns=list(NUMBERS))
        return Outcome(result={"rows": len(rows)}, tables={MEASURES: frame})

    def found(self, record: Record) -> str:
        """How many numbers there are."""
        rows = record.result["rows"]
        return f"{rows} numbers" if rows else "not measured, the target was not reached"


def specimen(laboratory: Laboratory, network: nn.Module, asked: Asked) -> Specimen:
    """The loss of a network on the examples asked for, and on others."""
    train = laboratory.train
    on = partial(laboratory.objective, network, batch_size=asked.batch_size, batch_norm=asked.batch_norm)
    return Specimen(
        objective=on(examples_of(train, asked.examples)),
        following=lambda count: on(examples_of(train, count, start=asked.examples)),
        test=lambda: on(laboratory.test),
        population=len(train.targets),
        each=laboratory.each,
    )


def numbers(measure: Measure[Any], rows: list[Row]) -> Iterator[Row]:
    """What a measure found, in the columns that all measures share."""
    for row in rows:
        told = [
            row[name] if isinstance(row[name], str) else f"{name} {row[name]:g}" for name in measure.by if name in row
        ]
        yield {
            "measure": measure.name,
            "setting": ", ".join(told) or "usual",
            "value": float(row[measure.value]),
            "standard_error": float(row.get("standard_error", math.nan)),
            "converged": float(row.get("converged", math.nan)),
        }
