r"""Gradients of many batches at once, and how they scatter about the gradient of all examples.

With :math:`\Sigma` the covariance of the gradients of the N single examples, the gradient of B examples drawn with
replacement has the variance :math:`\mathrm{tr}(\Sigma) / B`; drawn without, :math:`\mathrm{tr}(\Sigma) / B \cdot
(N - B) / (N - 1)`, the factor of a finite population. Variance is :math:`E |g_B - G|^2`, over all weights.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from flatmin.data.batches import Pair

ROOM = 2**23
"""Numbers that the gradients computed at once may take."""


@dataclass(frozen=True)
class Scatter:
    """How the gradients of drawn batches scatter.

    Attributes:
        variance: Mean squared distance to the gradient of all examples.
        standard_error: Of it, from the spread over the draws.
        draws: How many.
    """

    variance: float
    standard_error: float
    draws: int


def gradients(network: nn.Module, data: Pair, chosen: Tensor) -> Iterator[Tensor]:
    """The gradients of the mean cross-entropy of many batches, some at a time.

    Args:
        network: Not changed; without BatchNorm, so that examples do not depend on each other.
        data: All examples.
        chosen: Which of them are in each batch, (K, B).

    Yields:
        Their gradients, (k, size), float64.
    """
    weights = {name: weight.detach() for name, weight in network.named_parameters()}

    def loss(weights: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(functional_call(network, weights, (inputs,)), targets)

    each = vmap(grad(loss), in_dims=(None, 0, 0))
    size = sum(weight.numel() for weight in weights.values())
    wide = chosen.shape[1] * (data.inputs[0].numel() + math.isqrt(size))
    for part in torch.split(chosen, max(1, ROOM // (size + wide))):
        found = each(weights, data.inputs[part], data.targets[part])
        yield torch.cat([found[name].reshape(len(part), -1) for name in weights], dim=1).double()


def drawn(examples: int, size: int, draws: int, *, replacement: bool, generator: torch.Generator) -> Tensor:
    """Batches of ``size`` out of so many examples, (draws, size): each drawn anew, its own examples once or freely."""
    if replacement:
        return torch.randint(examples, (draws, size), generator=generator)
    return torch.stack([torch.randperm(examples, generator=generator)[:size] for _ in range(draws)])


def scatter(network: nn.Module, data: Pair, chosen: Tensor, center: Tensor) -> Scatter:
    """How the gradients of the batches ``chosen`` scatter about ``center``, the gradient of all examples."""
    squares = torch.cat([(part - center).square().sum(1) for part in gradients(network, data, chosen)])
    error = float(squares.std()) / math.sqrt(len(squares)) if len(squares) > 1 else math.nan
    return Scatter(float(squares.mean()), error, len(squares))


def center_and_spread(network: nn.Module, data: Pair) -> tuple[Tensor, float]:
    """The gradient of all examples, (size,), and tr(Sigma), from the gradient of each single one."""
    single = torch.arange(len(data.targets), device=data.targets.device)[:, None]
    center = torch.stack([part.sum(0) for part in gradients(network, data, single)]).sum(0) / len(single)
    return center, scatter(network, data, single, center).variance


def finite_population(examples: int, size: int) -> float:
    """By which factor batches drawn without replacement scatter less.

    Example:
        >>> finite_population(100, 1), finite_population(100, 100)
        (1.0, 0.0)
    """
    return (examples - size) / (examples - 1)
