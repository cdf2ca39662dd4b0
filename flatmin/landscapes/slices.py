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

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from flatmin.core.checks import an_objective
from flatmin.core.result import Measured
from flatmin.core.vectors import cosine
from flatmin.landscapes.engines import evaluator
from flatmin.landscapes.foreign import milestones, warn_if_foreign
from flatmin.landscapes.grid import (
    Coordinates,
    Function,
    Index,
    Progress,
    Value,
    at_zero,
    coordinates,
    evaluated,
    vector,
)
from flatmin.landscapes.values import Line, Plane


def slice_1d(
    objective: Function,
    direction: Tensor,
    alphas: Coordinates,
    *,
    origin: Tensor | None = None,
    engine: str = "flatmin",
    progress: Progress = False,
    known: Mapping[Index, Value] | None = None,
) -> Line:
    r"""Loss on a line: :math:`f(\text{origin} + \alpha_i \, \text{direction})`.

    From one trained network to another use :func:`~flatmin.landscapes.path_between`, which knows the BatchNorm averages
    of both; with ``batch_norm="running"`` a line that seems to lead to another network gives a warning.

    Args:
        objective: The loss to look at: ``theta`` and ``value(theta)``, and where it has ``evaluate(theta)`` (loss
            and accuracy at once) that.
        direction: Vector like ``objective.theta``, used as it is: neither normalised nor moved.
        alphas: Coordinates, in any order and spacing.
        origin: Point at ``alpha = 0``; ``None`` means ``objective.theta``.
        engine: ``"loss-landscapes"`` has that package evaluate the same points, for comparison.
        progress: ``True`` shows a bar in the terminal; a function is called after each evaluated point with its index
            ``(i,)`` and ``(loss, accuracy)``.
        known: Points evaluated earlier, in the same form; they are not evaluated again.

    Returns:
        The coordinates, the values and their checks.

    Raises:
        TypeError: If a vector is no tensor, or the engine needs a network and the objective has none.
        ValueError: If a vector, a coordinate or a known point does not fit, or the engine is unknown.
    """
    an_objective(objective)
    start = vector("origin", objective.theta if origin is None else origin, objective.theta)
    along = _direction("direction", direction, start)

    def ray(alpha: float) -> Tensor:
        return torch.add(start, along, alpha=alpha)

    alphas = coordinates("alphas", alphas)
    warn_if_foreign(objective, (ray(alpha) - objective.theta for alpha in milestones(alphas)))
    return _along(objective, ray, alphas, engine, progress, known)


def slice_path(
    objective: Function,
    path: Callable[[float], Tensor],
    alphas: Coordinates,
    *,
    engine: str = "flatmin",
    progress: Progress = False,
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
    an_objective(objective)
    alphas = coordinates("alphas", alphas)
    stands = (vector("path(alpha)", path(alpha), objective.theta) for alpha in milestones(alphas))
    warn_if_foreign(objective, (theta - objective.theta for theta in stands))
    return _along(objective, path, alphas, engine, progress, known)


def _along(
    objective: Function,
    path: Callable[[float], Tensor],
    alphas: Tensor,
    engine: str,
    progress: Progress,
    known: Mapping[Index, Value] | None,
) -> Line:
    evaluate = evaluator(objective, engine)
    like = objective.theta

    def theta(alpha: float) -> Tensor:
        return vector("path(alpha)", path(alpha), like)

    names = getattr(objective, "metrics", ())
    values = evaluated((alphas,), lambda alpha: evaluate(theta(alpha)), progress, known, names)
    return Line(
        alphas=alphas,
        **values,
        base_loss=float(objective.value(theta(0.0))),
        center_loss=at_zero(values["loss"], alphas),
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
    progress: Progress = False,
    known: Mapping[Index, Value] | None = None,
) -> Plane:
    r"""Loss in a plane: :math:`f(\text{origin} + \alpha_i \, \text{first} + \beta_j \, \text{second})`.

    Args:
        objective: As in :func:`slice_1d`.
        directions: ``(first, second)``, used as they are: neither normalised nor made orthogonal.
        grid: ``(alphas, betas)``, each in any order and spacing.
        origin: Point at (0, 0); ``None`` means ``objective.theta``.
        engine: As in :func:`slice_1d`.
        progress: As in :func:`slice_1d`, with the index ``(i, j)``.
        known: Points evaluated earlier, in the same form; they are not evaluated again.

    Returns:
        The coordinates, the values and their checks.

    Raises:
        TypeError: As :func:`slice_1d`.
        ValueError: As :func:`slice_1d`.
    """
    an_objective(objective)
    start = vector("origin", objective.theta if origin is None else origin, objective.theta)
    first, second = (_direction(f"directions[{k}]", d, start) for k, d in enumerate(directions))
    alphas, betas = coordinates("alphas", grid[0]), coordinates("betas", grid[1])
    reach = first * float(alphas.abs().max()), second * float(betas.abs().max())
    warn_if_foreign(objective, (start - objective.theta, *reach))
    evaluate = evaluator(objective, engine)

    def point(alpha: float, beta: float) -> Value:
        return evaluate(torch.add(start, first, alpha=alpha).add_(second, alpha=beta))

    values = evaluated((alphas, betas), point, progress, known, getattr(objective, "metrics", ()))
    return Plane(
        alphas=alphas,
        betas=betas,
        **values,
        cosine=cosine(first, second),
        base_loss=float(objective.value(start)),
        center_loss=at_zero(values["loss"], alphas, betas),
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
