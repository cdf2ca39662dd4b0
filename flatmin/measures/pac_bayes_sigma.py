"""The PAC-Bayes sigma as a measure of an experiment.

Its table has the standard deviation of the Gaussian noise on the weights that costs `drop` of the accuracy on average,
with its standard error, and 1 / sigma^2 as `flatness`. Jiang et al. (2020).
"""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Length, Positive, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining

COLUMNS = ("drop", "value", "standard_error", "flatness", "converged", "monotone", "found_drop", "base", "evaluations")
STEPS = 16
"""Sigmas that are tried, about."""


class PacBayesSettings(AlongTraining):
    """The Gaussian noise on the weights that costs so much accuracy.

    Attributes:
        drops: Of the mean accuracy, or rises of the mean loss.
        criterion: ``accuracy`` or ``loss``.
        draws: Of the noise, the same for every sigma.
        largest: The largest sigma that is tried.
    """

    drops: Several[Positive] = (0.1,)
    criterion: Literal["accuracy", "loss"] = "accuracy"
    draws: Annotated[Count, Field(le=1_000_000)] = 10
    largest: Length = 2.0


def problem(settings: PacBayesSettings, size: int) -> str:
    """An accuracy has no more than 1 to lose."""
    if settings.criterion == "accuracy" and max(settings.drops) > 1:
        return f"drops must be at most 1, the whole accuracy, got {max(settings.drops):g}; use criterion: loss."
    return ""


MEASURE = by_function(
    "flatmin.sharpness.pac_bayes:pac_bayes_sigma",
    settings=PacBayesSettings,
    several={"drops": "drop"},
    passes=lambda settings: STEPS * settings.draws,
    columns=COLUMNS,
    words="PAC-Bayes sigma",
    noun="PAC-Bayes sigmas",
    unit="standard deviation",
    needs=("value", "evaluate"),
    problem=problem,
    few="coarse: the accuracy moves in steps of one example",
    unchanged_by=("logit_shift", "partition", "permutation"),
)
