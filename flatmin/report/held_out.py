"""Sharpness on a few examples beside sharpness on all: its error, and the rise at its worst points on other examples.

A maximum over weights that was searched on some examples is a worst case for these; on others the loss rises less.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flatmin.report.published import EPSILONS, LARGE, SMALL
from flatmin.report.sheet import Sheet
from flatmin.report.studies import told_apart
from flatmin.report.subjects import PUBLISHED, READING, STRONG, Subject
from flatmin.results.intervals import Interval, of_ratio
from flatmin.results.words import SEARCH_NAMES, signed, significant

FEW = {"sharpness": "φ", "heldout_sharpness": "held out", "test_sharpness": "test"}
ERRORS = {"sharpness": "standard_error", "heldout_sharpness": "heldout_standard_error"} | {
    "test_sharpness": "test_standard_error"
}
HELD_OUT_CAPTION = (
    "Sharpness on a part of the training examples, full space, batch statistics, strong search where there is one, "
    f"ε = {EPSILONS[0]:g}: φ on that part, the rise at its worst points on training examples held out from the search "
    "and on test examples, and φ searched on more or all examples. Mean over seeds ± mean standard error from the "
    "choice of examples (none on all of them); ratio: geometric mean over seeds with its 95 % interval."
)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The sharpness of one subject's minima on few examples, and on more.

    Attributes:
        subject: The networks.
        few: The searches on the fewest examples that have a rise on held-out ones.
        more: The same networks searched on the most examples; none where there is one number of examples.
    """

    subject: Subject
    few: pd.DataFrame
    more: pd.DataFrame

    @property
    def columns(self) -> list[tuple[pd.DataFrame, str]]:
        """Rows and column of each number."""
        return [*((self.few, column) for column in FEW), (self.more, "sharpness")]

    @property
    def facts(self) -> str:
        """How many examples there are of either kind, and by which search."""
        numbers = [f"{int(rows['examples'].iloc[0]):,}" for rows in (self.few, self.more) if len(rows)]
        examples = " and ".join(numbers)
        search = SEARCH_NAMES[str(self.few["method"].iloc[0])]
        return f"on {examples} examples, {search}"


def held_out(subject: Subject) -> HeldOut | None:
    """The searches at both minima on few examples with the rise on held-out ones; ``None`` where there are none."""
    rows = subject.searches
    rows = rows[(rows["space"] == "full") & (rows["batch_norm"] == READING) & rows["epoch"].isna()]
    rows = rows[np.isclose(rows["epsilon"].astype(float), EPSILONS[0], rtol=1e-6)]
    for method in (STRONG, PUBLISHED):
        mine = rows[rows["method"] == method]
        few = mine[mine["heldout_sharpness"].notna()]
        if len(few):
            few = few[few["examples"] == few["examples"].min()]
            more = mine[mine["examples"] > few["examples"].min()]
            return HeldOut(subject, few, more[more["examples"] == more["examples"].max()])
    return None


def ratio(rows: pd.DataFrame, column: str) -> Interval:
    """A column at the large-batch minima over the small-batch ones, over seeds; values of 0 or less have none."""
    rows = rows[rows[column] > 0]
    small, large = (rows[rows["regime"] == regime].groupby("seed")[column].mean() for regime in (SMALL, LARGE))
    return of_ratio(large, small)


def held_out_sheet(subjects: Iterable[Subject]) -> Sheet:
    """The sharpness on few examples and on all, subject by subject."""
    lines: list[list[str]] = []
    measured = [found for subject in subjects if (found := held_out(subject))]
    labels = told_apart(found.subject.lead for found in measured)
    for found in measured:
        lines.append([f"{labels[found.subject.lead.name]}, {found.facts}", *[""] * (len(FEW) + 1)])
        for regime, name in ((SMALL, "small batch"), (LARGE, "large batch")):
            lines.append([f"  {name}", *(mean(rows[rows["regime"] == regime], of) for rows, of in found.columns)])
        lines.append(["  ratio", *(interval_text(ratio(rows, column)) for rows, column in found.columns)])
    columns = pd.MultiIndex.from_tuples([("", ""), *(("few examples", name) for name in FEW.values()), ("more", "φ")])
    return Sheet("heldout", HELD_OUT_CAPTION, pd.DataFrame(lines, columns=columns), sides="lrrrr")


def mean(rows: pd.DataFrame, column: str) -> str:
    """Mean over seeds with the mean standard error, where that is not zero."""
    if rows[column].dropna().empty:
        return "–"
    value, error = float(rows[column].mean()), float(rows[ERRORS[column]].mean())
    text = signed(significant(value))
    return f"{text} ± {significant(error, 2)}" if error > 0 else text


def interval_text(found: Interval) -> str:
    """A number with its interval, where seeds differ, to two digits each; a dash without seeds.

    Example:
        >>> interval_text(Interval(4.04, 2.1, 31307.0, (3.0, 5.3)))
        '4.0 [2.1, 31,000]'
    """
    if not found.values:
        return "–"
    alike = len(set(found.values)) == 1
    ends = f" [{rounded(found.low)}, {rounded(found.high)}]" if found.exists and not alike else ""
    return f"{rounded(found.center)}{ends}"


def rounded(value: float) -> str:
    """A number to two digits, with zeros for the rest of a large one.

    Example:
        >>> rounded(11214.0), rounded(0.0321), rounded(-0.5)
        ('11,000', '0.032', '−0.50')
    """
    return signed(significant(float(f"{value:.1e}"), 2))
