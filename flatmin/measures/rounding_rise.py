"""The loss under rounding of the weights as a measure of an experiment.

Its table has the rise of the loss and the drop of the accuracy when each parameter with rows is rounded to so many
`bits`, in equal steps symmetric about 0, one step a "tensor" or a "channel" (`scale`).
"""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class RoundingSettings(AlongTraining):
    """The rise of the loss when the weights are rounded to few bits.

    Attributes:
        bits: Of each weight.
        scales: What has a step of its own: ``tensor`` or ``channel``.
    """

    bits: Several[Annotated[int, Field(ge=2, le=24)]] = (8, 4, 3)
    scales: Several[Literal["tensor", "channel"]] = ("tensor",)


MEASURE = by_function(
    "flatmin.sharpness.rounding:rounding_rise",
    settings=RoundingSettings,
    several={"bits": "bits", "scales": "scale"},
    passes=lambda settings: 2,
    columns=("bits", "scale", "value", "accuracy_drop", "distance", "rounded", "base_loss", "base_accuracy"),
    words="Rise of the loss under rounding",
    noun="roundings",
    unit="rise of the loss",
    text=("scale",),
    needs=("value", "evaluate", "shapes", "transposed"),
    unchanged_by=("layer_rescaling", "batch_norm_scale", "partition", "permutation"),
)
