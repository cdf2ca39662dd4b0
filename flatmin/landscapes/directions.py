"""Directions to look along: filter-normalised random ones, and the plane through three given points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core import checks
from flatmin.core.result import Result
from flatmin.core.vectors import norm
from flatmin.landscapes.grid import Function, spaced, vector
from flatmin.objective.filters import like_filters


def filter_normalized(objective: Function, seed: int = 0, *, theta: Tensor | None = None) -> Tensor:
    r"""Random direction in which every filter is as long as the network's own filter.

    .. math:: d_{ij} \leftarrow d_{ij} \, \frac{\|\theta_{ij}\|}{\|d_{ij}\|}, \qquad d \sim N(0, I)

    Filter j of layer i is all that makes one output channel: a row of a linear layer, a kernel of a convolution, what
    leads to one channel in a transposed one (:attr:`~flatmin.objective.objective.Objective.transposed`). Parameters of
    at most one dimension (biases, the scale and shift of BatchNorm) get 0, as in the published figures. Li et al.
    (2018), section 4. The draw is made on the CPU by its own generator, so one seed gives one direction on every
    device and leaves the global generator alone; norms are summed in float64.

    Args:
        objective: Tells the parameters apart by its ``shapes`` (name to shape); one without ``shapes``, a plain
            function of a vector, counts as a single filter.
        seed: Seed of the draw.
        theta: Weights whose norms are taken; ``None`` means ``objective.theta``.

    Returns:
        The direction, a vector like ``theta``.

    Raises:
        TypeError: If ``seed`` is not an int.
        ValueError: If ``seed`` is negative or has more than 32 bits, or ``theta`` does not fit the objective.
    """
    generator = torch.Generator().manual_seed(checks.seed_of("seed", seed))
    checks.an_objective(objective)
    theta = objective.theta if theta is None else vector("theta", theta, objective.theta)
    noise = torch.randn(theta.numel(), dtype=torch.float64, generator=generator)
    return like_filters(objective, noise, theta)


@dataclass(frozen=True, eq=False, repr=False)
class ThreePointPlane(Result):
    """A plane through three points, with an orthonormal basis.

    Attributes:
        origin: The first point.
        axes: Two orthonormal directions; the first leads from the first point to the second.
        coordinates: Where the three points lie in the plane, (3, 2), float64 on the CPU: (0, 0), (a, 0), (b, c)
            with a and c positive.
    """

    origin: Tensor
    axes: tuple[Tensor, Tensor]
    coordinates: Tensor
    long = ("origin", "axes")

    def rows(self) -> dict[str, Any]:
        """A row a point."""
        alphas, betas = self.coordinates.numpy().T
        return {"point": ["first", "second", "third"], "alpha": alphas, "beta": betas}

    def grid(self, points: int = 21, margin: float = 0.2) -> tuple[Tensor, Tensor]:
        """Coordinates that enclose the three points, for :func:`~flatmin.landscapes.slice_2d`.

        Args:
            points: Coordinates of either axis, at least 2.
            margin: How far they go beyond the three points on each side, as a share of their larger extent.

        Returns:
            ``(alphas, betas)``, float64 on the CPU, in the unit of the weights.

        Raises:
            TypeError: If ``points`` is not whole, or ``margin`` no number.
            ValueError: If ``points`` is below 2, or ``margin`` negative or not finite.
        """
        checks.whole("points", points, minimum=2)
        margin = checks.within("margin", margin, ge=0.0)
        low, high = self.coordinates.amin(0), self.coordinates.amax(0)
        room = margin * (high - low).max()
        first, second = zip((low - room).tolist(), (high + room).tolist(), strict=True)
        return spaced(*first, points), spaced(*second, points)

    def marks(self, first: str = "first", second: str = "second", third: str = "third") -> dict[str, Any]:
        """Names of the three points and where they lie, for ``plot(marks=)`` of the plane sliced here."""
        places = ((alpha, beta) for alpha, beta in self.coordinates.tolist())
        return dict(zip((first, second, third), places, strict=True))

    def words(self) -> Iterator[str]:
        """Where the points lie."""
        points = (f"({alpha:.4g}, {beta:.4g})" for alpha, beta in self.coordinates.tolist())
        yield f"three points of {self.origin.numel():,} weights at {', '.join(points)}"


def plane_through(first: Tensor, second: Tensor, third: Tensor) -> ThreePointPlane:
    """The plane through three weight vectors, say the start of training and the two minima it led to.

    Unlike a plane spanned by the differences themselves it has right angles and the unit of the weights, so
    distances in the picture are distances in weight space.

    Args:
        first: Becomes the origin.
        second: Lies on the first axis.
        third: Lies above the first axis.

    Returns:
        Origin, axes and the coordinates of the three points.

    Raises:
        ValueError: If the points differ in shape or lie on one line.

    Example:
        >>> plane = plane_through(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([3.0, 0.0, 1.0]),
        ...                       torch.tensor([1.0, 2.0, 1.0]))
        >>> plane.marks("start", "small batch", "large batch")
        {'start': (0.0, 0.0), 'small batch': (3.0, 0.0), 'large batch': (1.0, 2.0)}
        >>> [axis.tolist() for axis in plane.grid(points=3, margin=0.5)]  # slice_2d(..., plane.axes, plane.grid(), ...)
        [[-1.5, 1.5, 4.5], [-1.5, 1.0, 3.5]]
    """
    if not (first.ndim == 1 and first.shape == second.shape == third.shape):
        shapes = ", ".join(str(tuple(point.shape)) for point in (first, second, third))
        raise ValueError(f"the three points must be vectors of one length, got shapes {shapes}.")
    to_second, to_third = second.double() - first.double(), third.double() - first.double()
    width, reach = norm(to_second), norm(to_third)
    if not width:
        raise ValueError("`second` must differ from `first`: two equal points span no plane.")
    across = to_second / width
    shift = float(across @ to_third)
    rest = to_third - shift * across
    height = norm(rest)
    if height <= 1e-6 * reach:
        raise ValueError("the three points lie on one line and span no plane; slice the line with slice_1d.")
    axes = (across.to(first), (rest / height).to(first))
    coordinates = torch.tensor([[0, 0], [width, 0], [shift, height]], dtype=torch.float64)
    return ThreePointPlane(first, axes, coordinates)
