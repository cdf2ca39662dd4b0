r"""Conservative training: every step stays near where it starts.

.. math:: x_{k+1} = \arg\min_x f_{B_k}(x) + \frac{\lambda}{2} \lVert x - x_k \rVert^2

Li, Zhang, Chen and Smola (2014), Efficient mini-batch training for stochastic optimization; Keskar et al. (2017),
appendix E.2 and Table 7, solve each subproblem by three iterations of Adam, with lambda = 1e-3.
"""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

from flatmin.core.fields import Count, Positive
from flatmin.training.methods.method import Closure, Method, trainable

if TYPE_CHECKING:
    from pytorch_lightning.core.optimizer import LightningOptimizer
    from torch import nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Conservative(Method):
    """Several iterations of the optimiser on each batch, pulled back to where the batch found the weights.

    An epoch is one pass over the batches, whatever the number of iterations. Adam's moments are carried from one
    subproblem to the next; the paper does not say. Fresh ones would make the first iteration on every batch a step of
    the full learning rate in each weight, whatever its gradient. Dropout draws anew and BatchNorm's running averages
    are updated in every iteration.

    Attributes:
        strength: Weight lambda of the pull.
        iterations: Steps on each batch.
    """

    strength: Positive = 1e-3
    iterations: Count = 3
    _: KW_ONLY
    name: Literal["conservative"] = "conservative"

    @property
    def gradients(self) -> float:  # type: ignore[override]
        """One an iteration."""
        return float(self.iterations)

    @property
    def updates(self) -> int:  # type: ignore[override]
        """One an iteration."""
        return self.iterations

    def step(self, network: "nn.Module", optimizer: "Optimizer | LightningOptimizer", closure: Closure) -> None:
        """``iterations`` steps on the loss of the batch plus the pull."""
        import torch

        weights = trainable(network)
        centre = [weight.detach().clone() for weight in weights]

        def pulled() -> Any:
            loss = closure()
            with torch.no_grad():
                for weight, start in zip(weights, centre, strict=True):
                    if weight.grad is not None:
                        weight.grad.add_(weight - start, alpha=self.strength)
            return loss

        for _ in range(self.iterations):
            optimizer.step(pulled)


METHOD = Conservative
