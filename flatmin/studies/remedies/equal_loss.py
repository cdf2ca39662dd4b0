"""Sharpness at equal training loss: each way of training against the large batch where both had come to one loss.

The derivatives of the cross-entropy fade with the loss, so that a way which went on for longer ends flatter whatever
it did. Here a way and the large batch of its seed are compared at the lowest training loss that both have reached,
each between the networks kept on its way; an average of weights was on no way, and stands where it ended.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from flatmin.results import Tables
from flatmin.results.at_loss import first_reached, value_at
from flatmin.results.intervals import Interval, of_ratio
from flatmin.results.statistics import NO_MINIMUM
from flatmin.studies.remedies.judged import LARGE, readings, said_by_all

KEYS = ["regime", "seed", "epoch"]
LOSS = "train_loss"


@dataclass(frozen=True)
class AtEqualLoss:
    """One way of training against the large batch.

    Attributes:
        name: Of the way, as in the file.
        loss: The training loss at which both are compared, over that at which the large batch ended.
        flatness: Each measure over the large batch's there, by what it is called; no value for a seed of which the way,
            or the large batch, has no networks on both sides of that loss with that measure.
    """

    name: str
    loss: Interval
    flatness: dict[str, Interval]

    @property
    def flattens(self) -> str:
        """What the way does to the sharpness there."""
        return said_by_all(self.flatness.values())

    @property
    def exists(self) -> bool:
        """Whether there was anything to compare."""
        return any(each.values for each in self.flatness.values())


def along(tables: Tables) -> pd.DataFrame:
    """Every network that was measured, on its way or at its end, in time.

    Returns:
        Columns ``regime``, ``seed``, ``epoch`` (NaN at the end) and ``train_loss`` (batch statistics, all training
        examples), and one for each measure that was taken along the large batch's training, NaN where it was not taken
        of a network. Only networks that one of these was taken of, and trainings that left a minimum.
    """
    ends = tables.minima[~tables.minima["status"].isin(NO_MINIMUM)]
    ways = tables.curves[tables.curves["split"] == "train"].rename(columns={"loss": LOSS})
    ways = ways.merge(ends[KEYS[:2]], on=KEYS[:2])
    found = pd.concat([ways[[*KEYS, LOSS]], ends[[*KEYS[:2], LOSS]]], ignore_index=True)
    for words, rows in readings(tables):
        if (rows["epoch"].notna() & (rows["regime"] == LARGE)).any():
            each = rows.groupby(KEYS, dropna=False)["value"].mean().rename(words).reset_index()
            found = found.merge(each, on=KEYS, how="left")
    found = found.dropna(subset=measured(found), how="all")
    return found.sort_values(KEYS, ignore_index=True, na_position="last")


def at_equal_loss(tables: Tables) -> list[AtEqualLoss]:
    """Every way but the large batch, in the order of the file; none where nothing was measured along training."""
    networks = along(tables)
    asked = measured(networks)
    if not asked or LARGE not in set(networks["regime"]):
        return []
    ends = tables.minima[tables.minima["regime"] == LARGE].set_index("seed")[LOSS]
    names = [str(name) for name in tables.minima["regime"].unique() if name in set(networks["regime"])]
    return [compared(name, networks, asked, ends) for name in names if name != LARGE]


def measured(networks: pd.DataFrame) -> list[str]:
    """What :func:`along` has of each network."""
    return [*networks.columns[len(KEYS) + 1 :]]


def compared(name: str, networks: pd.DataFrame, asked: Sequence[str], ends: "pd.Series[float]") -> AtEqualLoss:
    """One way of training against the large batch of the same seeds, whose last losses are ``ends``.

    A measure that was taken of fewer networks or seeds than another is compared between those it was taken of.
    """
    losses, own, large = dict[int, float](), dict[int, dict[str, float]](), dict[int, dict[str, float]]()
    for seed, ways in networks.groupby("seed"):
        pairs = {
            what: [first_reached(ways[ways["regime"] == regime], LOSS, [what]) for regime in (name, LARGE)]
            for what in asked
        }
        pairs = {what: pair for what, pair in pairs.items() if all(len(way) for way in pair)}
        loss = max((float(way[LOSS].min()) for pair in pairs.values() for way in pair), default=math.nan)
        one, other = ({what: value_at(pair[of], LOSS, what, loss) for what, pair in pairs.items()} for of in (0, 1))
        if not all(math.isnan(one[what] * other[what]) for what in pairs):
            key = cast(int, seed)
            losses[key], own[key], large[key] = loss, one, other
    first, second = (pd.DataFrame.from_dict(found, "index", float).reindex(columns=[*asked]) for found in (own, large))
    return AtEqualLoss(
        name,
        of_ratio(pd.Series(losses, dtype=float), ends),
        {what: of_ratio(first[what], second[what]) for what in asked},
    )


def rows_of(found: Sequence[AtEqualLoss]) -> pd.DataFrame:
    """A row for each way: every number with the ends of its interval."""
    table = []
    for one in found:
        row: dict[str, Any] = {"regime": one.name, "seeds": len(one.loss.values)}
        for name, each in ({"training loss": one.loss} | one.flatness).items():
            row |= {name: each.center, f"{name} low": each.low, f"{name} high": each.high}
        table.append(row)
    return pd.DataFrame(table)
