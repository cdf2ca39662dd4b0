r"""LAMB: Adam's step, made as long in each layer as the layer's weights are.

.. math::

    u = \frac{\hat m}{\sqrt{\hat v} + \epsilon} + \lambda w, \qquad
    w \leftarrow w - \gamma \frac{\phi(\lVert w \rVert)}{\lVert u \rVert} u

You et al. (2020), Large batch optimization for deep learning: training BERT in 76 minutes, algorithm 2, with the
bias-corrected moments :math:`\hat m` and :math:`\hat v` of Adam.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from flatmin.core.checks import within
from flatmin.optimizers.grouped import Grouped, Limits, adapted, evaluated, in_portions, norms


class LAMB(Grouped):
    r"""Adam whose layers each move by the share ``lr`` of their own length.

    The ratio is 1 where the weights or the step of a layer are all 0. Of other implementations, ``pytorch_optimizer``
    4.1 does by default without bias correction, clips the gradient and caps the norm of the weights at 10: its first
    step is 10 times the paper's, its twentieth still 1.2 times (F1's middle layers start at a norm near 22.6).
    ``torch_optimizer`` 0.3 with ``debias`` corrects a step that is then normalised: it moves by 0.15 to 0.32 of the
    paper's. Summaries that divide by the norm of :math:`m` instead of :math:`u` are wrong.

    Args:
        params: Parameters, or groups of them (each can have any of these settings).
        lr: :math:`\gamma`, at least 0: the share of its length that a layer moves in one step.
        betas: Of the two moments, each in [0, 1).
        eps: :math:`\epsilon`, positive.
        weight_decay: :math:`\lambda`, at least 0.
        clip: Ends between which :math:`\phi` holds the norm of the weights; ``None`` makes it the identity.
        adapt_vectors: Whether tensors of one dimension (biases, scales and shifts of normalisation) are layers too, as
            in algorithm 2. ``False`` leaves them at Adam's step without decay, as the authors' code for BERT does.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
        >>> optimizer = LAMB([weight], lr=0.1, weight_decay=0.0)
        >>> weight.grad = torch.tensor([[0.0, 2.0]])
        >>> optimizer.step()
        >>> weight.data
        tensor([[3.0000, 3.5000]])
    """

    limits: ClassVar[Mapping[str, Limits]] = {
        "lr": {"ge": 0},
        "betas": {"ge": 0, "lt": 1},
        "eps": {"gt": 0},
        "weight_decay": {"ge": 0},
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        clip: tuple[float, float] | None = None,
        adapt_vectors: bool = True,
    ) -> None:
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings | {"clip": clip, "adapt_vectors": adapt_vectors})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; those that are not given are the optimiser's.

        Raises:
            TypeError: If a number is none.
            ValueError: If it is out of range.
        """
        clip = param_group.get("clip", self.defaults["clip"])
        if clip is not None:
            low, high = clip
            within("clip", low, ge=0)
            within("clip", high, gt=low)
        super().add_param_group(param_group)

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
            for weights, slopes in in_portions(*self.moving(group)):
                steps = self._adam(group, weights, slopes)
                _lengthen(group, weights, steps)
                torch._foreach_add_(weights, steps, alpha=-group["lr"])
        return loss

    def _adam(self, group: dict[str, Any], weights: list[Tensor], slopes: list[Tensor]) -> list[Tensor]:
        """The ratio of the corrected moments."""
        states = [self._state(weight) for weight in weights]
        first, second = [state["first"] for state in states], [state["second"] for state in states]
        for state in states:
            state["step"] += 1
        beta1, beta2 = group["betas"]
        torch._foreach_lerp_(first, slopes, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, slopes, slopes, value=1 - beta2)
        corrections = [(1 - beta1 ** state["step"], 1 - beta2 ** state["step"]) for state in states]
        below = torch._foreach_sqrt(second)
        torch._foreach_mul_(below, [one / math.sqrt(two) for one, two in corrections])
        torch._foreach_add_(below, [one * group["eps"] for one, _ in corrections])
        return list(torch._foreach_div(first, below))

    def _state(self, weight: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[weight]
        if not state:
            state.update(step=0, first=torch.zeros_like(weight), second=torch.zeros_like(weight))
        return state


def _lengthen(group: dict[str, Any], weights: list[Tensor], steps: list[Tensor]) -> None:
    """Decay the steps of the layers and make them as long as their weights."""
    places = adapted(group, weights)
    if not places:
        return
    own, moves = [weights[i] for i in places], [steps[i] for i in places]
    if group["weight_decay"]:
        torch._foreach_add_(moves, own, alpha=group["weight_decay"])
    lengths, strides = norms(own), norms(moves)
    wanted = lengths if group["clip"] is None else lengths.clamp(*group["clip"])
    ratios = torch.where((lengths > 0) & (strides > 0), wanted / strides, 1.0)
    torch._foreach_mul_(moves, ratios.unbind())
