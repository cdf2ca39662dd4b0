"""Evaluate an objective on a grid of points, so that a long grid can be stopped and taken up again."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Protocol

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from flatmin.core.progress import steps_shown

Coordinates = Tensor | ArrayLike
Index = tuple[int, ...]
Value = tuple[float, ...]
"""Loss, accuracy and what else an objective counts at a point."""
Progress = bool | Callable[[Index, Value], object] | None


class Function(Protocol):
    """What a slice asks of an objective: a function of a flat vector, and the point where it stands."""

    @property
    def theta(self) -> Tensor:
        """The point where the function stands, a vector."""
        ...

    def value(self, theta: Tensor) -> Tensor:
        """The function at ``theta``, a 0-dim tensor."""
        ...


def evaluated(
    axes: tuple[Tensor, ...],
    point: Callable[..., Value],
    progress: Progress,
    known: Mapping[Index, Value] | None,
    metrics: Sequence[str],
) -> dict[str, Any]:
    """Losses, accuracies and metrics on the grid of ``axes``: those known are taken, the others evaluated in row order.

    Raises:
        ValueError: If a known point does not lie on the grid, or holds another number of values.
    """
    shape = tuple(len(axis) for axis in axes)
    known = _on_grid(shape, known or {})
    values = torch.empty((2 + len(metrics), *shape), dtype=torch.float64)
    for index, value in known.items():
        if len(value) != len(values):
            raise ValueError(f"`known` must hold {len(values)} numbers a point, got {len(value)} at {index}.")
    told = progress if callable(progress) else None
    with steps_shown("slice", math.prod(shape) - len(known), shown=progress is True) as advance:
        for index in product(*map(range, shape)):
            value = known.get(index, ())
            if not value:
                value = point(*(float(axis[i]) for axis, i in zip(axes, index, strict=True)))
                if told is not None:
                    told(index, value)
                advance()
            for column, number in zip(values, value, strict=True):
                column[index] = number
    found = tuple(zip(metrics, values[2:].clone(), strict=True))
    return {"loss": values[0].clone(), "accuracy": values[1].clone(), "metrics": found}


def _on_grid(shape: Index, known: Mapping[Index, Value]) -> dict[Index, Value]:
    """A copy of ``known`` if all its points lie on a grid of this shape.

    Raises:
        ValueError: If a point does not.
    """
    for index in known:
        if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
            grid = " x ".join(map(str, shape))
            raise ValueError(f"`known` must lie on the grid of {grid} points, got index {index}.")
    return dict(known)


def at_zero(loss: Tensor, *axes: Tensor) -> float:
    """The value where all coordinates are 0 up to rounding, NaN if the grid has no such point."""
    index = tuple(int(axis.abs().argmin()) for axis in axes)
    found = all(abs(float(axis[i])) < 1e-7 for axis, i in zip(axes, index, strict=True))
    return float(loss[index]) if found else math.nan


def coordinates(name: str, values: Coordinates) -> Tensor:
    """Return ``values`` as a float64 vector on the CPU.

    Raises:
        ValueError: If they are no list of finite numbers, or empty.
    """
    numbers = torch.as_tensor(values, dtype=torch.float64).detach().cpu().clone()
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"`{name}` must be a list of numbers, got shape {tuple(numbers.shape)}.")
    if not numbers.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got {numbers.tolist()}.")
    return numbers


def spaced(low: float, high: float, points: int) -> Tensor:
    """Equally spaced coordinates, exact at 0 where they pass it."""
    axis = torch.linspace(low, high, points, dtype=torch.float64)
    return torch.where(axis.abs() < 1e-12 * (high - low), 0.0, axis)


def vector(name: str, value: Tensor, like: Tensor) -> Tensor:
    """Return ``value`` in the dtype and on the device of ``like`` if it is a finite vector of the same length.

    Raises:
        TypeError: If ``value`` is not a tensor.
        ValueError: If its shape is another, or an entry is not finite.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` must be a tensor, got {type(value).__name__}.")
    if value.shape != like.shape:
        raise ValueError(f"`{name}` must have shape {tuple(like.shape)}, got {tuple(value.shape)}.")
    if not value.sum().isfinite() and (count := int((~value.isfinite()).sum())):
        raise ValueError(f"`{name}` must be finite, got {count} NaN or infinite entries.")
    return value.detach().to(like)
