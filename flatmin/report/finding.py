"""The finding in numbers: what the published search finds owes to the gradient where training stopped.

Ten L-BFGS-B iterations from the centre of the box make little way where the gradient is small. For every subject: what
share of a strong search's value the published search finds, how that share goes with the length of the gradient along
training, how often it finds less than in a smaller box, how often it turns the order of both minima round, and whether
the order is one of the landscape or of the loss that training has reached. All with batch statistics, in the full
space, at the larger of the paper's epsilons; searches in smaller boxes are counted in every space and reading.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from flatmin.report.published import EPSILONS
from flatmin.report.sharpness_claims import rank_correlation
from flatmin.report.subjects import READING, Subject, of_regimes
from flatmin.results.at_loss import first_reached, value_at
from flatmin.results.intervals import CORRELATION, Interval, of_mean, of_ratio
from flatmin.results.nesting import is_impossible, nested
from flatmin.results.words import SEARCHES

LOSS = "base_loss"
LEAST = 3
"""Networks along a training that a rank correlation is taken of."""


class Tally(NamedTuple):
    """So many of so many."""

    of_these: int
    all: int

    @classmethod
    def of(cls, which: "pd.Series[bool]") -> "Tally":
        """How many are true."""
        return cls(int(which.sum()), len(which))

    @classmethod
    def total(cls, counts: Iterable["Tally"]) -> "Tally":
        """Several together."""
        found = list(counts)
        return cls(sum(count.of_these for count in found), sum(count.all for count in found))

    @property
    def text(self) -> str:
        """Such as ``2 of 3``; a dash for none of none."""
        return f"{self.of_these:,} of {self.all:,}" if self.all else "–"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the searches at one subject say.

    Attributes:
        subject: The networks.
    """

    subject: Subject

    @property
    def name(self) -> str:
        """That of the subject."""
        return self.subject.name

    @cached_property
    def minima(self) -> pd.DataFrame:
        """Both searches at the minima."""
        return self.subject.minima()

    @cached_property
    def along(self) -> pd.DataFrame:
        """Both searches along training and at its end."""
        return self.subject.along()

    @cached_property
    def share(self) -> dict[str, Interval]:
        """The share of the strong value that the published search finds at the minima of each regime."""
        found = {regime: rows.set_index("seed") for regime, rows in of_regimes(self.minima).items()}
        return {regime: of_ratio(rows["published"], rows["strong"]) for regime, rows in found.items()}

    @cached_property
    def impossible(self) -> dict[str, Tally]:
        """By method, the searches that found less than in a smaller box, of those that were made in one."""
        rows = nested(self.subject.searches)
        return {method: Tally.of(is_impossible(rows[rows["method"] == method])) for method in SEARCHES}

    @cached_property
    def order(self) -> dict[str, Interval]:
        """By method, how many times sharper the large-batch minimum is."""
        small, large = (rows.set_index("seed") for rows in of_regimes(self.minima).values())
        return {method: of_ratio(large[column], small[column]) for method, column in SEARCHES.items()}

    @cached_property
    def sharper(self) -> Tally:
        """The seeds whose large-batch minimum is the sharper one by the strong search."""
        return Tally.of(large_over_small(self.minima)["strong"] > 1)

    @cached_property
    def turned(self) -> Tally:
        """The seeds whose order at the minima the published search turns round."""
        return turned_round(self.minima)

    @cached_property
    def turned_along(self) -> Tally:
        """The pairs of networks on their way whose order the published search turns round; both start as one."""
        way = self.along[np.isfinite(self.along["epoch"])]
        return turned_round(way[way["epoch"] > 0])

    @cached_property
    def correlation(self) -> dict[str, Interval]:
        """The rank correlation of share and gradient along a training, by regime, over seeds."""
        return {regime: correlation_of(rows) for regime, rows in of_regimes(self.along).items()}

    @cached_property
    def swing(self) -> dict[str, dict[str, Interval]]:
        """How many times its least value the greatest is along a training, of the `share` and the `strong` value."""
        ways = of_regimes(self.along)
        return {
            regime: {column: swing_of(rows, column) for column in ("share", "strong")} for regime, rows in ways.items()
        }

    @cached_property
    def equal_loss(self) -> "EqualLoss":
        """The order of both networks of a seed at the lowest loss that both have reached."""
        return at_equal_loss(self.along)


class EqualLoss(NamedTuple):
    """Both networks of each seed where both have come to the same loss.

    Attributes:
        loss: By seed, the lowest that both have reached.
        order: By method, how many times sharper the large-batch network is there.
    """

    loss: "pd.Series[float]"
    order: dict[str, Interval]


def large_over_small(rows: pd.DataFrame) -> pd.DataFrame:
    """How many times sharper the large-batch network is by either search, for each seed and epoch that has both.

    A published value of 0 gives a ratio of 0 or infinity, two of them none.
    """
    small, large = (part.set_index(["seed", "epoch"])[["published", "strong"]] for part in of_regimes(rows).values())
    small, large = small.align(large, join="inner")
    return (large / small).dropna()


def turned_round(rows: pd.DataFrame) -> Tally:
    """How often the large-batch network is the sharper one by the strong search and not by the published one."""
    ratios = large_over_small(rows)
    return Tally.of((ratios["strong"] > 1) & (ratios["published"] < 1))


def correlation_of(rows: pd.DataFrame) -> Interval:
    """Mean rank correlation of share and gradient within a seed; the interval ends where correlations do."""
    ways = [way for _, way in rows.groupby("seed") if len(way) >= LEAST]
    each = [rank_correlation(way["share"], way["gradient_norm"]) for way in ways]
    return of_mean(pd.Series(each, dtype=float), bounds=CORRELATION)


def swing_of(rows: pd.DataFrame, column: str) -> Interval:
    """The greatest positive value of a column over its least within a seed, geometric mean over seeds."""
    ways = rows[rows[column] > 0].groupby("seed")[column]
    return of_ratio(ways.max(), ways.min())


def at_equal_loss(rows: pd.DataFrame) -> EqualLoss:
    """Compare the networks of each seed at the lowest loss that both have reached.

    Args:
        rows: Both searches along training, in time.
    """
    found = []
    for seed, mine in rows.groupby("seed"):
        ways = [first_reached(way, LOSS, [*SEARCHES.values()]) for way in of_regimes(mine).values()]
        if all(len(way) for way in ways):
            loss = max(float(way[LOSS].min()) for way in ways)
            found.append({"seed": seed, "loss": loss} | values_at(ways, loss))
    frame = pd.DataFrame(found, columns=["seed", "loss", *SEARCH_COLUMNS]).set_index("seed").astype(float).dropna()
    order = {method: of_ratio(frame[f"large {name}"], frame[f"small {name}"]) for method, name in SEARCHES.items()}
    return EqualLoss(frame["loss"], order)


SEARCH_COLUMNS = [f"{regime} {name}" for regime in ("small", "large") for name in SEARCHES.values()]


def values_at(ways: Sequence[pd.DataFrame], loss: float) -> dict[str, float]:
    """What either search finds at the small-batch and the large-batch network of that loss."""
    values = [value_at(way, LOSS, name, loss) for way in ways for name in SEARCHES.values()]
    return dict(zip(SEARCH_COLUMNS, values, strict=True))


def partitions(subject: Subject) -> pd.DataFrame:
    """What the searches find at minima whose loss was taken in batches of several sizes.

    Returns:
        One row per search (`method`), number of `examples` and size of the batches (`partition`): the mean sharpness of
        either regime over the `seeds` that have all sizes. Empty where there is one size.
    """
    rows = subject.searches[(subject.searches["space"] == "full") & (subject.searches["batch_norm"] == READING)]
    rows = rows[rows["epoch"].isna() & np.isclose(rows["epsilon"].astype(float), EPSILONS[0], rtol=1e-6)]
    found = []
    for setting, mine in rows.groupby(["method", "examples"]):
        wide = mine.pivot_table(index="seed", columns=["partition", "regime"], values="sharpness").dropna()
        if len(wide) and wide.columns.get_level_values("partition").nunique() > 1:
            means = wide.mean().unstack("regime").rename_axis(columns=None).reset_index()
            method, examples = cast(tuple[str, float], setting)
            found.append(means.assign(method=method, examples=examples, seeds=len(wide)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def evidence(subjects: Iterable[Subject]) -> list[Evidence]:
    """What the searches say, subject by subject."""
    return [Evidence(subject) for subject in subjects]
