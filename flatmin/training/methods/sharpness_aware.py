r"""SAM, ASAM and m-SAM: descend from where the loss of a batch, or of each part of it, is worst nearby.

.. math:: \min_w \frac{1}{k} \sum_{j=1}^{k} \max_{\lVert T_w^{-1} e_j \rVert \le \rho} L_j(w + e_j)

over the k sub-batches of m examples of a batch. Foret et al. (2021), m-sharpness; Kwon et al. (2021). The arithmetic is
that of :mod:`flatmin.optimizers.sam`.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flatmin.core.fields import BatchCount, Positive
from flatmin.optimizers.running_averages import running_averages_kept
from flatmin.training.methods.method import Criterion, Method, cross_entropy, trainable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from flatmin.data.batches import Pair


@dataclass(frozen=True)
class SharpnessAware(Method):
    """The optimiser's step with the gradient of the worst point near the weights; two passes over each batch.

    The loss is that at the weights, its gradient that at the worst point. The optimiser's closure is called once, so
    loops that accumulate, clip or scale gradients, or log the loss, do so as with plain training. Dropout draws anew in
    the second pass, and BatchNorm's running averages are those of the first. With sub-batches BatchNorm normalises each
    by its own statistics, of which the running averages hear one after the other: ghost batches of m.

    ``robust`` is this with ``rho`` alone, under the name in Keskar et al.

    Attributes:
        rho: Radius; 0.05 for SAM on CIFAR-10, 0.5 for ASAM.
        adaptive: ASAM: the radius is relative to each weight (:math:`|w| + 0.01`; of biases and vectors it is not).
        m: Examples of a sub-batch at most: a batch is cut into as few parts as that takes, of equal sizes but for one
            example; ``None`` takes it whole.
    """

    rho: Positive = 0.05
    adaptive: bool = False
    m: BatchCount | None = None
    _: KW_ONLY
    name: Literal["sam"] = "sam"

    gradients: ClassVar[float] = 2.0

    def idle(self, batch_size: int) -> str:
        """A batch of at most m examples is taken whole."""
        if self.m is not None and batch_size <= self.m:
            return f"m = {self.m:,} takes batches of {batch_size:,} whole, as without it"
        return ""

    def loss(self, network: "nn.Module", batch: "Pair", criterion: Criterion = cross_entropy) -> "Tensor":
        """The mean loss at the weights, with the gradient of the sub-batches' worst points nearby."""
        import torch

        weights, whole = trainable(network), len(batch.targets)
        losses: list[Tensor] = []
        slopes: dict[nn.Parameter, Tensor] = {}
        parts = -(-whole // self.m) if self.m else 1
        for inputs, targets in zip(batch.inputs.tensor_split(parts), batch.targets.tensor_split(parts), strict=True):
            part = type(batch)(inputs, targets)
            share = len(part.targets) / whole
            value, worst = self._uphill(network, weights, part, criterion)
            losses.append(share * value)
            for weight, slope in worst.items():
                slopes[weight] = slopes[weight] + share * slope if weight in slopes else share * slope
        pull = torch.stack([(weight * slope).sum() for weight, slope in slopes.items()]).sum()
        return torch.stack(losses).sum() + (pull - pull.detach())  # 0, whose gradient is the one wanted

    def _uphill(
        self, network: "nn.Module", weights: "list[nn.Parameter]", part: "Pair", criterion: Criterion
    ) -> "tuple[Tensor, dict[nn.Parameter, Tensor]]":
        """Loss of a sub-batch at the weights, and its gradient at the worst point nearby."""
        from flatmin.optimizers.sam import ETA, moved, perturbations

        value = criterion(network(part.inputs), part.targets)
        slopes = gradient(value, weights)
        group = {"rho": self.rho, "adaptive": self.adaptive, "eta": ETA}
        by = perturbations([*slopes], [*slopes.values()], [group] * len(slopes))
        with moved([*slopes], by), running_averages_kept(network):
            worst = gradient(criterion(network(part.inputs), part.targets), weights)
        return value.detach(), worst


def gradient(loss: "Tensor", weights: "list[nn.Parameter]") -> "dict[nn.Parameter, Tensor]":
    """The gradient in each of the weights that the loss depends on."""
    import torch

    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return {weight: slope for weight, slope in zip(weights, found, strict=True) if slope is not None}


METHOD = SharpnessAware
