r"""Stability training: noise on the inputs must not change what the network says.

.. math:: L(x, y) + \alpha \, \mathrm{KL}(f(x) \,\Vert\, f(x + n)), \qquad n \sim N(0, \sigma^2)

Zheng, Song, Leung and Goodfellow (2016), Improving the robustness of deep neural networks via stability training; alpha
= 0.01 and sigma = 0.04 are theirs from memory. Keskar et al. (2017), appendix E.3, tried it, without numbers.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.core.checks import positive
from flatmin.data.batches import Pair
from flatmin.training.method import Criterion, Method, running_averages_kept


@dataclass(frozen=True)
class Stability(Method):
    """The loss of the examples and how far the outputs move when noise is added to them.

    The gradient is taken through both outputs. Dropout draws anew for the second; BatchNorm normalises it by its own
    statistics, and its running averages are those of the examples as they are.

    Attributes:
        sigma: Standard deviation of the noise, for pixels in [0, 1].
        weight: Weight alpha of the divergence.
    """

    sigma: float = 0.04
    weight: float = 0.01

    name: ClassVar[str] = "stability"

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)
        positive("weight", self.weight)

    def loss(self, network: nn.Module, batch: Pair, criterion: Criterion = F.cross_entropy) -> Tensor:
        """The sum of the loss and the weighted divergence."""
        scores = network(batch.inputs)
        with running_averages_kept(network):
            noisy = network(batch.inputs + self.sigma * torch.randn_like(batch.inputs))
        divergence = F.kl_div(
            F.log_softmax(noisy, dim=1), F.log_softmax(scores, dim=1), reduction="batchmean", log_target=True
        )
        return criterion(scores, batch.targets) + self.weight * divergence
