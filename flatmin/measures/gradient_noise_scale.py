"""McCandlish's gradient-noise scale, tr(Sigma) / |G|^2 in examples, as a measure."""

from flatmin.core.fields import Count
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class GradientNoiseScaleSettings(AlongTraining):
    """The gradient-noise scale: beyond which batch size more examples hardly make the gradient better.

    Attributes:
        size: Examples in each of the parts whose gradients are compared; ``null`` makes some fifty parts.
    """

    size: Count | None = None


MEASURE = by_function(
    "flatmin.sharpness.gradient_noise:gradient_noise_scale",
    settings=GradientNoiseScaleSettings,
    passes=lambda settings: 6.0,
    columns=("value", "standard_error", "variance", "signal", "parts"),
    words="Gradient-noise scale",
    noun="gradient-noise scales",
    unit="examples",
    needs=("value", "parts", "examples"),
    unchanged_by=("logit_shift", "partition", "permutation"),
)
