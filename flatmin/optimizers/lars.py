r"""LARS: each layer has a rate of its own, in proportion to the norm of its weights over that of their gradient.

.. math::

    \lambda = \frac{\eta \lVert w \rVert}{\lVert g \rVert + \beta \lVert w \rVert}, \qquad
    v \leftarrow m v + \gamma \lambda (g + \beta w), \qquad w \leftarrow w - v

You, Gitman and Ginsburg (2017), Large batch training of convolutional networks, algorithm 1, with the global rate
:math:`\gamma`, the trust :math:`\eta` and the weight decay :math:`\beta`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from flatmin.optimizers.grouped import Grouped, Limits, adapted, evaluated, norms


class LARS(Grouped):
    r"""SGD with momentum whose layers move by a like share of their own length, whatever the size of their gradients.

    The rate stands inside the velocity, as in the paper: what was gathered at one rate stays as it was when a schedule
    changes the rate. ``pytorch_optimizer`` 4.1 multiplies the whole velocity by the rate of the moment, which is the
    same only as long as the rate is constant, and leaves a changed gradient behind; before 4.1 it started the velocity
    with a gradient that was not scaled. Some prints of the paper have :math:`\beta \lVert g \rVert` in the
    denominator, a misprint.

    Where the weights of a layer are all 0 the formula leaves them there for good, and where the denominator is 0 it
    says nothing: in both cases the layer takes the global rate, :math:`\lambda = 1`, as other implementations do. That
    is some 1,000 times the rate of its neighbours: start a layer from something other than 0, or put it into a group of
    a smaller ``lr``.

    Args:
        params: Parameters, or groups of them (each can have any of these settings).
        lr: Global rate :math:`\gamma`, at least 0; large, since ``trust`` is small: 1 to 30 with large batches.
        momentum: m, in [0, 1).
        weight_decay: :math:`\beta`, at least 0; the paper has 5e-4.
        trust: :math:`\eta`, positive.
        adapt_vectors: Whether tensors of one dimension (biases, scales and shifts of normalisation) have a rate of
            their own and decay too. By default they do neither, as is usual, and take the global rate.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
        >>> optimizer = LARS([weight], lr=1.0, trust=0.1)
        >>> weight.grad = torch.tensor([[0.0, 2.0]])
        >>> optimizer.step()
        >>> weight.data
        tensor([[3.0000, 3.5000]])
    """

    limits: ClassVar[Mapping[str, Limits]] = {
        "lr": {"ge": 0},
        "momentum": {"ge": 0, "lt": 1},
        "weight_decay": {"ge": 0},
        "trust": {"gt": 0},
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
        *,
        adapt_vectors: bool = False,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        super().__init__(params, settings | {"adapt_vectors": adapt_vectors})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step.

        Args:
            closure: Computes the gradients and returns the loss; ``None`` takes the gradients there are.

        Returns:
            What the closure returns.

        Raises:
            RuntimeError: If a gradient is sparse or a weight complex.
        """
        loss = evaluated(closure)
        for group in self.param_groups:
            weights, slopes = self.moving(group)
            if not weights:
                continue
            velocities, rates = [self._velocity(weight) for weight in weights], _local(group, weights, slopes)
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcmul_(velocities, slopes, rates, value=group["lr"])
            if places := adapted(group, weights) if group["weight_decay"] else []:
                own, decayed, shares = ([found[i] for i in places] for found in (weights, velocities, rates))
                torch._foreach_addcmul_(decayed, own, shares, value=group["lr"] * group["weight_decay"])
            torch._foreach_sub_(weights, velocities)
        return loss

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def _local(group: dict[str, Any], weights: list[Tensor], slopes: list[Tensor]) -> list[Tensor]:
    """The local rate of each tensor, a scalar of its kind; 1 of those that have none of their own."""
    places, found = adapted(group, weights), [weight.new_ones(()) for weight in weights]
    if places:
        lengths = norms([weights[i] for i in places])
        below = norms([slopes[i] for i in places]) + group["weight_decay"] * lengths
        rates = torch.where((lengths > 0) & (below > 0), group["trust"] * lengths / below, 1.0)
        for i, rate in zip(places, rates, strict=True):
            found[i] = rate.to(weights[i].dtype)
    return found
