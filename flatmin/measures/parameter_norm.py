"""The length of all weights as a measure of an experiment: a control, which does not look at the loss."""

from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class ParameterNormSettings(AlongTraining):
    """The Euclidean length of all weights."""


MEASURE = by_function(
    "flatmin.sharpness.controls:parameter_norm",
    settings=ParameterNormSettings,
    passes=lambda settings: 0.01,
    columns=("value",),
    words="Norm of the weights",
    noun="norms of weights",
    unchanged_by=("partition", "permutation"),
)
