r"""Kendall's tau between a measure and a generalisation gap, plain and granulated, with bootstrap intervals.

Plain: over all pairs of trainings, concordant ones less discordant ones over all pairs; a tie counts as neither.

Granulated (Jiang et al., 2020): the same over pairs that differ on one axis of the grid alone, their seed the same, and
the mean of that over the axes. Over a whole grid the former is Jiang's mean of the taus along each of its lines.

The bootstrap draws seeds and settings (points of the grid) anew, each with replacement and crossed (Owen, 2007): a pair
counts as often as its seeds and its settings were drawn. It says what other seeds and other settings of the same axes
might have shown; trainings of one seed or one setting are not taken for independent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatmin.studies.correlation.grid import AXES

Floats = NDArray[np.float64]
CHUNK = 100


@dataclass(frozen=True)
class Pairs:
    """All pairs of trainings, and how they differ.

    Attributes:
        first: Row of the first training of each pair, (pairs,).
        second: Of the second.
        axis: The place in `AXES` of the one thing on which the pair differs; -1 for more than that, or another seed.
        seed: Number of each row's seed, (rows,).
        setting: Number of each row's point of the grid, (rows,).
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    axis: NDArray[np.intp]
    seed: NDArray[np.intp]
    setting: NDArray[np.intp]

    @classmethod
    def of(cls, runs: pd.DataFrame) -> "Pairs":
        """The pairs of a table with a row for each training."""
        first, second = np.triu_indices(len(runs), k=1)
        codes = np.array([pd.factorize(runs[axis])[0] for axis in AXES])
        seed = pd.factorize(runs["seed"])[0].astype(np.intp)
        setting = np.asarray(runs.groupby(list(AXES)).ngroup(), dtype=np.intp)
        differs = codes[:, first] != codes[:, second]
        alone = (differs.sum(0) == 1) & (seed[first] == seed[second])
        axis = np.where(alone, differs.argmax(0), -1)
        return cls(first, second, axis, seed, setting)

    def agreement(self, values: Floats, gaps: Floats) -> Floats:
        """1 for a concordant pair, -1 for a discordant one, 0 for a tie; NaN where a value is missing, (pairs,)."""
        return np.sign(values[self.first] - values[self.second]) * np.sign(gaps[self.first] - gaps[self.second])

    def drawn(self, resamples: int, generator: np.random.Generator) -> Floats:
        """How often each pair counts in each resample, (resamples, pairs)."""
        return self._drawn(self.seed, resamples, generator) * self._drawn(self.setting, resamples, generator)

    def _drawn(self, of: NDArray[np.intp], resamples: int, generator: np.random.Generator) -> Floats:
        count = int(of.max()) + 1
        if count == 1:
            return np.ones((resamples, len(self.first)))
        times = generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
        one, other = of[self.first], of[self.second]
        return times[:, one] * np.where(one == other, 1.0, times[:, other])


def taus(pairs: Pairs, agreements: Floats, weights: Floats) -> Floats:
    """Plain tau, granulated tau and that of each axis.

    Args:
        pairs: The pairs.
        agreements: (pairs, measures), NaN where a value is missing.
        weights: How often each pair counts, (resamples, pairs).

    Returns:
        (2 + axes, resamples, measures); NaN where there is no such pair. The granulated tau is the mean over the axes
        that have pairs.
    """
    known = ~np.isnan(agreements)
    signs = np.where(known, agreements, 0.0)

    def mean(chosen: NDArray[np.bool_]) -> Floats:
        total = weights[:, chosen] @ known[chosen].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (weights[:, chosen] @ signs[chosen]) / total
        return found

    along = np.array([mean(pairs.axis == axis) for axis in range(len(AXES))])
    number = (~np.isnan(along)).sum(0)
    with np.errstate(invalid="ignore"):
        granulated = np.nansum(along, axis=0) / number
    return np.stack([mean(np.ones(len(pairs.first), dtype=bool)), granulated, *along])


def bootstrapped(pairs: Pairs, agreements: Floats, resamples: int, seed: int = 0) -> Floats:
    """The same of resamples, (2 + axes, resamples, measures)."""
    generator = np.random.default_rng(seed)
    parts = [min(CHUNK, resamples - start) for start in range(0, resamples, CHUNK)]
    return np.concatenate([taus(pairs, agreements, pairs.drawn(part, generator)) for part in parts], axis=1)
