"""Whether the collapse of the sharpness in Fig. 5 is the landscape's: how far either search's value falls.

Large batches that go out from ever later small-batch iterates end ever flatter, and the gradient at their end ever
smaller, which the published search mistakes for flatness.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flatmin.report.held_out import interval_text
from flatmin.report.published import FIGURE_5
from flatmin.report.sharpness_claims import with_sharpness
from flatmin.report.studies import StudyResults
from flatmin.report.subjects import PUBLISHED, READING, STRONG
from flatmin.report.values import Reading
from flatmin.results.intervals import Interval, of_ratio
from flatmin.results.statistics import proper
from flatmin.results.words import counted, significant


@dataclass(frozen=True, eq=False)
class Fall:
    """How far the sharpness falls from the earliest to the latest start.

    Attributes:
        study: Whose warm starts they are.
        starts: Epochs of the iterates that the earliest and the latest go out from.
        published: How many times smaller it gets by the published search; a seed at 0 falls without bound.
        strong: By the strong one.
        beyond: How many times further the published value falls than the strong one.
    """

    study: StudyResults
    starts: tuple[float, float]
    published: Interval
    strong: Interval
    beyond: Interval

    @property
    def text(self) -> str:
        """Both falls in words, with what the rest of the published one is."""
        network = self.study.network
        paper = FIGURE_5.get(network)
        beside = (
            f" (the paper's {times(first_over_last(paper))}, read-off)" if paper and self.study.on_their_kind else ""
        )
        facts = f"{network} ({self.study.kind}, {counted(len(self.strong.values), 'seed')}"
        return (
            f"{told(self.published)} by the published{beside} and {told(self.strong)} by the strong search on {facts}; "
            f"epochs {self.starts[0]:g} and {self.starts[1]:g}), {self.verdict}"
        )

    @property
    def verdict(self) -> str:
        """Whether the published value falls further than the strong one; a fall to 0 has no interval, but its seeds."""
        if np.isinf(self.beyond.center):
            further = sum(value > 1 for value in self.beyond.values)
            seeds = counted(len(self.beyond.values), "seed")
            return f"further by the published search in {further} of {seeds} (a fall to 0 has no interval)"
        return {
            "holds": "so that the search makes the difference",
            "does not hold": "no less",
            "undecided": "which leaves open whether the search makes the difference",
        }[self.beyond.judged_above(1.0)]


def fall(study: StudyResults) -> Fall | None:
    """The fall of a study's warm starts over the seeds that both searches have; ``None`` where there is none."""
    minima = study.tables.minima
    warm = proper(minima[minima["start_epoch"].notna()])
    each = {method: by_start(study, warm, Reading(method, READING)) for method in (PUBLISHED, STRONG)}
    starts = each[PUBLISHED].index.intersection(each[STRONG].index)
    if len(starts) < 2:
        return None
    first, last = starts.min(), starts.max()
    published, strong = (each[method].loc[[first, last]].dropna(axis="columns") for method in (PUBLISHED, STRONG))
    published, strong = published.align(strong, join="inner", axis="columns")
    if strong.empty:
        return None
    with np.errstate(divide="ignore"):
        falls = published.loc[first] / published.loc[last], strong.loc[first] / strong.loc[last]
    return Fall(
        study,
        (float(first), float(last)),
        of_ratio(published.loc[first], published.loc[last]),
        of_ratio(strong.loc[first], strong.loc[last]),
        of_ratio(*falls),
    )


def by_start(study: StudyResults, warm: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Sharpness by the epoch of the start and by seed."""
    return with_sharpness(study, warm, reading).pivot_table(index="start_epoch", columns="seed", values="sharpness")


def collapse(studies: Iterable[StudyResults]) -> str:
    """Say of every study with warm starts how far either search's value falls; empty where there is none."""
    found = [one for study in studies if (one := fall(study))]
    if not found:
        return ""
    return (
        "Large batches from ever later small-batch iterates (Fig. 5): from the earliest to the latest start the "
        f"sharpness falls {'; '.join(one.text for one in found)}."
    )


def told(interval: Interval) -> str:
    """A fall: its factor, or that the last value was 0."""
    return "to 0" if np.isinf(interval.center) else f"×{interval_text(interval)}"


def times(factor: float) -> str:
    """A factor."""
    return f"×{significant(factor)}"


def first_over_last(rows: dict[int, tuple[float, float, float]]) -> float:
    """The fall in the paper's figure."""
    return rows[min(rows)][2] / rows[max(rows)][2]
