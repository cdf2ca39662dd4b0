"""Slices of a loss through weight space: its values on a line, on a path or on a grid in a plane.

Every slice holds the coordinates that were evaluated, no others, and carries its own checks: the loss at the
origin taken apart from the grid, the grid's value there, how many values are not finite (they stay NaN or
infinite) and, for a plane, the cosine of its axes.

A long slice can be stopped and taken up again: collect the points as they come and hand them back.

>>> from flatmin.core.functions import QuadraticObjective
>>> bowl, direction, done = QuadraticObjective([2.0, 2.0]), torch.tensor([1.0, 0.0]), {}
>>> slice_1d(bowl, direction, [-1, 0, 2], progress=done.__setitem__).loss.tolist()
[1.0, 0.0, 4.0]
>>> sorted(done)
[(0,), (1,), (2,)]
>>> slice_1d(bowl, direction, [-1, 0, 2], known=done).loss.tolist()  # evaluates only the origin, as a check
[1.0, 0.0, 4.0]
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.result import Measured, between
from flatmin.core.vectors import cosine
from flatmin.landscapes.engines import evaluator
from flatmin.landscapes.grid import Coordinates, Function, Index, Value, at_zero, coordinates, evaluated, vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAME = 1e-3
"""How far the two values at the origin may lie apart without a word, as a share."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Slice(Measured):
    """What a line and a plane have in common.

    Attributes:
        loss: Loss at each point, float64 on the CPU; NaN and infinity are kept.
        accuracy: Share of right answers, of the same shape; NaN where the objective cannot tell.
        base_loss: ``objective.value`` at the origin (all coordinates 0), evaluated apart from the slice.
        center_loss: The slice's own value there, NaN if the origin is not among its points.
        engine: What evaluated the points, ``"flatmin"`` or ``"loss-landscapes"``.
    """

    loss: Tensor
    accuracy: Tensor
    base_loss: float
    center_loss: float
    engine: str

    @property
    def non_finite(self) -> int:
        """How many losses are NaN or infinite."""
        return int((~self.loss.isfinite()).sum())

    def to_record(self) -> dict[str, Any]:
        """All fields and ``non_finite`` as lists, numbers and strings, for JSON."""
        return super().to_record() | {"non_finite": self.non_finite}

    def words(self) -> Iterator[str]:
        """Points, range of the loss, what is not finite, what it was taken on."""
        yield self.extent()
        yield f"loss {between(self.loss)}, {self.base_loss:.5g} at the origin"
        if abs(self.center_loss - self.base_loss) > SAME * abs(self.base_loss):
            yield f"NOT THE SAME there within the slice: {self.center_loss:.5g}"
        if self.non_finite:
            yield f"{self.non_finite:,} of {self.loss.numel():,} losses NOT FINITE"
        if self.accuracy.isfinite().any():
            yield f"accuracy {between(self.accuracy, '.1%')}"
        yield from self.grounds()
        if self.engine != "flatmin":
            yield f"engine={self.engine!r}"

    def extent(self) -> str:
        """Number of points and range of the coordinates, in words."""
        return f"{self.loss.numel():,} points"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Line(Slice):
    """Values along a line or a path: ``loss[i]`` belongs to ``alphas[i]`` (float64 on the CPU)."""

    alphas: Tensor

    def rows(self) -> dict[str, Any]:
        """A row a point."""
        return {"alpha": self.alphas.numpy(), "loss": self.loss.numpy(), "accuracy": self.accuracy.numpy()}

    def extent(self) -> str:
        """Number of points and range of the coordinate, in words."""
        return f"{len(self.alphas):,} points, alpha {between(self.alphas)}"

    def plot(
        self, ax: "Axes | None" = None, *, quantity: str = "loss", label: str | None = None, **look: Any
    ) -> "Axes":
        """Draw the line; several can share an axis.

        Losses that are not finite are gaps with a cross at the top. Beyond 20 the axis is logarithmic above 1, which
        its label says.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            quantity: ``"loss"`` or ``"accuracy"`` (in per cent).
            label: Its name in the legend; ``"train"`` is drawn solid and ``"test"`` dashed, others in turn.
            **look: As of ``Axes.plot``, such as ``color``.

        Returns:
            The axis.

        Raises:
            ValueError: If there is no such quantity.
            ResultsError: If no loss is finite.

        Example:
            >>> from flatmin.core.functions import QuadraticObjective
            >>> line = slice_1d(QuadraticObjective([1.0]), torch.ones(1), [-1, 0, 1])
            >>> line.plot(label="bowl").get_ylabel()
            'loss'
        """
        from flatmin.figures import own_lines

        return own_lines.line(self.to_frame(), ax, quantity=quantity, label=label, **look)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Plane(Slice):
    """Values on a grid: ``loss[i, j]`` belongs to ``alphas[i]`` and ``betas[j]``, ``cosine`` to the two axes."""

    alphas: Tensor
    betas: Tensor
    cosine: float

    def rows(self) -> dict[str, Any]:
        """A row a cell, the betas of one alpha together."""
        names = {"alpha": self.alphas.repeat_interleave(len(self.betas)), "beta": self.betas.repeat(len(self.alphas))}
        numbers = {**names, "loss": self.loss.flatten(), "accuracy": self.accuracy.flatten()}
        return {name: column.numpy() for name, column in numbers.items()}

    def extent(self) -> str:
        """Number of points, ranges of the coordinates and the angle of the axes, in words."""
        grid = f"{len(self.alphas)} x {len(self.betas)} points"
        return f"{grid}, alpha {between(self.alphas)}, beta {between(self.betas)}, cosine of the axes {self.cosine:.2g}"

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        surface: bool = False,
        limits: "tuple[float, float] | Plane | None" = None,
        title: str = "",
    ) -> "Axes":
        """Draw the plane as filled contours, or as a surface; colours are logarithmic where no loss is negative.

        Cells that are not finite are hatched (in a surface open), and counted below. To compare two planes, draw them
        by :func:`flatmin.plot_side_by_side`.

        Args:
            ax: Where to draw, for a surface made with ``projection="3d"``; ``None`` makes a figure of pyplot.
            surface: Draw a surface.
            limits: Lowest and highest loss of the colours, or another plane whose they are; ``None`` takes its own.
            title: What stands above it.

        Returns:
            The axis.

        Raises:
            ValueError: If the axis or the limits do not fit, or the plane has one row or column.
            ResultsError: If no loss is finite.
        """
        from flatmin.figures import own_planes

        if isinstance(limits, Plane):
            finite = limits.loss[limits.loss.isfinite()]
            limits = (float(finite.min()), float(finite.max())) if len(finite) else None
        return own_planes.plane(self.to_frame(), ax, surface=surface, limits=limits, title=title)


def slice_1d(
    objective: Function,
    direction: Tensor,
    alphas: Coordinates,
    *,
    origin: Tensor | None = None,
    engine: str = "flatmin",
    progress: Callable[[Index, Value], object] | None = None,
    known: Mapping[Index, Value] | None = None,
) -> Line:
    r"""Loss on a line: :math:`f(\text{origin} + \alpha_i \, \text{direction})`.

    Args:
        objective: The loss to look at: ``theta`` and ``value(theta)``, and where it has ``evaluate(theta)`` (loss
            and accuracy at once) that.
        direction: Vector like ``objective.theta``, used as it is: neither normalised nor moved.
        alphas: Coordinates, in any order and spacing.
        origin: Point at ``alpha = 0``; ``None`` means ``objective.theta``.
        engine: ``"loss-landscapes"`` has that package evaluate the same points, for comparison.
        progress: Called after each evaluated point with its index ``(i,)`` and ``(loss, accuracy)``.
        known: Points evaluated earlier, in the same form; they are not evaluated again.

    Returns:
        The coordinates, the values and their checks.

    Raises:
        TypeError: If a vector is no tensor, or the engine needs a network and the objective has none.
        ValueError: If a vector, a coordinate or a known point does not fit, or the engine is unknown.
    """
    start = vector("origin", objective.theta if origin is None else origin, objective.theta)
    along = _direction("direction", direction, start)

    def ray(alpha: float) -> Tensor:
        return torch.add(start, along, alpha=alpha)

    return slice_path(objective, ray, alphas, engine=engine, progress=progress, known=known)


def slice_path(
    objective: Function,
    path: Callable[[float], Tensor],
    alphas: Coordinates,
    *,
    engine: str = "flatmin",
    progress: Callable[[Index, Value], object] | None = None,
    known: Mapping[Index, Value] | None = None,
) -> Line:
    r"""Loss on a path of any shape: :math:`f(\text{path}(\alpha_i))`; the origin is ``path(0.0)``.

    Args:
        objective: As in :func:`slice_1d`.
        path: Gives the weights at a coordinate.
        alphas: As in :func:`slice_1d`.
        engine: As in :func:`slice_1d`.
        progress: As in :func:`slice_1d`.
        known: As in :func:`slice_1d`.

    Returns:
        The coordinates, the values and their checks.

    Raises:
        TypeError: As :func:`slice_1d`.
        ValueError: As :func:`slice_1d`.
    """
    alphas = coordinates("alphas", alphas)
    evaluate = evaluator(objective, engine)
    like = objective.theta

    def theta(alpha: float) -> Tensor:
        return vector("path(alpha)", path(alpha), like)

    loss, accuracy = evaluated((alphas,), lambda alpha: evaluate(theta(alpha)), progress, known)
    return Line(
        alphas=alphas,
        loss=loss,
        accuracy=accuracy,
        base_loss=float(objective.value(theta(0.0))),
        center_loss=at_zero(loss, alphas),
        engine=engine,
        **Measured.ground(objective),
    )


def slice_2d(
    objective: Function,
    directions: tuple[Tensor, Tensor],
    grid: tuple[Coordinates, Coordinates],
    *,
    origin: Tensor | None = None,
    engine: str = "flatmin",
    progress: Callable[[Index, Value], object] | None = None,
    known: Mapping[Index, Value] | None = None,
) -> Plane:
    r"""Loss in a plane: :math:`f(\text{origin} + \alpha_i \, \text{first} + \beta_j \, \text{second})`.

    Args:
        objective: As in :func:`slice_1d`.
        directions: ``(first, second)``, used as they are: neither normalised nor made orthogonal.
        grid: ``(alphas, betas)``, each in any order and spacing.
        origin: Point at (0, 0); ``None`` means ``objective.theta``.
        engine: As in :func:`slice_1d`.
        progress: Called after each evaluated point with its index ``(i, j)`` and ``(loss, accuracy)``.
        known: Points evaluated earlier, in the same form; they are not evaluated again.

    Returns:
        The coordinates, the values and their checks.

    Raises:
        TypeError: As :func:`slice_1d`.
        ValueError: As :func:`slice_1d`.
    """
    start = vector("origin", objective.theta if origin is None else origin, objective.theta)
    first, second = (_direction(f"directions[{k}]", d, start) for k, d in enumerate(directions))
    alphas, betas = coordinates("alphas", grid[0]), coordinates("betas", grid[1])
    evaluate = evaluator(objective, engine)

    def point(alpha: float, beta: float) -> Value:
        return evaluate(torch.add(start, first, alpha=alpha).add_(second, alpha=beta))

    loss, accuracy = evaluated((alphas, betas), point, progress, known)
    return Plane(
        alphas=alphas,
        betas=betas,
        loss=loss,
        accuracy=accuracy,
        cosine=cosine(first, second),
        base_loss=float(objective.value(start)),
        center_loss=at_zero(loss, alphas, betas),
        engine=engine,
        **Measured.ground(objective),
    )


def _direction(name: str, value: Tensor, like: Tensor) -> Tensor:
    """Return ``value`` as a vector like ``like`` if it leads anywhere.

    Raises:
        TypeError: If it is not a tensor.
        ValueError: If its shape is another, an entry is not finite, or all are zero.
    """
    direction = vector(name, value, like)
    if not direction.any():
        raise ValueError(f"`{name}` must not be zero everywhere: the whole slice would be its origin.")
    return direction
