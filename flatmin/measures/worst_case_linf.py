"""The largest rise of the loss when no weight moves by more than rho.

In its table, `left_to_gain` says how far the slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.core.fields import Length, Several
from flatmin.measures.worst_case import WorstCaseSettings, in_a_ball


class LinfSettings(WorstCaseSettings):
    """The largest rise of the loss when no weight moves by more than rho, by Auto-PGD.

    Attributes:
        rhos: Radii of the ball.
        steps: Of the search.
    """

    rhos: Several[Length] = (1e-3,)


MEASURE = in_a_ball(
    "worst_case_linf",
    LinfSettings,
    words="Worst-case sharpness in l-infinity",
    noun="worst-case sharpnesses in l-infinity",
    norm="linf",
    adaptive=False,
)
