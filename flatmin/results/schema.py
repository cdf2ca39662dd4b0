"""The columns of the tidy tables: those of trained networks and slices, of every measure, and of every kind of study.

In `curves` and `minima`, losses and accuracies are those with the batch's BatchNorm statistics, as in the authors'
code; those with running averages have names that begin with `running_`. In `minima`, `start_epoch` is the epoch of the
small-batch iterate that training started from, NaN for the start of the seed. What the columns of a measure's table
mean, the measure says.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from flatmin.core.kind import USUAL, kinds
from flatmin.measures import measures

TRAININGS: dict[str, tuple[str, ...]] = {
    "curves": (
        *("network", "data", "regime", "seed", "epoch", "split"),
        *("loss", "accuracy", "running_loss", "running_accuracy"),
    ),
    "minima": (
        *("network", "data", "regime", "batch_size", "start_epoch", "seed", "status", "epochs"),
        *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        *("running_train_loss", "running_train_accuracy", "running_test_loss", "running_test_accuracy"),
        "distance_from_start",
    ),
}
SLICES: dict[str, tuple[str, ...]] = {
    "lines": (
        *("network", "data", "seed", "kind", "regime", "batch_norm"),
        *("alpha", "split", "loss", "accuracy"),
    ),
    "planes": (
        *("network", "data", "seed", "kind", "regime", "batch_norm"),
        *("alpha", "beta", "split", "loss", "accuracy"),
    ),
    "points": ("network", "data", "seed", "kind", "label", "alpha", "beta"),
}
COLUMNS = TRAININGS | {name: measure.table for name, measure in measures().items()} | SLICES
if taken := sorted(measures().keys() & (TRAININGS | SLICES).keys()):
    raise ImportError(f"a measure must have a name that no other table has, got {taken}.")

TEXT = (
    *("network", "data", "regime", "split", "status", "kind", "label"),
    *dict.fromkeys(column for measure in measures().values() for column in measure.text_columns),
)


@cache
def columns() -> dict[str, tuple[str, ...]]:
    """Every table there may be: its columns, in order.

    Raises:
        ImportError: If a kind of study has a table of a name that is taken.
    """
    found = dict(COLUMNS)
    for kind in kinds().values():
        for table, its in kind.columns.items():
            if table in found:
                raise ImportError(f"kind {kind.name!r} must name its tables as no other does, got {table!r} again.")
            found[table] = its
    return found


def own_tables(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """The tables of the kind of study that a provenance names, beyond `COLUMNS`; none where it names no known kind."""
    experiment = provenance.get("experiment")
    kind = kinds().get(str(experiment.get("kind", USUAL))) if isinstance(experiment, Mapping) else None
    return tuple(kind.columns) if kind else ()


@cache
def text_columns(table: str) -> frozenset[str]:
    """The columns of a table that hold text."""
    of_kinds = {name: kind.text for kind in kinds().values() for name in kind.columns}
    return frozenset(of_kinds.get(table, TEXT))
