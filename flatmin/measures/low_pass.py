"""The low-pass filtered loss as a measure of an experiment.

Its table has the mean of the loss under Gaussian noise of standard deviation `sigma` on the weights, with its standard
error, and how far it lies above the loss as `rise`. Bisla et al. (2022).
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class LowPassSettings(AlongTraining):
    """The mean of the loss under Gaussian noise on the weights.

    Attributes:
        sigmas: Standard deviations of the noise.
        draws: Of the noise.
    """

    sigmas: Several[Length] = (0.01,)
    draws: Annotated[Count, Field(le=1_000_000)] = 100


MEASURE = by_function(
    "flatmin.sharpness.low_pass:low_pass",
    settings=LowPassSettings,
    several={"sigmas": "sigma"},
    passes=lambda settings: settings.draws + 1,
    columns=("sigma", "value", "standard_error", "rise", "base_loss", "evaluations"),
    words="Low-pass filtered loss",
    noun="low-pass filtered losses",
    unit="loss",
    unchanged_by=("logit_shift", "partition", "permutation"),
)
