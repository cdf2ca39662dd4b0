"""The adaptive worst-case sharpness in l-infinity of normalised logits (Andriushchenko et al., 2023).

Neither a rescaling of the weights nor one of the outputs changes it. In its table, `left_to_gain` says how far the
slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.measures.adaptive_worst_case_linf import AdaptiveLinfSettings
from flatmin.measures.worst_case import in_a_ball


class LogitNormalizedWorstCaseSettings(AdaptiveLinfSettings):
    """The largest rise of the loss of normalised logits when no weight moves by more than a share of itself.

    Attributes:
        rhos: Radii of the ball.
        steps: Of Auto-PGD.
    """


MEASURE = in_a_ball(
    "logit_normalized_worst_case",
    LogitNormalizedWorstCaseSettings,
    words="Logit-normalised adaptive worst-case sharpness",
    noun="logit-normalised worst-case sharpnesses",
    made="logit_normalized",
    norm="linf",
    adaptive=True,
)
