"""The path norm as a measure of an experiment: a control, which does not look at the loss. Neyshabur et al. (2015)."""

from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class PathNormSettings(AlongTraining):
    """The length of the vector of all paths through the network; BatchNorm is folded."""


MEASURE = by_function(
    "flatmin.sharpness.controls:path_norm",
    settings=PathNormSettings,
    passes=lambda settings: 1,
    columns=("value",),
    words="Path norm",
    noun="path norms",
    needs=("value", "module_at", "batches"),
    unchanged_by=("layer_rescaling", "node_rescaling", "batch_norm_scale", "partition", "permutation"),
)
