r"""Norms of the weights as controls: what they say without looking at the loss, a measure of sharpness should beat.

Neyshabur et al. (2015, 2018); Jiang et al. (2020).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.core.checks import an_objective
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.objective.losses import forward, scores_of
from flatmin.sharpness.folding import LINEAR, folded, inputs_of

LOUD = 1e4
"""What inputs are multiplied and divided by to see whether a network with positive weights is homogeneous."""


@dataclass(frozen=True, repr=False, kw_only=True)
class PathNorm(Measured):
    """What :func:`path_norm` found.

    Attributes:
        value: The norm.
    """

    value: float

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, repr=False, kw_only=True)
class SpectralBound(Measured):
    r"""What :func:`spectral_bound` found.

    Attributes:
        value: :math:`\prod_i |W_i|_2 \cdot (\sum_i |W_i|_F^2 / |W_i|_2^2)^{1/2}`.
        log_product: Natural logarithm of the product of the spectral norms.
        stable_ranks: The sum.
        layers: How many there are.
    """

    value: float
    log_product: float
    stable_ranks: float
    layers: int

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, repr=False, kw_only=True)
class ParameterNorm(Measured):
    """What :func:`parameter_norm` found.

    Attributes:
        value: Euclidean length.
        distance: Whether it is that from where they started.
    """

    value: float
    distance: bool

    def __float__(self) -> float:
        return self.value


def parameter_norm(objective: Any, *, start: Tensor | None = None) -> ParameterNorm:
    r"""The Euclidean length of all weights, or their distance from a start.

    Args:
        objective: Whatever has ``theta``.
        start: The weights at the start of training, (size,).

    Returns:
        The length.

    Raises:
        ValueError: If ``start`` has another shape than ``theta``.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> float(parameter_norm(QuadraticObjective([1.0, 1.0], theta=torch.tensor([3.0, 4.0]))))
        5.0
    """
    theta = an_objective(objective).theta
    if start is not None and start.shape != theta.shape:
        raise ValueError(f"`start` must have shape {tuple(theta.shape)}, got {tuple(start.shape)}.")
    length = norm(theta if start is None else theta - start.to(theta))
    return ParameterNorm(value=length, distance=start is not None, **Measured.ground(objective))


@torch.no_grad()
def path_norm(objective: Any) -> PathNorm:
    r"""The path norm: the length of the vector of all paths from an input or a bias to an output.

    .. math:: \left(\sum_{\text{paths}} \prod_{w \in \text{path}} w^2\right)^{1/2}

    The outputs of the network with all weights squared for an input of ones, added up. Neyshabur et al. (2015), with
    biases as in the code of Jiang et al. (2020); BatchNorm is folded into the layers before
    (`flatmin.sharpness.folding`). Rescaling layers or neurons of a ReLU network does not change it. Averages that the
    network takes are left as they are, of a maximum the largest path counts.

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective` of a feed-forward network of linear layers and
            convolutions with ReLU, maxima, averages and sums between them.

    Returns:
        The norm.

    Raises:
        TypeError: If ``objective`` has no network, or its inputs are no tensor of real numbers.
        ValueError: If the network has no paths: with its weights squared it is not homogeneous, such as with tanh,
            softmax or LayerNorm; or a BatchNorm cannot be folded.

    Example:
        >>> from flatmin import Objective
        >>> model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
        >>> for p, values in zip(model.parameters(), ([[3.0, 4.0]], [[2.0]]), strict=True):
        ...     p.data = torch.tensor(values)
        >>> float(path_norm(Objective(model, nn.functional.mse_loss, [(torch.ones(5, 2), torch.ones(5, 1))])))
        10.0
    """
    module, inputs = folded(objective), inputs_of(objective)[0][:1]
    for parameter in module.parameters():
        parameter.square_()
    total = _outputs(module, torch.ones_like(inputs)).sum()
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] == "bias":
            parameter.zero_()
    some = torch.linspace(0.5, 1.5, inputs.numel(), dtype=torch.float64, device=inputs.device).reshape(inputs.shape)
    positive = (_outputs(module, some) >= 0).all() and math.isfinite(float(total))
    if not (positive and _homogeneous(module, some) and _homogeneous(module, -some)):
        raise ValueError(
            "`objective` must be of a network of linear layers with ReLU, maxima, averages and sums between them: with "
            "its weights squared this one is not homogeneous, so that it has no path norm."
        )
    return PathNorm(value=math.sqrt(float(total)), **Measured.ground(objective))


@torch.no_grad()
def spectral_bound(objective: Any) -> SpectralBound:
    r"""The product of the layers' spectral norms times the root of the sum of their stable ranks.

    .. math:: \prod_i |W_i|_2 \cdot \left(\sum_i \frac{|W_i|_F^2}{|W_i|_2^2}\right)^{1/2}

    What grows with the weights in the bound of Neyshabur et al. (2018). :math:`W_i` is the matrix of a linear layer, or
    that of a convolution's filters, a row each, of groups the largest: the norm of the convolution as an operator is at
    most the root of the kernel's size larger. Biases do not count; BatchNorm is folded into the layers before
    (`flatmin.sharpness.folding`).

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective` of a network of linear layers and convolutions.

    Returns:
        The bound and what it is made of.

    Raises:
        TypeError: If ``objective`` has no network, or its inputs are no tensor of real numbers.
        ValueError: If a weight belongs to another kind of layer, or a BatchNorm cannot be folded.

    Example:
        >>> from flatmin import Objective
        >>> model = nn.Linear(2, 2, bias=False)
        >>> model.weight.data = torch.diag(torch.tensor([2.0, 1.0]))
        >>> found = spectral_bound(Objective(model, nn.functional.mse_loss, [(torch.ones(5, 2), torch.ones(5, 2))]))
        >>> round(found.value, 6), round(found.stable_ranks, 6)  # 2 * sqrt(5 / 4)
        (2.236068, 1.25)
    """
    module = folded(objective)
    layers: list[Any] = [layer for layer in module.modules() if isinstance(layer, LINEAR)]
    known = {id(layer.weight) for layer in layers}
    if odd := [name for name, p in module.named_parameters() if p.ndim > 1 and id(p) not in known]:
        raise ValueError(
            f"`objective` must be of a network of linear layers and convolutions, got a weight {odd[0]!r}."
        )
    spectral = [max(_spectral(part) for part in layer.weight.chunk(getattr(layer, "groups", 1))) for layer in layers]
    ranks = sum((norm(layer.weight) / size) ** 2 for layer, size in zip(layers, spectral, strict=True) if size > 0)
    log_product = sum(map(math.log, spectral)) if all(spectral) else -math.inf
    return SpectralBound(
        value=math.exp(min(log_product, 700.0)) * math.sqrt(ranks),
        log_product=log_product,
        stable_ranks=float(ranks),
        layers=len(layers),
        **Measured.ground(objective),
    )


def _spectral(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.flatten(1), 2))


def _homogeneous(module: nn.Module, inputs: Tensor) -> bool:
    """Whether the outputs grow as the inputs do, from where GELU and SiLU bend to where tanh has long ended."""
    middle = _outputs(module, inputs)
    slack = 1e-9 * float(middle.abs().max())
    return all(
        torch.allclose(_outputs(module, scale * inputs) / scale, middle, rtol=1e-6, atol=slack)
        for scale in (1 / LOUD, LOUD)
    )


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    found: Tensor = scores_of(forward(module, inputs))
    return found
