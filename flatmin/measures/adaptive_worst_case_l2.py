"""The largest rise of the loss in a ball measured in shares of the weights, what ASAM lowers (Kwon et al., 2021).

In its table, `left_to_gain` says how far the slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.core.fields import Length, Several
from flatmin.measures.worst_case import WorstCaseSettings, in_a_ball


class AdaptiveL2Settings(WorstCaseSettings):
    """The largest rise of the loss in a Euclidean ball of shares of the weights, by Auto-PGD.

    Attributes:
        rhos: Radii of the ball.
        steps: Of the search.
    """

    rhos: Several[Length] = (0.5,)


MEASURE = in_a_ball(
    "adaptive_worst_case_l2",
    AdaptiveL2Settings,
    words="Adaptive worst-case sharpness in l2",
    noun="adaptive worst-case sharpnesses in l2",
    norm="l2",
    adaptive=True,
)
