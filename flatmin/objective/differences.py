"""Products with the Hessian by differences of the gradient, where torch has no second derivative."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.core.vectors import norm


class Difference(NamedTuple):
    """A product with the Hessian and, if it was asked for, how far it is off, relative to its own length."""

    product: Tensor
    error: float


def product_by_differences(
    gradient: Callable[[Tensor], Tensor], theta: Tensor, vector: Tensor, *, check: bool = False
) -> Difference:
    r"""Central difference of the gradient along a vector.

    .. math:: H v \approx \frac{g(\theta + h v) - g(\theta - h v)}{2 h}, \qquad
              h = \sqrt[3]{u} \, \frac{\max(1, \|\theta\|)}{\|v\|}

    with u the resolution of the arithmetic. The error is a third of the distance to the same at 2 h, which it would be
    if only the third derivative mattered, and more where rounding does.

    Args:
        gradient: The gradient at a point, (size,).
        theta: The point, (size,).
        vector: v, (size,).
        check: Take four gradients for two, to know the error.

    Returns:
        The product and its relative error, NaN if it was not asked for.
    """
    length = norm(vector)
    if not length:
        return Difference(torch.zeros_like(theta), 0.0)
    step = torch.finfo(theta.dtype).eps ** (1 / 3) * max(1.0, norm(theta)) / length
    product = _difference(gradient, theta, vector, step)
    if not check:
        return Difference(product, float("nan"))
    wider = _difference(gradient, theta, vector, 2 * step)
    size = norm(product)
    return Difference(product, norm(product - wider) / 3 / size if size else 0.0)


def _difference(gradient: Callable[[Tensor], Tensor], theta: Tensor, vector: Tensor, step: float) -> Tensor:
    ahead = gradient(torch.add(theta, vector, alpha=step)).double()
    behind = gradient(torch.add(theta, vector, alpha=-step)).double()
    return ((ahead - behind) / (2 * step)).to(theta.dtype)
