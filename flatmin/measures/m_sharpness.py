"""m-sharpness: the mean, over parts of m examples, of the largest rise of a part's own loss (Foret et al., 2021).

In its table, `standard_error` is that of the mean over `parts`, and `unfinished` how many of them have not converged.
"""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchNormReading, Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining
from flatmin.measures.worst_case import STANDARD


class MSharpnessSettings(AlongTraining):
    """The mean over parts of m examples of the largest rise of a part's own loss in a Euclidean ball.

    Attributes:
        batch_norm: Statistics that BatchNorm uses; ``batch`` are those of each part.
        rhos: Radii of the ball.
        per: m, the examples a part.
        search: ``auto_pgd``, or ``sam`` for one step.
        steps: Of ``auto_pgd``.
    """

    batch_norm: Several[BatchNormReading] = ("running",)
    rhos: Several[Length] = (0.05,)
    per: Count = 128
    search: Literal["auto_pgd", "sam"] = "auto_pgd"
    steps: Annotated[Count, Field(le=100_000)] = 20


MEASURE = by_function(
    "flatmin.sharpness:worst_case_sharpness",
    name="m_sharpness",
    words="m-sharpness",
    noun="m-sharpnesses",
    settings=MSharpnessSettings,
    several={"rhos": "rho"},
    fixed={"norm": "l2", "adaptive": False},
    passes=lambda asked: 6.0 if asked.search == "sam" else 3.0 * (asked.steps + 1),
    columns=("rho", "value", "standard_error", "base_loss", "parts", "unfinished", "converged", "evaluations"),
    unit="mean of the parts' largest rises of the loss",
    needs=("value", "value_and_gradient", "parts"),
    unchanged_by=STANDARD,
)
