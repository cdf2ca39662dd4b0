r"""The quadratic model of a loss in the box of the sharpness, and what its sharpest directions alone make of the box.

With :math:`|d_i| \le w_i` the model :math:`g^\top d + \tfrac12 d^\top H d` is largest at a corner where H is positive
semi-definite; of :math:`2^n` corners the best cannot be found for sure. Both searches here climb and never fall.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.core.vectors import dot

MOST = 50
FLOOR = 4
"""Rounding of an entry, in units of the arithmetic times the largest entry."""
GAIN = 1e-3
"""Share of its value by which a climb must rise to go on."""


class Highest(NamedTuple):
    """The highest value of the model that a climb found, where, and how many products with H it took."""

    value: float
    point: Tensor
    products: int


def highest_in_box(
    product: Callable[[Tensor], Tensor], gradient: Tensor, half_width: Tensor, start: Tensor, products: int = 8
) -> Highest:
    r"""Climb the model in the box: to the corner that its slope points to, or to the highest point on the way there.

    This is the method of Frank and Wolfe (1956) with an exact step; one product with H each.

    Args:
        product: H times a vector.
        gradient: g, (size,).
        half_width: w, (size,).
        start: In the box, (size,).
        products: At most so many.
    """
    here, bent = start, product(start)
    value, spent = dot(gradient, here) + dot(here, bent) / 2, 1
    while spent < products:
        slope = gradient + bent
        way = half_width * torch.sign(slope) - here
        turned = product(way)
        spent += 1
        up, curve = dot(slope, way), dot(way, turned)
        step = 1.0 if curve >= 0 else min(1.0, -up / curve)
        gain = step * up + step * step * curve / 2
        if not gain > GAIN * abs(value):
            break
        here, bent, value = torch.add(here, way, alpha=step), torch.add(bent, turned, alpha=step), value + gain
    return Highest(value, here, spent)


def corners_of_spans(values: Tensor, vectors: Tensor, half_width: Tensor) -> Iterator[tuple[Tensor, float]]:
    r"""For each k a corner of the box at which :math:`\tfrac12 \sum_{i \le k} \lambda_i (u_i^\top d)^2` is high.

    For k = 1 it is the maximum, :math:`d = w \, \mathrm{sign}\, u_1`. Beyond, :math:`d \leftarrow w \, \mathrm{sign}
    \sum_i \lambda_i (u_i^\top d) u_i` never falls; it starts from the corner of k - 1 and from that of :math:`u_k`
    alone, so that the value does not fall with k either. Negative eigenvalues have no part in it.

    Args:
        values: Eigenvalues, (k,).
        vectors: Unit eigenvectors, (k, size).
        half_width: w, (size,).

    Yields:
        The corner, and the value of the sum there.
    """
    bends = values.clamp(min=0).to(half_width)
    best: Tensor | None = None
    for last in range(len(values)):
        span, bend = vectors[: last + 1], bends[: last + 1]
        starts = [half_width * signs(vectors[last]), *([] if best is None else [best])]
        best, value = max((_climbed(span, bend, half_width, start) for start in starts), key=lambda found: found[1])
        yield best, value


def signs(vector: Tensor) -> Tensor:
    """The sign of each entry; 0 where it is no more than rounding beside the largest."""
    noise = FLOOR * torch.finfo(vector.dtype).eps * vector.abs().max()
    return torch.where(vector.abs() > noise, torch.sign(vector), 0.0)


def _climbed(span: Tensor, bends: Tensor, half_width: Tensor, corner: Tensor) -> tuple[Tensor, float]:
    for _ in range(MOST):
        slope = (bends * torch.mv(span, corner)) @ span
        way = signs(slope)
        following = torch.where(way == 0, corner, half_width * way)
        if torch.equal(following, corner):
            break
        corner = following
    along = torch.tensor([dot(vector, corner) for vector in span], dtype=torch.float64)
    return corner, float((bends.cpu().double() * along.square()).sum() / 2)
