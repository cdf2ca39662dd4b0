"""The relative flatness of the last hidden layer as a measure of an experiment, with its standard error.

`layer` names the weight that it is of. Petzka et al. (2021).
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Count
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class RelativeFlatnessSettings(AlongTraining):
    """The trace of the last hidden layer's Hessian, weighed with its weights.

    Attributes:
        draws: Products with the Hessian behind each number.
    """

    draws: Annotated[Count, Field(ge=2, le=1_000_000)] = 100


MEASURE = by_function(
    "flatmin.sharpness.relative_flatness:relative_flatness",
    settings=RelativeFlatnessSettings,
    passes=lambda settings: 6.0 * settings.draws,
    columns=("layer", "value", "standard_error", "exact", "products"),
    words="Relative flatness",
    noun="relative flatnesses",
    text=("layer",),
    needs=("value", "shapes", "transposed", "restricted"),
    unchanged_by=("layer_rescaling", "batch_norm_scale", "logit_shift", "partition", "permutation"),
)
