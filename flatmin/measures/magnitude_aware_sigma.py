"""The magnitude-aware PAC-Bayes sigma as a measure of an experiment.

Its table has how large Gaussian noise may be, as a share of each weight, before it costs `drop` of the accuracy. The
noise of 1e-3 that the paper adds is left out, since a rescaling can bring weights down to it. Jiang et al. (2020).
"""

from typing import Annotated

from pydantic import Field

from flatmin.measures.by_function import by_function
from flatmin.measures.pac_bayes_sigma import COLUMNS, STEPS, PacBayesSettings, problem


class MagnitudeAwareSettings(PacBayesSettings):
    """The Gaussian noise, as a share of each weight, that costs so much accuracy.

    Attributes:
        epsilon: Standard deviation of noise that each weight gets besides; 1e-3 in the paper.
    """

    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.0


MEASURE = by_function(
    "flatmin.sharpness.pac_bayes:pac_bayes_sigma",
    name="magnitude_aware_sigma",
    settings=MagnitudeAwareSettings,
    several={"drops": "drop"},
    fixed={"magnitude_aware": True},
    passes=lambda settings: STEPS * settings.draws,
    columns=COLUMNS,
    words="Magnitude-aware PAC-Bayes sigma",
    noun="magnitude-aware PAC-Bayes sigmas",
    unit="share of each weight",
    needs=("value", "evaluate"),
    problem=problem,
    few="coarse: the accuracy moves in steps of one example",
    unchanged_by=("layer_rescaling", "node_rescaling", "batch_norm_scale", "partition", "permutation"),
)
