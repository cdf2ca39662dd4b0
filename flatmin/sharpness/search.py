"""Looking for the highest loss in a box: where to start, how to climb, when to stop.

Climbing is SciPy's L-BFGS-B (Byrd et al. 1995). At a minimum the gradient is almost zero, so a climb from the centre can
stop right where it began, and the value it reports is the optimiser's, not the landscape's. The strong search therefore
starts far from the centre too:

- at the corner that the gradient points to (exact where the loss is linear or separable and convex);
- at corners found by a step of the l-infinity power method from a random corner, :math:`\\operatorname{sign} \\nabla
  f(z)`, which follows the curvature where the gradient tells nothing;
- in few dimensions at all corners and at random points, and then coordinate by coordinate at the opposite bound.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, OptimizeResult, minimize
from torch import Tensor

from flatmin.sharpness.box import Box

Vector = NDArray[np.float64]

PAPER_ITERATIONS = 10
CORRECTIONS = 10
MOST_ITERATIONS = 200
STALLED_ITERATIONS = 3
FEW_DIMENSIONS = 32
SCALES = (1.0, 0.5, 0.25)


class Climb:
    """How one climb ended.

    Attributes:
        loss: Highest loss it saw.
        iterations: Iterations of L-BFGS-B.
        stalled: Whether it ended because it gained nothing more, not because its budget was spent.
    """

    def __init__(self, loss: float, iterations: int, stalled: bool) -> None:
        self.loss, self.iterations, self.stalled = loss, iterations, stalled


def climb(box: Box, start: Tensor, *, iterations: int, tolerance: float, relative: bool) -> Climb:
    """Climb from ``start`` by L-BFGS-B with all of SciPy's own tolerances set to 0.

    Args:
        box: What to climb in.
        start: A point of the box, (dim,) float64.
        iterations: Budget.
        tolerance: Ends the climb when the last three iterations gained less than this share of its rise; 0 never does.
        relative: Measure each coordinate in units of its half-width (better conditioned) rather than as it is.
    """
    unit = box.half_width if relative else torch.ones_like(box.half_width)
    limit = (box.half_width / unit).cpu().numpy()
    heights: list[float] = []
    best = -np.inf

    def descend(x: Vector) -> tuple[float, Vector]:
        nonlocal best
        point = torch.from_numpy(np.array(x)).to(unit)
        loss, gradient = box.value_and_gradient(box.clipped(point * unit))
        best = max(best, loss)
        return -loss, -(gradient * unit).cpu().numpy()

    def watch(intermediate_result: OptimizeResult) -> None:
        heights.append(best)
        if len(heights) > STALLED_ITERATIONS:
            gain = heights[-1] - heights[-1 - STALLED_ITERATIONS]
            if gain <= tolerance * (heights[-1] - box.base_loss):
                raise StopIteration

    options = {"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": CORRECTIONS, "ftol": 0.0, "gtol": 0.0}
    minimize(
        descend,
        (start / unit).cpu().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(-limit, limit),
        options=options,
        callback=watch if tolerance else lambda intermediate_result: heights.append(best),
    )
    return Climb(best, len(heights), len(heights) < iterations)


def paper_search(box: Box) -> list[Climb]:
    """The search as published: ten iterations from the centre."""
    center = torch.zeros_like(box.half_width)
    return [climb(box, center, iterations=PAPER_ITERATIONS, tolerance=0.0, relative=False)]


def strong_search(box: Box, given: list[Tensor], *, seed: int, tolerance: float) -> list[Climb]:
    """The published search and a climb from each of several starts until it stalls.

    Args:
        box: What to search.
        given: Further starts, such as the worst points of smaller boxes.
        seed: Of the random starts.
        tolerance: See :func:`climb`.
    """
    climbs = paper_search(box)
    for start in starts(box, given, seed):
        climbs.append(climb(box, start, iterations=MOST_ITERATIONS, tolerance=tolerance, relative=True))
    if box.dim <= FEW_DIMENSIONS:
        flip(box)
    climbs.append(climb(box, box.best_z, iterations=MOST_ITERATIONS, tolerance=tolerance**1.5, relative=True))
    return climbs


def starts(box: Box, given: list[Tensor], seed: int) -> Iterator[Tensor]:
    """The starts of the strong search, each found when it is asked for."""
    generator = torch.Generator().manual_seed(seed)
    yield from (box.clipped(z.to(box.half_width)) for z in given)
    yield along(box, corner(box, torch.zeros_like(box.half_width), generator))
    for _ in range(max(1, 10 * FEW_DIMENSIONS // box.dim) if box.dim > 5 else 0):
        yield along(box, corner(box, 0.5 * box.half_width * signs(box, generator), generator))
    if box.dim <= 5:
        yield from (box.half_width * torch.tensor(s).to(box.half_width) for s in product((-1.0, 1.0), repeat=box.dim))
    if box.dim <= FEW_DIMENSIONS:
        for _ in range(FEW_DIMENSIONS):
            inside = 2 * torch.rand(box.dim, dtype=torch.float64, generator=generator) - 1
            yield box.half_width * inside.to(box.half_width)


def signs(box: Box, generator: torch.Generator) -> Tensor:
    """Random signs, the same on every device."""
    return (2 * torch.randint(2, (box.dim,), generator=generator) - 1).to(box.half_width)


def corner(box: Box, z: Tensor, generator: torch.Generator) -> Tensor:
    """The corner that the gradient at ``z`` points to, random where it is zero."""
    _, gradient = box.value_and_gradient(z)
    return box.half_width * torch.where(gradient == 0, signs(box, generator), gradient.sign())


def along(box: Box, vertex: Tensor) -> Tensor:
    """The highest of a few points between the centre and a corner."""
    return max((scale * vertex for scale in SCALES), key=box.value)


def flip(box: Box) -> None:
    """Send single coordinates of the best point to either bound, for as long as that climbs."""
    improved = True
    while improved:
        before = box.best_loss
        for i, sign in product(range(box.dim), (-1.0, 1.0)):
            z = box.best_z.clone()
            z[i] = sign * box.half_width[i]
            box.value(z)
        improved = box.best_loss > before + 1e-12 * abs(before)


