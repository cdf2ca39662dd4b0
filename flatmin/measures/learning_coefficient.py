"""The local learning coefficient as a measure of an experiment.

Its table has lambda-hat for each pull `gamma` towards the weights, with its standard error over the chains and what
the chains say of themselves. Lau et al. (2023).
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count, Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining

Steps = Annotated[Count, Field(ge=4, le=1_000_000)]


class LearningCoefficientSettings(AlongTraining):
    """How fast the volume of weights that are nearly as good shrinks with the loss, by Langevin chains.

    Attributes:
        gammas: Pulls towards the weights that are measured.
        draws: Steps of each chain that count.
        burn_in: Steps before these.
        chains: Independent chains.
    """

    gammas: Several[Length] = (100.0,)
    draws: Steps = 300
    burn_in: Annotated[int, Field(ge=0, le=1_000_000)] = 300
    chains: Annotated[Count, Field(ge=2, le=1000)] = 4


MEASURE = by_function(
    "flatmin.sharpness.learning_coefficient:local_learning_coefficient",
    settings=LearningCoefficientSettings,
    several={"gammas": "gamma"},
    passes=lambda settings: 3.0 * settings.chains * (settings.burn_in + settings.draws),
    columns=(
        "gamma",
        "value",
        "standard_error",
        "converged",
        "agreement",
        "equipartition",
        "diverged",
        "step",
        "beta",
        "base_loss",
        "evaluations",
    ),
    words="Local learning coefficient",
    noun="local learning coefficients",
    needs=("value", "value_and_gradient", "examples"),
    few="that of their number, not of all",
    unchanged_by=("logit_shift", "partition", "permutation"),
)
