r"""Confidence intervals over a few seeds: of a mean, a paired difference, a paired ratio and a share.

Student's t interval of n values with mean m and sample standard deviation s is
:math:`m \pm t_{n-1} s / \sqrt{n}`. Ratios get it on their logarithms. It supposes values that are close to normal,
which a handful of seeds cannot show: the exact count of seeds on either side stands beside it.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaincinv, stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """What the seeds say of one number.

    Attributes:
        center: Mean, or geometric mean for a ratio; NaN without seeds.
        low: Lower end of the interval; NaN where there is none.
        high: Upper end.
        values: The number for each seed.
    """

    center: float
    low: float
    high: float
    values: tuple[float, ...]

    @property
    def exists(self) -> bool:
        """Whether there is an interval: two seeds or more, and all their values finite."""
        return not math.isnan(self.low)

    def above(self, boundary: float) -> int:
        """How many seeds lie above a boundary."""
        return sum(value > boundary for value in self.values)

    def below(self, boundary: float) -> int:
        """How many seeds lie below a boundary."""
        return sum(value < boundary for value in self.values)


def of_mean(values: "pd.Series[float]", level: float = LEVEL) -> Interval:
    """The t interval of a mean.

    Args:
        values: One value for each seed; those that are NaN are left out.
        level: Probability with which such intervals cover the mean.

    Returns:
        The interval. One value, or an infinite one, has a center and no ends.

    Example:
        >>> found = of_mean(pd.Series([1.0, 2.0, 3.0]))
        >>> round(found.low, 3), found.center, round(found.high, 3)
        (-0.484, 2.0, 4.484)
    """
    known = values.dropna().to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):
        center = float(known.mean()) if len(known) else math.nan
    if len(known) < 2 or not np.isfinite(known).all():
        return Interval(center, math.nan, math.nan, tuple(known))
    reach = float(stdtrit(len(known) - 1, (1 + level) / 2) * known.std(ddof=1) / math.sqrt(len(known)))
    return Interval(center, center - reach, center + reach, tuple(known))


def of_difference(first: "pd.Series[float]", second: "pd.Series[float]", level: float = LEVEL) -> Interval:
    """The t interval of the mean of ``first - second`` over the seeds that have both.

    Args:
        first: Values by seed (the index).
        second: Values by seed.
        level: Probability with which such intervals cover the mean.

    Example:
        >>> of_difference(pd.Series({0: 5.0, 1: 7.0}), pd.Series({1: 6.0, 0: 4.0, 2: 9.0})).center
        1.0
    """
    first, second = first.align(second, join="inner")
    return of_mean(first - second, level)


def of_ratio(first: "pd.Series[float]", second: "pd.Series[float]", level: float = LEVEL) -> Interval:
    """The t interval of the geometric mean of ``first / second`` over the seeds that have both.

    Args:
        first: Values by seed (the index), not negative.
        second: Values by seed, not negative.
        level: Probability with which such intervals cover the mean of the logarithms.

    Returns:
        The interval. A zero or an infinity on one side makes that seed's ratio 0 or infinite, and there is no interval;
        on both sides there is no ratio, and the seed is left out.

    Example:
        >>> found = of_ratio(pd.Series([2.0, 8.0]), pd.Series([1.0, 1.0]))
        >>> found.center, found.values
        (4.0, (2.0, 8.0))
    """
    first, second = first.astype(float).align(second.astype(float), join="inner")
    with np.errstate(divide="ignore", invalid="ignore"):
        each = (first / second).dropna()
        logs = of_mean(pd.Series(np.log(each)), level)
    center, low, high = (float(np.exp(end)) for end in (logs.center, logs.low, logs.high))
    return Interval(center, low, high, tuple(each))


def of_share(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a probability.

    Args:
        successes: How often it happened.
        trials: Out of how many.
        level: Least probability with which such intervals cover it.

    Returns:
        Lower and upper end.

    Example:
        >>> low, high = of_share(0, 5)
        >>> low, round(high, 3)
        (0.0, 0.522)
    """
    tail = (1 - level) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)
