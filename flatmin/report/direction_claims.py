"""K17: that large-batch minima are steep along few directions, by random ones and eigenvectors of the Hessian."""

from collections.abc import Sequence

import pandas as pd

from flatmin.core.shares import wilson
from flatmin.report.claim import Claim, Finding
from flatmin.report.published import LARGE
from flatmin.report.studies import StudyResults
from flatmin.report.values import Reading
from flatmin.results.intervals import NOT_NEGATIVE, Interval, of_mean
from flatmin.results.statistics import of_minima
from flatmin.results.words import significant

FEW = 5.0
"""Per cent of the directions."""
RANDOM = {"gaussian": "Gaussian", "filter": "filter-normalised", "box": "box-scaled"}


def steep_along_few(study: StudyResults, reading: Reading) -> list[Finding]:
    """Steep shares of random directions and of a basis with the sharpest ones, and whether any is steep at all."""
    rows = directions(study)
    if rows.empty:
        return []
    return [
        *(of_random(rows[rows["kind"] == kind], words) for kind, words in RANDOM.items()),
        of_basis(rows),
        anywhere(rows),
    ]


def directions(study: StudyResults) -> pd.DataFrame:
    """What was counted at the large-batch minima with batch statistics, on the most examples."""
    rows = of_minima(study.tables.frames["steep_directions"])
    rows = rows[(rows["regime"] == LARGE) & (rows["batch_norm"] == "batch")]
    found: pd.DataFrame = rows[rows["examples"] == rows["examples"].max()]
    return found


def of_random(rows: pd.DataFrame, words: str) -> Finding:
    """The steep share of one kind of random direction."""
    interval, steep = together(rows)
    note = f"{steep} of {rows['directions'].sum():,.0f}, {how(rows)}"
    return Finding(f"steep share of {words} directions", interval, FEW, "below", " %", note)


def of_basis(rows: pd.DataFrame) -> Finding:
    """The steep share of a basis: the sharpest eigenvectors, then random directions orthogonal to them."""
    sharpest, others = (rows[rows["kind"] == kind].set_index("seed") for kind in ("eigenvector", "orthogonal"))
    found, steep = together(others.reset_index())
    counted = sharpest["share"] * sharpest["directions"]
    known, rest = 100 * counted / sharpest["size"], 1 - sharpest["directions"] / sharpest["size"]
    center, low, high = (known.mean() + rest.mean() * end for end in (found.center, found.low, found.high))
    each = known + rest * 100 * others["share"].reindex(sharpest.index)
    interval = Interval(center, low, high, tuple(each.astype(float)), tuple(map(int, each.index)))
    note = (
        f"of the sharpest {counts(sharpest['directions'])} eigenvectors {counts(counted)} are steep, of "
        f"{others['directions'].sum():,.0f} random directions orthogonal to them {steep}"
    )
    return Finding("steep share of a basis", interval, FEW, "below", " %", note)


def together(rows: pd.DataFrame) -> tuple[Interval, int]:
    """The share of steep directions of all seeds together in per cent with Wilson's interval, and how many they are."""
    total, steep = round(rows["directions"].sum()), round((rows["directions"] * rows["share"]).sum())
    center, low, high = (100 * number for number in wilson(steep, total))
    shares, seeds = 100 * rows["share"].astype(float), rows["seed"].astype(int)
    return Interval(center, low, high, tuple(shares), tuple(seeds)), steep


def anywhere(rows: pd.DataFrame) -> Finding:
    """The highest rise along any direction that was tried: few steep ones are not none."""
    highest = rows.groupby("seed")["highest_rise"].max().astype(float)
    threshold = float(rows["threshold"].max())
    along = rows["kind"].iloc[int(rows["highest_rise"].astype(float).argmax())]
    note = f"highest along the {along} direction"
    return Finding("highest rise", of_mean(highest, bounds=NOT_NEGATIVE), threshold, "above", " nats", note)


def how(rows: pd.DataFrame) -> str:
    """What counts as steep, in words."""
    first = rows.iloc[0]
    length = significant(float(rows["length"].mean()))
    return f"rise > {first['threshold']:g} nats at length {length}, that of the box's corners"


def counts(numbers: "pd.Series[float]") -> str:
    """Whole numbers of the seeds, one if they agree.

    Example:
        >>> counts(pd.Series([20.0, 20.0])), counts(pd.Series([3.0, 0.0]))
        ('20', '0 to 3')
    """
    low, high = round(float(numbers.min())), round(float(numbers.max()))
    return str(low) if low == high else f"{low} to {high}"


def large_batch(study: StudyResults) -> Sequence[str]:
    """The regime that it is about."""
    return (LARGE,)


DIRECTION_CLAIMS = (
    Claim(
        "K17",
        "Large-batch minima are steep along few directions, at most 5 % of random ones and of a basis that has the "
        "sharpest eigenvectors of the Hessian, and steep along some",
        steep_along_few,
        lambda network: "about 5 % of the dimensions",
        compares=large_batch,
    ),
)
