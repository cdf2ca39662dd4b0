"""The squared Fisher-Rao norm as a measure of an experiment: theta' I theta. Liang et al. (2019).

`kind` says whose answers it is taken over: "model", those of the network, or "empirical", those of the data under the
cross-entropy.
"""

from typing import Literal

from flatmin.core.fields import Several
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class FisherRaoSettings(AlongTraining):
    """The length of the weights in the metric of what the network says.

    Attributes:
        kinds: ``model``, or ``empirical`` where the loss is the cross-entropy.
    """

    kinds: Several[Literal["model", "empirical"]] = ("model",)


MEASURE = by_function(
    "flatmin.sharpness.fisher_rao:fisher_rao",
    settings=FisherRaoSettings,
    several={"kinds": "kind"},
    passes=lambda settings: 8,
    columns=("kind", "value", "standard_error", "evaluations"),
    words="Squared Fisher-Rao norm",
    noun="Fisher-Rao norms",
    text=("kind",),
    needs=("value", "gauss_newton", "each_along"),
    unchanged_by=(
        "layer_rescaling",
        "node_rescaling",
        "batch_norm_scale",
        "logit_shift",
        "attention",
        "partition",
        "permutation",
    ),
)
