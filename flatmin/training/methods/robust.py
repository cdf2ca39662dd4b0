r"""Robust training: descend from where the loss is worst nearby.

.. math:: \min_x \max_{\lVert \Delta x \rVert \le \rho} f(x + \Delta x)

Keskar et al. (2017), appendix E.3, name the problem and dismiss it as too costly. To first order the inner maximum
lies at :math:`\rho g / \lVert g \rVert` with :math:`g = \nabla f(x)`; the gradient there is taken for that of the
maximum. This is sharpness-aware minimisation, Foret et al. (2021), equations 2 and 3; their rho is 0.05.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

from flatmin.core.fields import Positive
from flatmin.training.methods.method import Closure, Method, running_averages_kept, trainable

if TYPE_CHECKING:
    from pytorch_lightning.core.optimizer import LightningOptimizer
    from torch import Tensor, nn
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

    def step(self, network: "nn.Module", optimizer: "Optimizer | LightningOptimizer", closure: Closure) -> None:
        """One step with the gradient of the worst point nearby."""
        import torch

        def uphill() -> Any:
            closure()
            weights = [weight for weight in trainable(network) if weight.grad is not None]
            start = [weight.detach().clone() for weight in weights]
            with torch.no_grad():
                self._climb(weights)
            with running_averages_kept(network):
                loss = closure()
            with torch.no_grad():
                for weight, before in zip(weights, start, strict=True):
                    weight.copy_(before)
            return loss

        optimizer.step(uphill)

    def _climb(self, weights: "list[nn.Parameter]") -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        scale = self.rho / (length(gradients) + 1e-12)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.add_(gradient * scale)


def length(tensors: "list[Tensor]") -> "Tensor":
    """Euclidean norm of tensors taken as one vector, left on the device."""
    import torch

    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(tensor) for tensor in tensors]))
    return norm


METHOD = Robust
