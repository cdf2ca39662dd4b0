"""The spectral bound as a measure of an experiment: a control, which does not look at the loss.

Its table has the product of the layers' spectral norms times the root of the sum of their stable ranks, with the
logarithm of the product and the sum. Neyshabur et al. (2018).
"""

from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class SpectralBoundSettings(AlongTraining):
    """The product of the layers' spectral norms times the root of their stable ranks; BatchNorm is folded."""


MEASURE = by_function(
    "flatmin.sharpness.controls:spectral_bound",
    settings=SpectralBoundSettings,
    passes=lambda settings: 1,
    columns=("value", "log_product", "stable_ranks", "layers"),
    words="Spectral bound",
    noun="spectral bounds",
    needs=("value", "module_at", "batches"),
    unchanged_by=("layer_rescaling", "batch_norm_scale", "partition", "permutation"),
)
