"""The numbers of a study by seed: what tables, claims and macros are computed from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from flatmin.report.published import SMALL
from flatmin.report.studies import StudyResults, once
from flatmin.results.statistics import of_minima, proper
from flatmin.results.words import SEARCH_NAMES, SEARCHES


@dataclass(frozen=True)
class Reading:
    """How sharpness is searched and how BatchNorm is read meanwhile."""

    method: str
    batch_norm: str

    @property
    def label(self) -> str:
        """Such as ``strong search, batch statistics``."""
        search = SEARCH_NAMES.get(self.method, self.method)
        return f"{search}, {'running averages' if self.batch_norm == 'running' else f'{self.batch_norm} statistics'}"

    @property
    def macro(self) -> str:
        """What it adds to the name of a LaTeX macro, such as ``StrongBatch``."""
        return f"{SEARCHES.get(self.method, self.method)} {self.batch_norm}".title().replace(" ", "")


READING_PREFIXES = (
    Reading("strong", "batch"),
    Reading("paper", "batch"),
    Reading("strong", "running"),
    Reading("paper", "running"),
)
HEADLINE = READING_PREFIXES[0]
"""Of the four readings of a sharpness the one that speaks first: the strong search, with the authors' BatchNorm."""


@once
def minima_of(study: StudyResults, regime: str) -> pd.DataFrame:
    """The finished minima of a regime, by seed."""
    minima = study.tables.minima
    return proper(minima[minima["regime"] == regime]).set_index("seed")


def minimum(study: StudyResults, regime: str, column: str) -> "pd.Series[float]":
    """A column of the minima of a regime by seed."""
    return minima_of(study, regime)[column].astype(float)


def accuracy(study: StudyResults, regime: str, split: str) -> "pd.Series[float]":
    """Accuracy at the minima in per cent by seed."""
    return 100 * minimum(study, regime, f"{split}_accuracy")


@once
def searches(
    study: StudyResults, reading: Reading, *, space: str = "full", epsilon: float = 1e-3, distribution: str = "normal"
) -> pd.DataFrame:
    """The searches at the minima in one setting.

    Where there are several, those on the most examples and in the largest subspace.
    """
    rows = of_minima(study.tables.sharpness)
    rows = rows[(rows["method"] == reading.method) & (rows["batch_norm"] == reading.batch_norm)]
    rows = rows[(rows["space"] == space) & np.isclose(rows["epsilon"].astype(float), epsilon, rtol=1e-6)]
    if space == "random":
        rows = rows[rows["distribution"] == distribution]
        rows = rows[rows["subspace_dim"] == rows["subspace_dim"].max()]
    found: pd.DataFrame = rows[rows["examples"] == rows["examples"].max()]
    return found


@once
def sharpness(
    study: StudyResults,
    regime: str,
    reading: Reading,
    *,
    space: str = "full",
    epsilon: float = 1e-3,
    distribution: str = "normal",
) -> "pd.Series[float]":
    """Sharpness of the minima of a regime in per cent by seed, the draws of a random subspace averaged."""
    rows = searches(study, reading, space=space, epsilon=epsilon, distribution=distribution)
    found: pd.Series[float] = rows[rows["regime"] == regime].groupby("seed")["sharpness"].mean().astype(float)
    return found


def distributions_of(study: StudyResults) -> list[str]:
    """The distributions of the entries of A in a study's random subspaces."""
    rows = study.tables.sharpness
    return [*dict.fromkeys(rows.loc[rows["space"] == "random", "distribution"])]


def readings_of(study: StudyResults, *, space: str = "full", epsilon: float = 1e-3) -> list[Reading]:
    """The readings in which a study has the sharpness of its minima, the one that speaks first at the front."""
    return [reading for reading in READING_PREFIXES if len(searches(study, reading, space=space, epsilon=epsilon))]


def curve(study: StudyResults, regime: str, split: str, column: str) -> pd.DataFrame:
    """Loss or accuracy along training: one row per epoch, one column per seed.

    Seeds with an epoch in which it was not recorded are left out: the best of some epochs is not the best of all.
    """
    curves = study.tables.curves
    rows = curves[(curves["regime"] == regime) & (curves["split"] == split)]
    rows = rows[~rows["seed"].isin(rows.loc[rows[column].isna(), "seed"])]
    return rows.groupby(["epoch", "seed"])[column].mean().unstack("seed")


def at_start(study: StudyResults, split: str, column: str) -> "pd.Series[float]":
    """Loss or accuracy before training by seed."""
    curves = study.tables.curves
    rows = curves[(curves["regime"] == SMALL) & (curves["split"] == split) & (curves["epoch"] == 0)]
    found: pd.Series[float] = rows.groupby("seed")[column].mean().dropna()
    return found


def path(study: StudyResults, kind: str, *, batch_norm: str = "batch", split: str = "train") -> pd.DataFrame:
    """Loss along the path between both minima: one row per place, one column per seed."""
    lines = study.tables.lines
    rows = lines[(lines["kind"] == kind) & (lines["batch_norm"] == batch_norm) & (lines["split"] == split)]
    return rows.groupby(["alpha", "seed"])["loss"].mean().unstack("seed")
