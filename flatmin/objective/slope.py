"""Derivatives held against differences: is the gradient the slope of the loss, the product with the Hessian its change?

A difference can be another number than the derivative where the loss has kinks. So each is taken at two steps, and only
where both agree with each other, and not with the derivative there or anywhere between, is the derivative doubted.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from flatmin.core.vectors import dot, norm

TOLERANCE = 0.05
"""Share by which a derivative may miss a difference."""
AGREEMENT = 0.02
"""Share by which two differences may miss each other to be believed."""


def doubted_gradient(
    value: Callable[[Tensor], float], slopes: Callable[[Tensor], Tensor], theta: Tensor, directions: list[Tensor]
) -> tuple[float, float] | None:
    """The slope that the gradient says and the one that the loss has, along the first direction where they differ.

    Args:
        value: The loss at a point.
        slopes: Its gradient at a point, (size,).
        theta: The point, (size,).
        directions: Unit vectors.

    Returns:
        Both slopes, or nothing where they are alike as far as can be told.
    """
    gradient = slopes(theta)
    size = norm(gradient)
    typical = size / math.sqrt(len(theta))
    for along in directions:
        said = dot(gradient, along)
        limit = 1e-3 * max(1.0, abs(value(theta))) / abs(said) if said else math.inf
        step = min(0.02 * max(1.0, norm(theta)), max(limit, 1e-3 * max(1.0, norm(theta))))
        (first, rough), (second, _) = (_slope(value, theta, along, h) for h in (step, step / 4))
        reach = max(abs(first), abs(said), typical)
        apart = min(abs(first - said), abs(second - said))
        if abs(first - second) <= AGREEMENT * reach and apart > TOLERANCE * reach + 4 * rough:
            points = (torch.add(theta, along, alpha=by * step) for by in (-1.0, -0.5, 0.5, 1.0))
            around = [said, *(dot(slopes(point), along) for point in points)]
            if not min(around) - TOLERANCE * reach <= first <= max(around) + TOLERANCE * reach:
                return said, first
        if said and _still(value, theta, along, said):
            return said, 0.0
    return None


def _still(value: Callable[[Tensor], float], theta: Tensor, along: Tensor, said: float) -> bool:
    """Whether a small step that should be felt changes nothing at all: the loss goes in steps."""
    here = value(theta)
    step = 1e3 * torch.finfo(theta.dtype).eps * max(abs(here), 1e-3) / abs(said)
    if step > 1e-3 * max(1.0, norm(theta)):
        return False
    return all(value(torch.add(theta, along, alpha=by)) == here for by in (step, -step))


def _slope(value: Callable[[Tensor], float], theta: Tensor, along: Tensor, step: float) -> tuple[float, float]:
    """A central difference, and what rounding may have done to it; no slope where it is not finite."""
    ahead, behind = (value(torch.add(theta, along, alpha=by)) for by in (step, -step))
    rounding = 10 * torch.finfo(theta.dtype).eps * (abs(ahead) + abs(behind)) / (2 * step)
    slope = (ahead - behind) / (2 * step)
    return (slope, rounding) if math.isfinite(slope) else (math.nan, math.inf)


def doubted_product(
    gradient: Callable[[Tensor], Tensor], product_at: Callable[[Tensor], Tensor], theta: Tensor, vector: Tensor
) -> bool:
    """Whether a product with the Hessian is another than the change of the gradient along the vector.

    Args:
        gradient: The gradient at a point, (size,).
        product_at: What is held to be the product at a point, (size,).
        theta: The point, (size,).
        vector: What the Hessian is multiplied with, (size,).
    """
    eps = torch.finfo(theta.dtype).eps
    step = eps ** (1 / 3) * max(1.0, norm(theta)) / norm(vector)
    product = product_at(theta).double()
    changes = []
    for h in (step, step / 4):
        ahead, behind = (gradient(torch.add(theta, vector, alpha=by)).double() for by in (h, -h))
        changes.append((ahead - behind) / (2 * h))
        rounding = 10 * eps * norm(ahead) / h
    first, second = changes
    size = max(norm(first), norm(product))
    alike = norm(first - second) <= AGREEMENT * size
    if not alike or norm(second - product) <= TOLERANCE * size + rounding:
        return False
    sides = [product_at(torch.add(theta, vector, alpha=by)).double() for by in (step / 2, -step / 2)]
    others = [*sides, (sides[0] + sides[1]) / 2]
    return all(norm(first - other) > TOLERANCE * max(size, norm(other)) + rounding for other in others)
