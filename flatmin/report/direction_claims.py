"""K17: that large-batch minima are steep along few directions, by random ones and by eigenvectors of the Hessian."""

from collections.abc import Sequence

import pandas as pd

from flatmin.core.shares import wilson
from flatmin.report.claim import Claim, Finding
from flatmin.report.published import LARGE
from flatmin.report.studies import StudyResults
from flatmin.report.values import Reading
from flatmin.results.intervals import NOT_NEGATIVE, PERCENT, Interval, of_mean
from flatmin.results.statistics import of_minima
from flatmin.results.words import counted, significant

FEW = 5.0
"""Per cent of the directions."""
RANDOM = {"gaussian": "Gaussian", "filter": "filter-normalised", "box": "box-scaled"}


def steep_along_few(study: StudyResults, reading: Reading) -> list[Finding]:
    """Shares of random directions that are steep, of all eigenvectors, and whether any direction is steep at all."""
    rows = directions(study)
    if rows.empty:
        return []
    return [
        *(of_random(rows[rows["kind"] == kind], words) for kind, words in RANDOM.items()),
        of_eigenvectors(rows),
        anywhere(rows),
    ]


def directions(study: StudyResults) -> pd.DataFrame:
    """What was counted at the large-batch minima with batch statistics, on the most examples."""
    rows = of_minima(study.tables.frames["steep_directions"])
    rows = rows[(rows["regime"] == LARGE) & (rows["batch_norm"] == "batch")]
    found: pd.DataFrame = rows[rows["examples"] == rows["examples"].max()]
    return found


def of_random(rows: pd.DataFrame, words: str) -> Finding:
    """The steep share of one kind of random direction: those of all seeds together, with Wilson's interval."""
    total, steep = round(rows["directions"].sum()), round((rows["directions"] * rows["share"]).sum())
    center, low, high = (100 * number for number in wilson(steep, total))
    shares, seeds = 100 * rows["share"].astype(float), rows["seed"].astype(int)
    interval = Interval(center, low, high, tuple(shares), tuple(seeds))
    note = f"{steep:,} of {total:,}, {how(rows)}"
    return Finding(f"steep share of {words} directions", interval, FEW, "below", " %", note)


def of_eigenvectors(rows: pd.DataFrame) -> Finding:
    """The steep share of all eigenvectors: those counted, or, where all looked at are steep, what the mean allows.

    Of curvatures that are not negative at most the share m / t can be above t if their mean is m (Markov); the mean
    rise of Gaussian directions is that of all eigenvectors in the quadratic model.
    """
    mine = rows[rows["kind"] == "eigenvector"].set_index("seed")
    mean = rows[rows["kind"] == "gaussian"].set_index("seed")["mean_rise"]
    steep = mine["share"] * mine["directions"]
    shares = 100 * (steep / mine["size"]).where(mine["share"] < 1, (mean / mine["threshold"]).clip(0, 1))
    unseen = int((mine["share"] == 1).sum())
    parts = [f"of the sharpest {counts(mine['directions'])} {counts(steep)} are steep"]
    parts += [f"at most, by the mean rise of Gaussian directions, in {counted(unseen, 'seed')}"] if unseen else []
    interval = of_mean(shares.astype(float), bounds=PERCENT)
    note = "; ".join(parts)
    above = unseen and interval.center > FEW
    hindrance = "how many more are is not known" if above else ""
    return Finding("steep share of all eigenvectors", interval, FEW, "below", " %", note, hindrance=hindrance)


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
        "Large-batch minima are steep along few directions, at most 5 % of random ones and of the eigenvectors of the "
        "Hessian, and steep along some",
        steep_along_few,
        lambda network: "about 5 % of the dimensions",
        compares=large_batch,
    ),
)
