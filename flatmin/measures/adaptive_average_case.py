"""The mean rise of the loss under noise in proportion to each weight (Andriushchenko et al., 2023).

Its table has that mean with the standard error that the noise leaves, for each `sigma`: the standard deviation of
normal noise, the half-width of uniform noise, as a share of the weight.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining, Measure
from flatmin.measures.worst_case import ADAPTIVE


class AdaptiveAverageCaseSettings(AlongTraining):
    """The mean rise of the loss under noise in proportion to the magnitude of each weight.

    Attributes:
        sigmas: Sizes of the noise.
        distribution: ``normal``, or ``uniform`` up to sigma.
        pairs: Pairs of opposite draws behind each number.
    """

    sigmas: Several[Length] = (0.1,)
    distribution: Literal["normal", "uniform"] = "normal"
    pairs: Annotated[Count, Field(le=1_000_000)] = 20


def under_noise(
    name: str, settings: type[AdaptiveAverageCaseSettings], *, words: str, noun: str, made: str | None = None
) -> Measure[Any]:
    """Declare the mean rise under relative noise, of one kind of objective."""
    return by_function(
        "flatmin.sharpness:average_case_sharpness",
        name=name,
        words=words,
        noun=noun,
        settings=settings,
        several={"sigmas": "sigma"},
        fixed={"relative": True},
        made=made,
        passes=lambda asked: 2.0 * asked.pairs,
        columns=("sigma", "value", "standard_error", "base_loss", "pairs", "evaluations"),
        unit="mean rise of the loss",
        needs=("value", *([made] if made else [])),
        unchanged_by=ADAPTIVE,
    )


MEASURE = under_noise(
    "adaptive_average_case",
    AdaptiveAverageCaseSettings,
    words="Adaptive average-case sharpness",
    noun="adaptive average-case sharpnesses",
)
