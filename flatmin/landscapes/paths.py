"""Paths between two networks, and whose BatchNorm statistics hold on the way.

Two trained networks bring two sets of running averages, and a point between them has none of its own. Using those
of one end everywhere is wrong at the other end: between two trained F1 networks with losses 0.0016 and 0.0017 it
reports 6.24 at the far end. So that choice is refused, and three remain:

- ``batch_norm="batch"``: each batch is normalised by its own mean and variance, as in Keskar et al.'s own code;
- ``batch_norm="reestimate"``: by those of all the data at the point at hand;
- interpolated: the running averages move on a straight line in alpha. In that example the middle of the line then
  stands at 2.15, against 1.29 for the other two; beyond the ends a variance can come out negative: such points are
  NaN and counted.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from flatmin.core.checks import one_of
from flatmin.landscapes.grid import Coordinates, Index, Progress, Value, vector
from flatmin.landscapes.slices import slice_path
from flatmin.landscapes.values import Line
from flatmin.objective.evaluation import Evaluation
from flatmin.objective.objective import Objective


def linear_path(first: Tensor, second: Tensor) -> Callable[[float], Tensor]:
    r"""The straight line :math:`(1 - \alpha) \, x_1 + \alpha \, x_2`. Keskar et al. (2017), Figure 3.

    Args:
        first: Weights at ``alpha = 0`` (small batch, in the figure).
        second: Weights at ``alpha = 1`` (large batch).

    Returns:
        The weights as a function of alpha, in the dtype and on the device of ``first``.

    Raises:
        ValueError: If the two differ in shape.

    Example:
        >>> linear_path(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0]))(0.25).tolist()
        [0.5, 1.0]
    """
    second = vector("second", second, first)
    return lambda alpha: (1 - alpha) * first + alpha * second


def curved_path(first: Tensor, second: Tensor) -> Callable[[float], Tensor]:
    r"""The arc :math:`\cos(\alpha \pi / 2) \, x_1 + \sin(\alpha \pi / 2) \, x_2`. Keskar et al. (2017), Figure 7.

    At ``alpha = -1`` and ``2`` it passes the networks with all signs flipped.

    Args:
        first: Weights at ``alpha = 0`` (small batch, in the figure).
        second: Weights at ``alpha = 1`` (large batch).

    Returns:
        The weights as a function of alpha, in the dtype and on the device of ``first``.

    Raises:
        ValueError: If the two differ in shape.
    """
    second = vector("second", second, first)
    return lambda alpha: math.cos(alpha * math.pi / 2) * first + math.sin(alpha * math.pi / 2) * second


CURVES = {"linear": linear_path, "curved": curved_path}


def path_between(
    first: Objective,
    second: Objective,
    alphas: Coordinates,
    *,
    curve: str = "linear",
    interpolate_batch_norm: bool = False,
    engine: str = "flatmin",
    progress: Progress = False,
    known: Mapping[Index, Value] | None = None,
) -> Line:
    """Loss and accuracy on the path from one trained network to another.

    Args:
        first: The network at ``alpha = 0``; the losses are taken over its batches.
        second: The network at ``alpha = 1``; only its weights and statistics are used.
        alphas: Coordinates, in any order and spacing; the paper has 25 from -1 to 2.
        curve: ``"linear"`` or ``"curved"``.
        interpolate_batch_norm: Move the running averages linearly in alpha; both objectives read ``"running"``.
        engine: As in :func:`~flatmin.landscapes.slices.slice_1d`.
        progress: As in :func:`~flatmin.landscapes.slices.slice_1d`.
        known: As in :func:`~flatmin.landscapes.slices.slice_1d`.

    Returns:
        The line; its ``batch_norm`` is that of the objectives, or ``"interpolated"``.

    Raises:
        ValueError: If the networks do not fit each other, the curve is unknown, or the BatchNorm statistics of one
            end would be used at the other.
    """
    along = CURVES[one_of("curve", curve, CURVES)]
    _check_pair(first, second, interpolate_batch_norm)
    weights = along(first.theta, second.theta)
    if not interpolate_batch_norm:
        return slice_path(first, weights, alphas, engine=engine, progress=progress, known=known)
    statistics = linear_path(first.statistics, second.statistics)

    def path(alpha: float) -> Tensor:
        return torch.cat([weights(alpha), statistics(alpha)])

    return slice_path(_WithStatistics(first), path, alphas, engine=engine, progress=progress, known=known)


class _WithStatistics:
    """An objective as a function of its weights and its BatchNorm statistics, joined to one vector."""

    batch_norm = "interpolated"

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.theta = torch.cat([objective.theta, objective.statistics])

    def value(self, theta: Tensor) -> Tensor:
        weights, statistics = theta.tensor_split([self.objective.size])
        return self.objective.with_statistics(statistics).value(weights)

    def evaluate(self, theta: Tensor) -> Evaluation:
        weights, statistics = theta.tensor_split([self.objective.size])
        return self.objective.with_statistics(statistics).evaluate(weights)


def _check_pair(first: Objective, second: Objective, interpolate_batch_norm: bool) -> None:
    """Refuse a pair of networks that has no honest path.

    Raises:
        ValueError: If parameters or ``batch_norm`` differ, or if, with BatchNorm, ``interpolate_batch_norm`` is set for
            another reading than ``"running"`` or not set for that one.
    """
    if first.shapes != second.shapes:
        raise ValueError("`first` and `second` must have the same parameters, got two different networks.")
    if first.batch_norm != second.batch_norm:
        readings = f"{first.batch_norm!r} and {second.batch_norm!r}"
        raise ValueError(f"`first` and `second` must have the same `batch_norm`, got {readings}.")
    if not first.has_batch_norm:
        return
    if interpolate_batch_norm and first.batch_norm != "running":
        raise ValueError(f"`interpolate_batch_norm` needs batch_norm='running', got {first.batch_norm!r}.")
    if first.batch_norm == "running" and not interpolate_batch_norm:
        raise ValueError(
            "batch_norm='running' would use the averages of `first` at `second`; build both objectives with "
            "batch_norm='batch' or 'reestimate', or pass interpolate_batch_norm=True."
        )
