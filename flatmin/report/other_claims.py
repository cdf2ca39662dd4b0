"""The claims of the book and of other papers, gathered from the sentences of the studies that judge them."""

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from flatmin.report.other_kinds import Other
from flatmin.report.sheet import Sheet

CLAIMS = {
    "L1": "The toy network's critical points: eigenvalues, kinds, way out",
    "L2": "A step along the eigenvector of a negative eigenvalue lowers the loss",
    "L3": "The minimum ratio stays low, and a lower loss goes with a higher one",
    "L4": "An epoch has ceil(N / B) updates",
    "L5": "An epoch takes less time with larger batches",
    "L6": "All examples in one batch: lower training and test accuracy at equal epochs",
    "L7": "Where one batch is stuck another is not",
    "L8": "Momentum's recursion is its closed form (3.13)",
    "L9": "Momentum crosses a small hump",
    "L10": "The variance of a batch's gradient goes with 1/B",
    "R1": "Rescaling the weights changes sharpness and not the function",
    "R3": "Regime adaptation closes the gap of large batches",
    "R4": "At a constant learning rate the distance from the start goes with the logarithm of the updates",
    "R5": "Large learning rates need warming up",
    "R6": "The ratio of learning rate to batch size counts",
    "R7": "Gradient descent ends at the edge of stability",
    "R8": "Minima are joined by a curve of low loss",
    "R9": "The mean of several networks is better than they are",
}
JUDGED = re.compile(r"(?P<claim>[LR]\d+)\b(?P<which>.*?)[:,]? (?P<verdict>holds|does not hold|undecided)\b")
CAPTION = (
    "The claims of the book (L) and of other papers (R), each as a study below judges it; what "
    "the verdict rests on stands in the study's section. Where a claim has several parts or readings, each has a row. "
    "There a number is followed by its 95 % interval, [low, high]; those of ratios are found on their logarithms, of "
    "percentages, shares and correlations on a scale that keeps them within their bounds, so that the number need not "
    "be in the middle. Only the ratios in tables of means and standard deviations have the range over seeds there."
)


def judged(others: Sequence[Other]) -> Iterator[dict[str, str]]:
    """Yield claim, what of it, verdict and study for each sentence that begins with a claim and judges it."""
    for other in others:
        for line in other.kind.printed(other.tables):
            if isinstance(line, str) and (found := JUDGED.match(line)):
                yield {
                    "": found["claim"],
                    "claim": CLAIMS.get(found["claim"], ""),
                    "part or reading": found["which"].strip(" ,"),
                    "verdict": found["verdict"],
                    "study": other.name,
                }


def other_claims_sheet(others: Sequence[Other]) -> Sheet | None:
    """The claims in the order of their numbers; nothing where no study judges one."""
    rows = sorted(judged(others), key=lambda row: (row[""][0], int(row[""][1:])))
    return Sheet("other_claims", CAPTION, pd.DataFrame(rows)) if rows else None
