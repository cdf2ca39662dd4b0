r"""Conservative training: every step stays near where it starts.

.. math:: x_{k+1} = \arg\min_x f_{B_k}(x) + \frac{\lambda}{2} \lVert x - x_k \rVert^2

Li, Zhang, Chen and Smola (2014), Efficient mini-batch training for stochastic optimization; Keskar et al. (2017),
appendix E.2 and Table 7, solve each subproblem by three iterations of Adam, with lambda = 1e-3.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn
from torch.optim import Optimizer

from flatmin.core.checks import positive, whole
from flatmin.training.method import Closure, Method, trainable


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

    strength: float = 1e-3
    iterations: int = 3

    name: ClassVar[str] = "conservative"

    def __post_init__(self) -> None:
        positive("strength", self.strength)
        whole("iterations", self.iterations, minimum=1)

    def step(self, network: nn.Module, optimizer: Optimizer | LightningOptimizer, closure: Closure) -> None:
        """``iterations`` steps on the loss of the batch plus the pull."""
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
