"""flatmin: sharp and flat minima of neural networks, after Keskar et al. (2017)."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

__version__ = "0.1.0"

_HOMES = {
    "Objective": "flatmin.core.objective",
    "SharpnessCallback": "flatmin.callbacks.sharpness",
    "average_case_sharpness": "flatmin.sharpness.average_case",
    "effort": "flatmin.sharpness.effort",
    "epsilon_sharpness": "flatmin.sharpness.epsilon_sharpness",
    "filter_normalized": "flatmin.landscapes",
    "rise_on": "flatmin.sharpness.held_out",
    "slice_1d": "flatmin.landscapes",
    "slice_2d": "flatmin.landscapes",
}
__getattr__ = on_first_use(__name__, _HOMES)

__all__ = [
    "Objective",
    "SharpnessCallback",
    "__version__",
    "average_case_sharpness",
    "effort",
    "epsilon_sharpness",
    "filter_normalized",
    "rise_on",
    "slice_1d",
    "slice_2d",
]

if TYPE_CHECKING:
    from flatmin.callbacks.sharpness import SharpnessCallback
    from flatmin.core.objective import Objective
    from flatmin.landscapes import filter_normalized, slice_1d, slice_2d
    from flatmin.sharpness.average_case import average_case_sharpness
    from flatmin.sharpness.effort import effort
    from flatmin.sharpness.epsilon_sharpness import epsilon_sharpness
    from flatmin.sharpness.held_out import rise_on
