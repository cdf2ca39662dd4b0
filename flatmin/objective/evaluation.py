"""What is known of a point in one pass over the data: a pair of numbers, with further ones beside it."""

from collections.abc import Mapping
from typing import NamedTuple


class _Pair(NamedTuple):
    loss: float
    accuracy: float


class Evaluation(_Pair):
    """Mean loss and share of right answers, a pair; NaN where outputs are no class scores.

    Attributes:
        metrics: Further numbers that the objective was asked for, by name.
    """

    metrics: Mapping[str, float]

    def __new__(cls, loss: float, accuracy: float, metrics: Mapping[str, float] | None = None) -> "Evaluation":
        """The pair, with its metrics beside it."""
        pair = super().__new__(cls, loss, accuracy)
        pair.metrics = dict(metrics or {})
        return pair

    def __repr__(self) -> str:
        more = f", metrics={self.metrics}" if self.metrics else ""
        return f"Evaluation(loss={self.loss!r}, accuracy={self.accuracy!r}{more})"
