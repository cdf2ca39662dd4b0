"""Which networks of a study can be judged, and what is to be said of the others.

A training that diverged or ended at chance has left no minimum: it is left out and counted. A pair whose large batch is
not the larger one has nothing to tell. A network that has not fitted its training set, as K1 has it, is judged, but
said to be so; a remedy cannot be judged by it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from flatmin.report.published import LARGE, SMALL
from flatmin.report.studies import StudyResults, once
from flatmin.report.values import accuracy
from flatmin.results.statistics import CHANCE, lost, proper, with_minima
from flatmin.results.words import counted, significant

FITTED = 98.0
"""Training accuracy with batch statistics, in per cent, from which on a network has fitted its training set (K1)."""


def the_pair(study: StudyResults) -> Sequence[str]:
    """The regimes that most claims compare."""
    return SMALL, LARGE


@once
def eligible(study: StudyResults) -> StudyResults:
    """The study without what was measured of trainings that have left no minimum."""
    return replace(study, tables=with_minima(study.tables))


def named(regime: str) -> str:
    """A regime in words.

    Example:
        >>> named("large_batch_augmented")
        'large batch augmented'
    """
    return regime.replace("_", " ")


def disorder(study: StudyResults) -> str:
    """Why nothing can be told from the pair of a study; empty where its large batch is the larger one."""
    minima = study.tables.minima
    small, large = (minima.loc[minima["regime"] == regime, "batch_size"] for regime in (SMALL, LARGE))
    if large.min() <= small.max():
        return f"the large batch of {large.min():,.0f} is not above the small one of {small.max():,.0f}"
    return ""


def without_minimum(study: StudyResults, regimes: Sequence[str]) -> str:
    """Which of these regimes was trained and has left no minimum at all; empty where there is none such."""
    minima = study.tables.minima
    trained, left = set(minima["regime"]), set(proper(minima)["regime"])
    return left_out(study, regimes) if set(regimes) <= trained and not set(regimes) <= left else ""


def left_out(study: StudyResults, regimes: Sequence[str]) -> str:
    """How many trainings of these regimes have left no minimum; empty where all have."""
    gone = lost(study.tables.minima)
    gone = gone[gone["regime"].isin(regimes)]
    counts = gone.groupby(["regime", "status"], sort=False).size().reset_index(name="seeds")
    parts = [
        f"{named(regime)}, {counted(seeds, 'seed')} {'at chance' if status == CHANCE else status}"
        for regime, status, seeds in counts.itertuples(index=False)
    ]
    return f"left out: {'; '.join(parts)}" if parts else ""


def unfitted(study: StudyResults, regimes: Sequence[str]) -> str:
    """Which networks of these regimes have not fitted their training set, or were not recorded; empty otherwise."""
    found = {regime: accuracy(study, regime, "train") for regime in regimes}
    parts = [f"{named(regime)} {shortfall(values)}" for regime, values in found.items() if (values < FITTED).any()]
    unknown = [named(regime) for regime, values in found.items() if values.isna().any()]
    said = [f"not fitted: {'; '.join(parts)}"] if parts else []
    said += [f"fit not recorded with batch statistics: {', '.join(unknown)}"] if unknown else []
    return "; ".join(said)


def shortfall(accuracies: "pd.Series[float]") -> str:
    """How far training accuracies are from fitted.

    Example:
        >>> shortfall(pd.Series([99.0, 85.2])), shortfall(pd.Series([85.2]))
        ('down to 85.20 % in 1 of 2 seeds', '85.20 %')
    """
    lowest, below = f"{significant(accuracies.min(), 4)} %", int((accuracies < FITTED).sum())
    return lowest if len(accuracies) == 1 else f"down to {lowest} in {below} of {counted(len(accuracies), 'seed')}"
