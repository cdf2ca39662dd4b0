r"""Multiplicative gradient noise: a large batch whose gradient is as noisy as that of a small one.

.. math:: \hat g = \frac{1}{B} \sum_{i=1}^{B} z_i g_i, \qquad z_i \sim N(1, \sigma^2), \quad \sigma^2 \propto B

Hoffer, Hubara and Soudry (2017), Train longer, generalize better, section 4. The gradient is linear in the losses of
the examples, so :math:`\hat g` is the gradient of :math:`\frac{1}{B} \sum_i z_i l_i`: one backward pass of a weighted
mean, no gradient of a single example.

How much: the :math:`g_i` of examples drawn independently have mean G and covariance :math:`\Sigma`, and
:math:`E[g g^T] = \Sigma + G G^T`. As :math:`E[z] = 1` and :math:`E[z^2] = 1 + \sigma^2`,

.. math::
    E[\hat g] = G, \qquad
    \mathrm{cov}(\hat g) = \frac{1}{B} \left( (1 + \sigma^2) E[g g^T] - G G^T \right)
                         = \frac{1}{B} \left( \Sigma + \sigma^2 E[g g^T] \right).

A batch of b has :math:`\Sigma / b`. With :math:`\sigma^2 = B / b - 1` the two differ by
:math:`\sigma^2 G G^T / B < G G^T / b` alone: noise along the mean gradient, little where the gradients of the examples
are much larger than their mean. For examples drawn without replacement from N, covariances have the factor
(N - B) / (N - 1), and the same sum gives :math:`(B / b - 1) N / (N - 1)`: up to 1 / N the same, also for B = N.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flatmin.core.checks import whole
from flatmin.core.fields import BatchCount, Positive
from flatmin.training.methods.method import Criterion, Method, cross_entropy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from flatmin.data.batches import Pair


@dataclass(frozen=True)
class GradientNoise(Method):
    """Each example's loss, and so its gradient, times a draw from N(1, sigma^2).

    Where sigma is above one some draws are negative: the step climbs the loss of these examples. Hoffer et al. clip the
    gradient in the first iterations. The loss that is logged is the noisy one.

    With BatchNorm in the network an example's loss depends on the others of its batch: what is weighted is the gradient
    of that loss, through their inputs too. It is no longer the gradient of an example alone, and the noise of a small
    batch's own statistics is not in it.

    Draws are from torch's generator of the device. :func:`flatmin.training.train` seeds it as an epoch starts, and a
    resumed run goes on exactly; Lightning itself does not keep its state.

    Attributes:
        sigma: Standard deviation; ``None`` is :func:`matching_sigma` of each batch.
        like: The batch whose noise is imitated where ``sigma`` is ``None``.
    """

    sigma: Positive | None = None
    like: BatchCount = 256
    _: KW_ONLY
    name: Literal["gradient_noise"] = "gradient_noise"

    needs_each: ClassVar[bool] = True

    def idle(self, batch_size: int) -> str:
        """No noise is added to batches that are no larger than the one imitated."""
        if self.sigma is None and batch_size <= self.like:
            return f"the noise of batches of {self.like:,} adds none to batches of {batch_size:,}"
        return ""

    def loss(self, network: "nn.Module", batch: "Pair", criterion: Criterion = cross_entropy) -> "Tensor":
        """The weighted mean of the examples' losses.

        Raises:
            ValueError: If ``criterion`` is no mean over examples.
        """
        import torch
        from torch.nn import functional as F

        from flatmin.objective.each import weighted

        outputs, targets = network(batch.inputs), batch.targets
        sigma = matching_sigma(len(targets), self.like) if self.sigma is None else self.sigma
        weights = 1 + sigma * torch.randn(len(targets), device=outputs.device)
        return weighted(F.cross_entropy if criterion is cross_entropy else criterion, outputs, targets, weights)


def matching_sigma(batch_size: int, like: int) -> float:
    r"""The :math:`\sigma = \sqrt{B / b - 1}` that gives a batch of B the noise of one of b; 0 where B is not larger.

    Args:
        batch_size: Examples a step, B.
        like: The smaller batch, b.

    Raises:
        TypeError: If a size is not whole.
        ValueError: If one is below one.

    Example:
        >>> matching_sigma(4096, 256)
        3.872983346207417
    """
    return math.sqrt(max(0.0, whole("batch_size", batch_size, minimum=1) / whole("like", like, minimum=1) - 1))


METHOD = GradientNoise
