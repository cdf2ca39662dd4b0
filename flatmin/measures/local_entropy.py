"""The local entropy as a measure of an experiment.

Its table has -ln E exp(-beta loss) / beta under Gaussian noise of standard deviation `sigma` on the weights, with its
standard error, how far it lies above the loss as `rise`, and how many draws it rests on as `counting`. Chaudhari et al.
(2017).
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class LocalEntropySettings(AlongTraining):
    """The loss averaged near the weights as a free energy.

    Attributes:
        sigmas: Standard deviations of the noise.
        beta: Inverse temperature.
        draws: Of the noise.
    """

    sigmas: Several[Length] = (0.01,)
    beta: Length = 1.0
    draws: Annotated[Count, Field(le=1_000_000)] = 100


MEASURE = by_function(
    "flatmin.sharpness.local_entropy:local_entropy",
    settings=LocalEntropySettings,
    several={"sigmas": "sigma"},
    passes=lambda settings: settings.draws + 1,
    columns=("sigma", "value", "standard_error", "rise", "counting", "base_loss", "evaluations"),
    words="Local entropy",
    noun="local entropies",
    unit="loss",
    unchanged_by=("logit_shift", "partition", "permutation"),
)
