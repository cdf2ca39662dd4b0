r"""Confidence intervals over a few seeds: of a mean, a paired difference and a paired ratio.

Student's t interval of n values with mean m and sample standard deviation s is
:math:`m \pm t_{n-1} s / \sqrt{n}`. Ratios get it on their logarithms, and numbers that have bounds on a scale on which
the bounds do not matter: :math:`\arcsin\sqrt{p}` for a share p of the range between two bounds, and the square root
above a lower one. So no interval reaches where no value can be. It supposes values that are close to normal on that
scale, which a handful of seeds cannot show: the exact count of seeds on either side stands beside it.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from flatmin.results.words import significant

LEVEL = 0.95
ROUNDING = 1e-9
"""By which share of a bounded range a value may lie outside of it, as sums of floats do."""
Bounds = tuple[float, float]
ANY: Bounds = (-math.inf, math.inf)
NOT_NEGATIVE: Bounds = (0.0, math.inf)
PERCENT: Bounds = (0.0, 100.0)
POINTS: Bounds = (-100.0, 100.0)
"""The difference of two percentages."""
CORRELATION: Bounds = (-1.0, 1.0)


@dataclass(frozen=True)
class Interval:
    """What the seeds say of one number.

    Attributes:
        center: Mean, or geometric mean for a ratio; NaN without seeds.
        low: Lower end of the interval; NaN where there is none.
        high: Upper end.
        values: The number for each seed.
        seeds: The seeds of these values, in the same order; empty where they are unknown.
    """

    center: float
    low: float
    high: float
    values: tuple[float, ...]
    seeds: tuple[int, ...] = ()

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

    def judged_above(self, boundary: float) -> str:
        """What the interval says of the claim that the number is above a boundary.

        Returns:
            ``holds``, ``does not hold``, or ``undecided`` where the boundary is inside, or there is no interval.

        Example:
            >>> found = of_mean(pd.Series([1.0, 2.0, 3.0]))
            >>> found.judged_above(-1.0), found.judged_above(0.0), found.judged_above(5.0)
            ('holds', 'undecided', 'does not hold')
        """
        if not self.exists or self.low <= boundary <= self.high:
            return "undecided"
        return "holds" if self.low > boundary else "does not hold"

    def __format__(self, spec: str) -> str:
        """The number with its ends, each by a format of numbers; without one, to three significant digits.

        Example:
            >>> found = of_mean(pd.Series([1.0, 2.0, 3.0]))
            >>> f"{found}, {found:+.1f}, {of_mean(pd.Series([2.0])):.1f}"
            '2.00 [-0.484, 4.48], +2.0 [-0.5, +4.5], 2.0 (one value, no interval)'
        """
        center, low, high = (
            format(value, spec) if spec else significant(value) for value in (self.center, self.low, self.high)
        )
        if math.isnan(self.center):
            return "not known"
        if not self.exists:
            return f"{center} ({'one value, ' if len(self.values) == 1 else ''}no interval)"
        return f"{center} [{low}, {high}]"


def of_mean(values: "pd.Series[float]", level: float = LEVEL, *, bounds: Bounds = ANY) -> Interval:
    """The t interval of a mean.

    Args:
        values: One value for each seed (the index); those that are NaN are left out.
        level: Probability with which such intervals cover the mean.
        bounds: Least and greatest possible value; neither need be finite, and the upper one only with the lower.

    Returns:
        The interval, within the bounds. Its center is the arithmetic mean, on whatever scale the ends were found; they
        always enclose it. One value, or an infinite one, has a center and no ends.

    Raises:
        ValueError: If a value is outside the bounds.

    Example:
        >>> found = of_mean(pd.Series([1.0, 2.0, 3.0]))
        >>> round(found.low, 3), found.center, round(found.high, 3)
        (-0.484, 2.0, 4.484)
        >>> found = of_mean(pd.Series([97.0, 99.0, 100.0]), bounds=PERCENT)
        >>> round(found.low, 1), round(found.center, 1), round(found.high, 1)
        (90.8, 98.7, 100.0)
    """
    values = values.dropna()
    known = np.asarray(values, dtype=np.float64)
    slack = ROUNDING * np.ptp(bounds) if np.isfinite(bounds).all() else 0.0
    if len(known) and not bounds[0] - slack <= known.min() <= known.max() <= bounds[1] + slack:
        raise ValueError(f"`values` must lie within {bounds}, got {known.min()} to {known.max()}.")
    known = np.clip(known, *bounds)
    seeds = tuple(int(seed) for seed in values.index)
    with np.errstate(invalid="ignore"):
        center = float(known.mean()) if len(known) else math.nan
    low, high = ends(known, level, bounds)
    return Interval(center, min(low, center), max(high, center), tuple(known.tolist()), seeds)


def ends(values: NDArray[np.float64], level: float, bounds: Bounds) -> tuple[float, float]:
    """Both ends of the t interval of a mean on the scale of its bounds; not-a-number where there is none."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    there = spread_out(values, bounds)
    center = float(there.mean())
    reach = float(stdtrit(len(there) - 1, (1 + level) / 2) * there.std(ddof=1) / math.sqrt(len(there)))
    return spread_back(center - reach, bounds), spread_back(center + reach, bounds)


def spread_out(values: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float64]:
    """Values on the scale on which their spread does not depend on how near their bounds they are."""
    low, high = bounds
    if math.isfinite(high):
        return np.arcsin(np.sqrt((values - low) / (high - low)))
    return np.sqrt(values - low) if math.isfinite(low) else values


def spread_back(value: float, bounds: Bounds) -> float:
    """A value from that scale; one beyond its end becomes the bound."""
    low, high = bounds
    if math.isfinite(high):
        return low + (high - low) * math.sin(min(max(value, 0.0), math.pi / 2)) ** 2
    return low + max(value, 0.0) ** 2 if math.isfinite(low) else value


def of_difference(
    first: "pd.Series[float]", second: "pd.Series[float]", level: float = LEVEL, *, bounds: Bounds = ANY
) -> Interval:
    """The t interval of the mean of ``first - second`` over the seeds that have both.

    Args:
        first: Values by seed (the index).
        second: Values by seed.
        level: Probability with which such intervals cover the mean.
        bounds: Least and greatest possible difference.

    Example:
        >>> of_difference(pd.Series({0: 5.0, 1: 7.0}), pd.Series({1: 6.0, 0: 4.0, 2: 9.0})).center
        1.0
    """
    first, second = first.align(second, join="inner")
    return of_mean(first - second, level, bounds=bounds)


def of_ratio(first: "pd.Series[float]", second: "pd.Series[float]", level: float = LEVEL) -> Interval:
    """The t interval of the geometric mean of ``first / second`` over the seeds that have both.

    Args:
        first: Values by seed (the index).
        second: Values by seed.
        level: Probability with which such intervals cover the mean of the logarithms.

    Returns:
        The interval. A zero or an infinity on one side makes that seed's ratio 0 or infinite, and there is no interval;
        on both sides there is no ratio, and the seed is left out. Where a value is negative there is no ratio at all.

    Example:
        >>> found = of_ratio(pd.Series([2.0, 8.0]), pd.Series([1.0, 1.0]))
        >>> found.center, found.values
        (4.0, (2.0, 8.0))
    """
    first, second = first.astype(float).align(second.astype(float), join="inner")
    if (first < 0).any() or (second < 0).any():
        first, second = first * np.nan, second * np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        each = (first / second).dropna()
        logs = of_mean(pd.Series(np.log(each)), level)
    center, low, high = (float(np.exp(end)) for end in (logs.center, logs.low, logs.high))
    return Interval(center, low, high, tuple(each.tolist()), logs.seeds)


def of_ratio_of_means(first: "pd.Series[float]", second: "pd.Series[float]", level: float = LEVEL) -> Interval:
    r"""Fieller's interval of the ratio of two means, over the seeds that have both.

    All r for which the t test does not reject that :math:`a - r b` has mean 0; Fieller (1954). Exact for pairs that are
    jointly normal, unlike the mean of the ratios, which a small denominator of one seed can throw anywhere.

    Args:
        first: Values a by seed (the index), of either sign.
        second: Values b by seed.
        level: Probability with which such intervals cover the ratio of the means.

    Returns:
        The ratio of the means with its interval, and the ratio of each seed. Where the mean of ``second`` cannot be
        told from 0 there is no interval: its ends are not-a-number.

    Example:
        >>> found = of_ratio_of_means(pd.Series([2.0, 2.2, 2.4]), pd.Series([4.0, 4.4, 4.8]))
        >>> round(found.low, 6), round(found.center, 6), round(found.high, 6)
        (0.5, 0.5, 0.5)
    """
    first, second = first.astype(float).dropna().align(second.astype(float).dropna(), join="inner")
    count, seeds = len(first), tuple(int(seed) for seed in first.index)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = tuple((first / second).tolist())
        center = float(first.mean() / second.mean()) if count and second.mean() else math.nan
    if count < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return Interval(center, math.nan, math.nan, each, seeds)
    spread = np.cov(first, second) * float(stdtrit(count - 1, (1 + level) / 2)) ** 2 / count
    square = float(second.mean() ** 2 - spread[1, 1])
    middle = float(first.mean() * second.mean() - spread[0, 1])
    rest = float(first.mean() ** 2 - spread[0, 0])
    if square <= 0:
        return Interval(center, math.nan, math.nan, each, seeds)
    reach = math.sqrt(max(middle * middle - square * rest, 0.0))
    low, high = (middle - reach) / square, (middle + reach) / square
    return Interval(center, min(low, center), max(high, center), each, seeds)
