r"""Stability training: noise on the inputs must not change what the network says.

.. math:: L(x, y) + \alpha \, \mathrm{KL}(f(x) \,\Vert\, f(x + n)), \qquad n \sim N(0, \sigma^2)

Zheng, Song, Leung and Goodfellow (2016), Improving the robustness of deep neural networks via stability training; alpha
= 0.01 and sigma = 0.04 are theirs from memory. Keskar et al. (2017), appendix E.3, tried it, without numbers.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flatmin.core.fields import Positive
from flatmin.optimizers.running_averages import running_averages_kept
from flatmin.training.methods.method import Criterion, Method, cross_entropy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from flatmin.data.batches import Pair


@dataclass(frozen=True)
class Stability(Method):
    """The loss of the examples and how far the outputs move when noise is added to them.

    The gradient is taken through both outputs. Dropout draws anew for the second; BatchNorm normalises it by its own
    statistics, and its running averages are those of the examples as they are.

    Attributes:
        sigma: Standard deviation of the noise, for pixels in [0, 1].
        weight: Weight alpha of the divergence.
    """

    sigma: Positive = 0.04
    weight: Positive = 0.01
    _: KW_ONLY
    name: Literal["stability"] = "stability"

    needs_classes: ClassVar[bool] = True
    gradients: ClassVar[float] = 2.0

    def loss(self, network: "nn.Module", batch: "Pair", criterion: Criterion = cross_entropy) -> "Tensor":
        """The sum of the loss and the weighted divergence."""
        import torch
        from torch.nn import functional as F

        scores = network(batch.inputs)
        with running_averages_kept(network):
            noisy = network(batch.inputs + self.sigma * torch.randn_like(batch.inputs))
        divergence = F.kl_div(
            F.log_softmax(noisy, dim=1), F.log_softmax(scores, dim=1), reduction="batchmean", log_target=True
        )
        return criterion(scores, batch.targets) + self.weight * divergence


METHOD = Stability
