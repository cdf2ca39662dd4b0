"""The mean rise of the loss under noise in proportion to each weight (Andriushchenko et al., 2023).

Its table has that mean with the standard error that the noise leaves, for each `sigma`: the standard deviation of
normal noise, the half-width of uniform noise, as a share of the weight.
"""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining
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


MEASURE = by_function(
    "flatmin.sharpness:average_case_sharpness",
    name="adaptive_average_case",
    words="Adaptive average-case sharpness",
    noun="adaptive average-case sharpnesses",
    settings=AdaptiveAverageCaseSettings,
    several={"sigmas": "sigma"},
    fixed={"relative": True},
    passes=lambda asked: 2.0 * asked.pairs,
    columns=("sigma", "value", "standard_error", "base_loss", "pairs", "evaluations"),
    unit="mean rise of the loss",
    unchanged_by=ADAPTIVE,
)
