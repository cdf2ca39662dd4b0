"""The largest rise of the loss in a Euclidean ball around the weights, what SAM lowers (Foret et al., 2021).

In its table, `left_to_gain` says how far the slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.measures.worst_case import WorstCaseSettings, in_a_ball

MEASURE = in_a_ball(
    "worst_case_l2",
    WorstCaseSettings,
    words="Worst-case sharpness in l2",
    noun="worst-case sharpnesses in l2",
    norm="l2",
    adaptive=False,
)
