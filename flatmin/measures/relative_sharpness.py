"""Keskar's sharpness without the 1 in its box, so that no rescaling of the weights changes it (Dinh et al., 2017).

Found by the strong search in the full space; each weight moves by at most a share `epsilon` of itself.
"""

from flatmin.core.fields import Length, Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining
from flatmin.measures.worst_case import ADAPTIVE

EVALUATIONS = 110
"""Of the strong search, about."""


class RelativeSharpnessSettings(AlongTraining):
    """The sharpness of Metric 2.1 in a box that moves each weight by a share of itself.

    Attributes:
        epsilons: Half-widths of the box, as shares.
    """

    epsilons: Several[Length] = (1e-3,)


MEASURE = by_function(
    "flatmin.sharpness:epsilon_sharpness",
    name="relative_sharpness",
    words="Relative sharpness",
    noun="relative sharpness searches",
    settings=RelativeSharpnessSettings,
    several={"epsilons": "epsilon"},
    fixed={"box": "relative"},
    passes=lambda asked: 3.0 * EVALUATIONS,
    columns=("epsilon", "sharpness", "base_loss", "worst_loss", "evaluations", "spread", "converged"),
    value="sharpness",
    unit="%",
    needs=("value", "value_and_gradient"),
    few="biased upwards: the worst point is theirs",
    unchanged_by=ADAPTIVE,
)
