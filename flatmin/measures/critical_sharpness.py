"""The critical sharpness, two over the step along the negative gradient that raises the loss, as a measure."""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Positive
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class CriticalSharpnessSettings(AlongTraining):
    """Two over the smallest step along the negative gradient that raises the loss.

    Attributes:
        start: The step that is tried first.
        tolerance: Ratio, less one, of the two steps between which it is known to lie.
    """

    start: Positive = 1.0
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05


MEASURE = by_function(
    "flatmin.sharpness.critical:critical_sharpness",
    settings=CriticalSharpnessSettings,
    passes=lambda settings: 12.0,
    columns=("value", "step", "base_loss", "lowest_loss", "resolved", "evaluations"),
    words="Critical sharpness",
    noun="critical sharpnesses",
    needs=("value", "value_and_gradient"),
    unchanged_by=("logit_shift", "partition", "permutation"),
)
