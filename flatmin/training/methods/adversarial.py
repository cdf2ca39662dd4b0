r"""Adversarial training: examples moved against the network count as well.

.. math:: (1 - a) J(\theta, x, y) + a J(\theta, x + \epsilon \, \mathrm{sign} \nabla_x J(\theta, x, y), y)

Goodfellow, Shlens and Szegedy (2015), section 6, with a = 0.5. Keskar et al. (2017), appendix E.3, tried it, without
numbers, and name no epsilon.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flatmin.core.fields import Positive, Share
from flatmin.optimizers.running_averages import running_averages_kept
from flatmin.training.methods.method import Criterion, Method, cross_entropy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from flatmin.data.batches import Pair


@dataclass(frozen=True)
class Adversarial(Method):
    """Mean of the loss of the examples and of their worst neighbours to first order.

    The moved examples are held fixed when the gradient in the weights is taken, and are not clipped to the range of the
    pixels. BatchNorm normalises them by their own statistics; its running averages are those of the examples as they
    are.

    Attributes:
        epsilon: How far each pixel is moved, for pixels in [0, 1]; Goodfellow et al. have 0.25 for MNIST and 0.1 for
            CIFAR-10 (from memory).
        share: Weight a of the moved examples.
    """

    epsilon: Positive = 0.1
    share: Share = 0.5
    _: KW_ONLY
    name: Literal["adversarial"] = "adversarial"

    gradients: ClassVar[float] = 3.0

    def loss(self, network: "nn.Module", batch: "Pair", criterion: Criterion = cross_entropy) -> "Tensor":
        """The weighted mean of both losses."""
        import torch

        inputs = batch.inputs.detach().requires_grad_()
        plain = criterion(network(inputs), batch.targets)
        (slope,) = torch.autograd.grad(plain, inputs, retain_graph=True)
        against = batch.inputs + self.epsilon * slope.sign()
        with running_averages_kept(network):
            worst = criterion(network(against), batch.targets)
        return (1 - self.share) * plain + self.share * worst


METHOD = Adversarial
