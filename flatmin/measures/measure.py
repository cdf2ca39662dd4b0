"""What there is to know of a measure, in one declaration."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flatmin.core.fields import BatchNormReading, Count, Epoch, Examples, Section, Seed, Several

if TYPE_CHECKING:
    from torch import Tensor

    from flatmin.objective.objective import Objective

NAMING = ("network", "data", "regime", "seed", "epoch", "batch_norm", "examples", "partition")
"""The columns that say what a row was measured on; ``epoch`` is NaN for a minimum, ``partition`` the batches' size."""

Row = dict[str, Any]
Settings = TypeVar("Settings", bound="MeasureSettings")


class MeasureSettings(Section):
    """What can be said of every measure.

    Attributes:
        batch_norm: Statistics that BatchNorm uses.
        seeds: Seeds whose networks are measured; ``null`` takes all, of a dear measure the experiment's first.
        examples: Measure on the first so many training examples; ``null`` uses all.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    batch_norm: Several[BatchNormReading] = ("batch",)
    seeds: Several[Seed] | None = None
    examples: Examples | None = None
    batch_size: Count = 5000


class AlongTraining(MeasureSettings):
    """And of one that can be taken on the way to a minimum.

    Attributes:
        epochs: Measure also after so many epochs of training; ``null`` measures minima only.
    """

    epochs: Several[Epoch] | None = None


@dataclass(frozen=True)
class Asked:
    """One record's worth of a measure, for every network that is measured.

    Attributes:
        label: What a reader sees of it in a folder's name.
        batch_norm: Reading of BatchNorm.
        examples: Number of training examples, the first ones.
        batch_size: Of the fixed partition.
        passes: Work, in passes over the examples.
        setup: What else fixes the numbers: plain values.
        facts: Columns with one value for all rows, beyond those of `NAMING`.
        only_minima: Not of networks on their way.
    """

    label: str
    batch_norm: str
    examples: int
    batch_size: int
    passes: float
    setup: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    only_minima: bool = False


@dataclass(frozen=True)
class Specimen:
    """What is measured: the loss of one network on the examples asked for, and on others.

    Attributes:
        objective: On the examples asked for.
        following: On so many of the training examples after these.
        test: On all test examples.
        population: How many training examples there are.
        each: The loss of every example of a batch, ``each(outputs, targets)``; ``None`` where there is no such form.
    """

    objective: "Objective"
    following: "Callable[[int], Objective]"
    test: "Callable[[], Objective]"
    population: int
    each: "Callable[[Any, Any], Tensor] | None"


@dataclass(frozen=True, kw_only=True)
class Measure(Generic[Settings]):
    """A measure: all that a file, a plan, a budget, a table, a figure, a mirror and a report need to know of it.

    Attributes:
        name: Key in a file, kind of record, name of the table.
        words: What it is called in a text, at the start of a sentence.
        noun: What a plan counts, in the plural.
        settings: What can be asked; the types say what a budget cuts (`flatmin.core.fields.Examples` and ``Epoch``).
        columns: What its table holds of the measure itself: in the rows, or in what is asked (`Asked.facts`).
        value: The column that is the measure's number, ``""`` where no column alone is.
        unit: Of that number, for an axis.
        by: Columns that tell the numbers of one network apart; the first one is drawn along the axis.
        summarised: Of a column in ``by``, the values that summary, report and readings show; table and figure have all.
        plan: From settings, number of training examples and number of those that are measured on to what is asked;
            imports torch no earlier than when called.
        run: Takes what is asked of a subject and returns the rows; calls ``advance`` with each share done.
        text: Columns that hold text.
        needs: What it asks of an objective, beyond ``theta`` and ``size``.
        by_default: Taken where a file does not name it.
        dear: Taken of the regimes alone, and of the first seed unless ``seeds`` says otherwise.
        few: What few examples do to it, for a caution; ``""`` where they make it uncertain and no more.
        problem: What settings and a number of weights have against each other, for an error; ``""`` for nothing.
        by_rule: Summarised, drawn and reported by rule; ``False`` where it has tables and figures of its own.
        found: The rows of a record in a few words; by default their values.
        table: The columns of its table; by default `NAMING` and its own.
        unchanged_by: The symmetries (`flatmin.symmetries`) that leave it as it is, up to rounding and its own standard
            error; a test sees it move under every other.
    """

    name: str
    words: str
    noun: str
    settings: type[Settings]
    columns: tuple[str, ...]
    value: str
    by: tuple[str, ...]
    plan: Callable[[Settings, int, int], Iterator[Asked]]
    run: Callable[[Specimen, Asked, Callable[[float], None]], list[Row]]
    unit: str = ""
    text: tuple[str, ...] = ()
    summarised: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ("value",)
    by_default: bool = False
    dear: bool = False
    few: str = ""
    by_rule: bool = True
    problem: Callable[[Settings, int], str] = lambda settings, size: ""
    found: Callable[[Sequence[Row]], str] | None = None
    table: tuple[str, ...] = ()
    unchanged_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.table:
            object.__setattr__(self, "table", (*NAMING, *self.columns))
        named = {
            "value": (self.value,) if self.value else (),
            "by": self.by,
            "text": self.text,
            "columns": self.columns,
        }
        for key, names in named.items():
            if absent := [name for name in names if name not in self.table]:
                known = ", ".join(self.table)
                raise ValueError(
                    f"measure {self.name!r}: `{key}` must name columns of its table ({known}), got {absent}."
                )

    @property
    def words_within(self) -> str:
        """What it is called within a sentence.

        Example:
            >>> from flatmin.measures import measures
            >>> measures()["average_case"].words_within
            'average-case sharpness'
        """
        return self.words if self.words[1:2].isupper() else self.words[:1].lower() + self.words[1:]

    @property
    def text_columns(self) -> tuple[str, ...]:
        """All columns of its table that hold text."""
        return ("batch_norm", *self.text)

    def is_summarised(self, row: Row) -> bool:
        """Whether summary, report and readings show a row."""
        return all(row[name] in values for name, values in self.summarised.items())

    def in_words(self, rows: Sequence[Row]) -> str:
        """What a record found, in a few words."""
        if self.found:
            return self.found(rows)
        return ", ".join(f"{row[self.value]:.4g}{among(row, self.by)}" for row in rows)


def among(row: Row, by: Sequence[str]) -> str:
    """What tells a row from the others, in brackets.

    Example:
        >>> among({"epsilon": 1e-3, "draw": 0}, ["epsilon"])
        ' (epsilon 0.001)'
    """
    named = {name: row[name] for name in by if name in row}
    told = [value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}" for name, value in named.items()]
    return f" ({', '.join(told)})" if told else ""


def whole_epoch(epoch: int | None) -> float:
    """An epoch as a table has it: NaN for a minimum."""
    return math.nan if epoch is None else epoch
