"""The rows of Table 3.1: what the book says, what was measured of either batch size, and whether it holds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import POINTS as PERCENT_POINTS
from flatmin.results.intervals import Interval, of_difference, of_ratio
from flatmin.results.words import counted, significant
from flatmin.studies.small_against_large.times import TIMES
from flatmin.studies.small_against_large.trainings import AT, NOISE, POINTS

SAME = 2.0
"""Times that differ by less than this factor count as the same."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        aspect: What is compared.
        book: What Table 3.1 says of the small batch and of the large one.
        small: What was measured of the small batch.
        large: Of the large one.
        found: The large batch over the small one, or the small one less the large one in points.
        verdict: Whether the book's words hold.
        unit: ``ratio`` or ``points``.
        of: What the interval is over.
        judged: Whether it is a row of the book, or stands below one to tell what the comparison rests on.
    """

    aspect: str
    book: str
    small: str
    large: str
    found: Interval
    verdict: str
    unit: str
    of: str
    judged: bool = True

    @property
    def compared(self) -> str:
        """The interval in words."""
        if math.isnan(self.found.center):
            return f"{self.found}"
        return f"{self.found:+.2f} points" if self.unit == "points" else f"{self.found} times"


def below(found: Interval, boundary: float) -> str:
    """Whether it lies below."""
    opposite = {"holds": "does not hold", "does not hold": "holds", "undecided": "undecided"}
    return opposite[found.judged_above(boundary)]


def same(found: Interval) -> str:
    """Whether a ratio is within the factor that counts as the same."""
    if not found.exists:
        return "undecided"
    if found.low > 1 / SAME and found.high < SAME:
        return "holds"
    return "does not hold" if found.low > SAME or found.high < 1 / SAME else "undecided"


def sizes_of(tables: Tables) -> tuple[int, int]:
    """Both batch sizes; those of the trainings, or of the timings if nothing was trained yet."""
    points, times = tables.frames[POINTS], tables.frames[TIMES]
    known = points["batch_size"] if len(points) else times.dropna(subset=["epoch"])["batch_size"]
    return int(known.min()), int(known.max())


def rows(tables: Tables) -> Iterator[Row]:
    """The rows for which something was measured."""
    if tables.frames[POINTS].empty and tables.frames[TIMES].empty:
        return
    small, large = sizes_of(tables)
    times = tables.frames[TIMES]
    if len(times):
        yield from speed(times, small, large)
    noise = tables.frames[NOISE]
    for when, words in (("start", "at the start"), ("end", "where the small batch ends")):
        if len(mine := noise[noise["when"] == when]):
            by = mine.set_index("seed")["relative_noise"]
            one, two = (by[(mine["batch_size"] == size).to_numpy()] for size in (small, large))
            found = of_ratio(two, one)
            yield Row(
                f"gradient, noise {words}",
                "noisy, stable",
                f"{significant(one.mean())} of the gradient",
                f"{significant(two.mean())} of the gradient",
                found,
                below(found, 1.0),
                "ratio",
                counted(len(found.values), "seed"),
            )
    points = tables.frames[POINTS]
    if len(points):
        yield from accuracies(points, small, large)


def speed(times: pd.DataFrame, small: int, large: int) -> Iterator[Row]:
    """The three rows of time."""
    one, two = (times[times["batch_size"] == size].set_index("round") for size in (small, large))
    named = (
        ("one_by_one", "speed of one update, no parallelism", "faster, slower"),
        ("update", "speed of one update, with parallelism", "same, same (if not too large)"),
        ("epoch", "time for one epoch", "slower, faster"),
    )
    for column, aspect, book in named:
        found = of_ratio(two[column], one[column])
        verdict = {"one_by_one": found.judged_above(1), "update": same(found), "epoch": below(found, 1.0)}[column]
        yield Row(
            aspect,
            book,
            f"{significant(1000 * one[column].median())} ms",
            f"{significant(1000 * two[column].median())} ms",
            found,
            verdict,
            "ratio",
            counted(len(found.values), "round"),
        )


def largest_alike(times: pd.DataFrame, small: int) -> int:
    """The largest batch whose update, and that of each smaller one, takes less than `SAME` times that of the small."""
    medians = times.groupby("batch_size")["update"].median().sort_index()
    slow = medians[medians >= SAME * medians[small]]
    return int(medians.index[medians.index < (slow.index[0] if len(slow) else medians.index[-1] + 1)].max())


def accuracies(points: pd.DataFrame, small: int, large: int) -> Iterator[Row]:
    """The rows of optimisation and generalisation; accuracies of small less large, in points."""
    for aspect, column, order in (
        ("optimisation, training accuracy", "train_accuracy", (AT[0], AT[1])),
        ("generalisation, test accuracy", "test_accuracy", (AT[2], AT[0], AT[1])),
    ):
        for at in order:
            mine = points[points["at"] == at].set_index("seed")
            one, two = (100 * mine[mine["batch_size"] == size][column] for size in (small, large))
            found = of_difference(one, two, bounds=PERCENT_POINTS)
            yield Row(
                f"{aspect} at {at}",
                "better, worse",
                f"{one.mean():.2f} %" if len(one) else "not reached",
                f"{two.mean():.2f} %" if len(two) else "not reached",
                found,
                found.judged_above(0),
                "points",
                counted(len(found.values), "seed"),
                judged=at == order[0],
            )


def table(tables: Tables) -> pd.DataFrame:
    """The rows for a reader."""
    return pd.DataFrame(
        {
            "aspect": row.aspect if row.judged else f"– {row.aspect}",
            "book: small, large": row.book,
            "small batch": row.small,
            "large batch": row.large,
            "large over small, or small less large": row.compared,
            "over": row.of,
            "the book's words": row.verdict,
        }
        for row in rows(tables)
    )


def caption(tables: Tables) -> str:
    """What the table is."""
    small, large = sizes_of(tables)
    return (
        f"Table 3.1 of Lee's book, measured: batches of {small:,} and of {large:,}, the same network, optimiser and "
        "learning rate. Times are medians; ratios and differences have their 95 % t interval over rounds or seeds; "
        "rows that begin with a dash are not the book's, and tell what a row rests on."
    )
