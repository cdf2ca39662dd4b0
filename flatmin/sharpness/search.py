r"""Looking for the highest loss in a box: where to start, how to climb, when to stop.

At a minimum the gradient is almost zero, so a climb from the centre can stop right where it began, and the value it
reports is the optimiser's, not the landscape's. The strong search climbs in two ways:

- **corner steps**, :math:`z \leftarrow w \operatorname{sign} \nabla f(z)`: conditional gradient over the box (Frank and
  Wolfe 1956), which for a quadratic is the power method in the maximum norm. On networks a dozen of them climb higher
  than L-BFGS-B does in a hundred evaluations, and where the loss is convex no step can fall. They start at the centre
  and at random points, so that an exact stationary point does not hold them;
- **L-BFGS-B** (Byrd et al. 1995) from the highest point found, for the coordinates whose maximum lies inside.

It also looks at the highest point that a separable quadratic would have, which two gradients tell. In few dimensions it
climbs by L-BFGS-B from all corners and from random points too; in hundreds, where climbs end far apart, corner steps
also start at the highest point with a fifth of its coordinates mirrored (on a trained network with p = 100 that finds
more than twice as many random starts at the same cost).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, product
from math import inf

import torch
from torch import Tensor

from flatmin.core.vectors import dot
from flatmin.sharpness.bounded_lbfgs import bounded_lbfgs
from flatmin.sharpness.box import Box

PAPER_ITERATIONS = 10
CORRECTIONS = 10
MOST_ITERATIONS = 200
STALLED_ITERATIONS = 3
SHORTENINGS = 2
CORNER_TOLERANCE = 5e-4
FEW_DIMENSIONS, MANY_DIMENSIONS = 32, 320
MIRRORINGS, MIRRORED_SHARE = 6, 0.2


@dataclass(frozen=True)
class Climb:
    """How one climb ended: the highest loss it saw, its iterations, and whether it ended before its budget did."""

    loss: float
    iterations: int
    stalled: bool


def published_search(box: Box) -> Iterator[Climb]:
    """The published search: ten iterations of L-BFGS-B from the centre."""
    yield quasi_newton(box, center(box), iterations=PAPER_ITERATIONS, tolerance=0.0)


def strong_search(box: Box, given: Iterable[Tensor], *, seed: int, tolerance: float) -> Iterator[Climb]:
    """The published search, corner steps from several starts, and L-BFGS-B from the best point of all.

    Args:
        box: What to search.
        given: Further starts, such as the worst points of smaller boxes.
        seed: Of the random starts.
        tolerance: Of the climbs by L-BFGS-B.
    """
    generator = torch.Generator().manual_seed(seed)
    yield from published_search(box)
    box.value(separable_peak(box, generator))
    for start in chain(given, starts(box, generator)):
        yield corner_steps(box, box.clipped(start.to(box.half_width)), generator)
    if box.dim <= FEW_DIMENSIONS:
        for z in scattered(box, generator):
            yield quasi_newton(box, z, iterations=MOST_ITERATIONS, tolerance=tolerance)
    yield quasi_newton(box, box.best_z, iterations=MOST_ITERATIONS, tolerance=tolerance)


def separable_peak(box: Box, generator: torch.Generator) -> Tensor:
    """Where the separable quadratic with the slopes at the centre, and at the corner they point to, is highest."""
    _, slope = box.value_and_gradient(center(box))
    corner = corner_of(box, slope, generator)
    curvature = (box.value_and_gradient(corner)[1] - slope) / corner
    return torch.where(curvature < 0, box.clipped(-slope / curvature), corner)


def corner_steps(box: Box, z: Tensor, generator: torch.Generator) -> Climb:
    """Step to the corner that the gradient points to, or less far where the whole step gains next to nothing.

    How far is where a parabola with the slopes of both ends is highest, and half the way at most.
    """
    loss, gradient = box.value_and_gradient(z)
    floor = min(loss, box.base_loss) if loss > -inf else box.base_loss
    for iteration in range(MOST_ITERATIONS):
        corner, share = corner_of(box, gradient, generator), 1.0
        way = corner - z
        ahead = dot(gradient, way)
        for _ in range(SHORTENINGS + 1):
            higher = torch.lerp(z, corner, share)
            found, slope = box.value_and_gradient(higher)
            if found - loss > CORNER_TOLERANCE * (found - floor):
                break
            behind = dot(slope, way)
            share = min(share / 2, share * ahead / (ahead - behind) if behind < ahead else share)
        else:
            return Climb(loss, iteration, stalled=True)
        loss, z, gradient = found, higher, slope
    return Climb(loss, MOST_ITERATIONS, stalled=False)


def quasi_newton(box: Box, z: Tensor, *, iterations: int, tolerance: float) -> Climb:
    """Climb by L-BFGS-B.

    Args:
        box: What to climb in.
        z: Where to start.
        iterations: Budget.
        tolerance: Ends the climb when the last three iterations gained no more than this share of its rise from its
            start or the centre, whichever is lower; 0 never does.
    """
    losses, heights = list[float](), list[float]()

    def descend(z: Tensor) -> tuple[float, Tensor]:
        """With the lowest loss so far in place of minus infinity, so that the line search comes back from there."""
        loss, gradient = box.value_and_gradient(z)
        losses.append(loss if loss > -inf else min(losses, default=box.base_loss))
        return -losses[-1], -gradient

    for _ in islice(bounded_lbfgs(descend, z, box.half_width, corrections=CORRECTIONS), iterations):
        heights.append(max(losses))
        if tolerance and len(heights) > STALLED_ITERATIONS:
            gain = heights[-1] - heights[-1 - STALLED_ITERATIONS]
            if gain <= tolerance * (heights[-1] - min(losses[0], box.base_loss)):
                break
    return Climb(max(losses), len(heights), stalled=len(heights) < iterations)


def starts(box: Box, generator: torch.Generator) -> Iterator[Tensor]:
    """Where corner steps start.

    The centre and random points halfway to a corner, more of them in few dimensions; in hundreds also the highest point
    so far with some coordinates mirrored.
    """
    yield center(box)
    for _ in range(max(1, min(FEW_DIMENSIONS, 10 * FEW_DIMENSIONS // box.dim))):
        yield 0.5 * box.half_width * signs(box, generator)
    if FEW_DIMENSIONS < box.dim <= MANY_DIMENSIONS:
        for _ in range(MIRRORINGS):
            mirrored = torch.rand(box.dim, generator=generator) < MIRRORED_SHARE
            yield torch.where(mirrored.to(box.best_z.device), -box.best_z, box.best_z)


def scattered(box: Box, generator: torch.Generator) -> Iterator[Tensor]:
    """Where L-BFGS-B starts in few dimensions: random points, and in five dimensions or less every corner."""
    for _ in range(FEW_DIMENSIONS):
        inside = 2 * torch.rand(box.dim, dtype=torch.float64, generator=generator) - 1
        yield box.half_width * inside.to(box.half_width)
    if 2**box.dim <= FEW_DIMENSIONS:
        yield from (box.half_width * torch.tensor(s).to(box.half_width) for s in product((-1.0, 1.0), repeat=box.dim))


def center(box: Box) -> Tensor:
    """The middle of the box."""
    return torch.zeros_like(box.half_width)


def corner_of(box: Box, gradient: Tensor, generator: torch.Generator) -> Tensor:
    """The corner that a gradient points to, a random one of those where it is zero."""
    flat = gradient == 0
    up = torch.where(flat, signs(box, generator), gradient.sign()) if flat.any() else gradient.sign()
    return box.half_width * up


def signs(box: Box, generator: torch.Generator) -> Tensor:
    """Random signs, the same on every device."""
    return (2 * torch.randint(2, (box.dim,), generator=generator) - 1).to(box.half_width)
