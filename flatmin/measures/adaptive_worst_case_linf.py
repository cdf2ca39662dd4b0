"""The largest rise of the loss when no weight moves by more than a share rho of itself (Andriushchenko et al., 2023).

In its table, `left_to_gain` says how far the slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.core.fields import Length, Several
from flatmin.measures.worst_case import WorstCaseSettings, in_a_ball


class AdaptiveLinfSettings(WorstCaseSettings):
    """The largest rise of the loss when no weight moves by more than a share of itself, by Auto-PGD.

    Attributes:
        rhos: Radii of the ball.
        steps: Of the search.
    """

    rhos: Several[Length] = (2e-3,)


MEASURE = in_a_ball(
    "adaptive_worst_case_linf",
    AdaptiveLinfSettings,
    words="Adaptive worst-case sharpness in l-infinity",
    noun="adaptive worst-case sharpnesses in l-infinity",
    norm="linf",
    adaptive=True,
)
