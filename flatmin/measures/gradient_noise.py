"""The noise of the gradient, tr(Sigma), as a measure, with McCandlish's noise scale tr(Sigma) / |G|^2 beside it.

In its table the noise scale is NaN where no gradient is seen, as at a minimum; errors are the jackknife's, those
that the choice of the examples leaves.
"""

from flatmin.core.fields import Count
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class GradientNoiseSettings(AlongTraining):
    """The variance of the gradients of single examples, and the batch size beyond which more of them hardly help.

    Attributes:
        size: Examples in each of the parts whose gradients are compared; ``null`` makes some fifty parts.
    """

    size: Count | None = None


MEASURE = by_function(
    "flatmin.sharpness.gradient_noise:gradient_noise_scale",
    name="gradient_noise",
    settings=GradientNoiseSettings,
    passes=lambda settings: 6.0,
    columns=("variance", "variance_error", "signal", "signal_error", "noise_scale", "noise_scale_error", "parts"),
    row=lambda found: {
        **found.to_record(),
        "noise_scale": found.value,
        "noise_scale_error": found.standard_error,
    },
    value="variance",
    words="Gradient noise",
    noun="gradient noises",
    unit="variance of the gradient",
    needs=("value", "parts", "examples"),
    unchanged_by=("logit_shift", "permutation"),
)
