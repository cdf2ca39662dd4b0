r"""Robust training: descend from where the loss is worst nearby.

.. math:: \min_x \max_{\lVert \Delta x \rVert \le \rho} f(x + \Delta x)

Keskar et al. (2017), appendix E.3, name the problem and dismiss it as too costly. To first order the inner maximum
lies at :math:`\rho g / \lVert g \rVert` with :math:`g = \nabla f(x)`; the gradient there is taken for that of the
maximum. This is sharpness-aware minimisation, Foret et al. (2021), equations 2 and 3; their rho is 0.05. With ASAM and
sub-batches it is the method ``sam``, :mod:`flatmin.training.methods.sharpness_aware`.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from flatmin.core.fields import Positive
from flatmin.optimizers.running_averages import running_averages_kept
from flatmin.training.methods.method import Closure, Method, trainable

if TYPE_CHECKING:
    from pytorch_lightning.core.optimizer import LightningOptimizer
    from torch import nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Robust(Method):
    """The optimiser's step at x with the gradient at x + rho g / |g|; both gradients are of the same batch.

    Dropout draws anew in the second pass; BatchNorm's running averages are those of the first.

    Attributes:
        rho: Radius of the ball.
    """

    rho: Positive = 0.05
    _: KW_ONLY
    name: Literal["robust"] = "robust"

    gradients: ClassVar[float] = 2.0

    def step(self, network: "nn.Module", optimizer: "Optimizer | LightningOptimizer", closure: Closure) -> None:
        """One step with the gradient of the worst point nearby."""
        from flatmin.optimizers.sam import moved, perturbations

        def uphill() -> Any:
            closure()
            weights = [weight for weight in trainable(network) if weight.grad is not None]
            slopes = [weight.grad for weight in weights if weight.grad is not None]
            by = perturbations(weights, slopes, [{"rho": self.rho, "adaptive": False}] * len(weights))
            with moved(weights, by), running_averages_kept(network):
                return closure()

        optimizer.step(uphill)


METHOD = Robust
