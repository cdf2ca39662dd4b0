"""The largest rise of the loss within a geodesic ball (da Silva et al., 2025): adaptive, and blind to attention.

Without :class:`torch.nn.MultiheadAttention` in the network it is the adaptive worst case in l2. In its table,
`left_to_gain` says how far the slope at the highest point found rises within the ball, 0 at a maximum.
"""

from flatmin.measures.adaptive_worst_case_l2 import AdaptiveL2Settings
from flatmin.measures.by_function import by_function
from flatmin.measures.worst_case import ADAPTIVE, BIASED, COLUMNS, passes


class GeodesicSettings(AdaptiveL2Settings):
    """The largest rise of the loss within a geodesic ball around a transformer, by Auto-PGD.

    Attributes:
        rhos: Radii of the ball.
        steps: Of the search.
    """


MEASURE = by_function(
    "flatmin.sharpness:geodesic_sharpness",
    words="Geodesic sharpness",
    noun="geodesic sharpnesses",
    settings=GeodesicSettings,
    several={"rhos": "rho"},
    passes=passes,
    columns=COLUMNS,
    unit="largest rise of the loss",
    needs=("value", "value_and_gradient", "shapes", "heads"),
    few=BIASED,
    unchanged_by=("attention", *ADAPTIVE),
)
