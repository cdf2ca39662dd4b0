"""The function that sharpness maximises: the loss over a box around theta, with a count of what it cost."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from flatmin.sharpness.subspace import FullSpace, RandomSubspace


class Unbounded(Exception):
    """The loss is infinite at a point of the box: nothing higher is left to look for."""


@dataclass
class Box:
    r"""The loss at :math:`\theta + A z` for :math:`|z_i| \le w_i`; remembers the highest point it has seen.

    Points whose loss is NaN are passed over (and counted): they are no maximum. A loss of infinity is remembered, then
    raises :class:`Unbounded`. Attributes are ``half_width`` (w,
    float64), ``best_loss`` and ``best_z``, ``evaluations`` (losses with or without gradient) and ``not_a_number``.
    """

    objective: Any
    space: FullSpace | RandomSubspace
    theta: Tensor
    epsilon: float
    base_loss: float
    evaluations: int = 0
    not_a_number: int = 0
    half_width: Tensor = field(init=False)
    best_loss: float = field(init=False)
    best_z: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.half_width = self.epsilon * (self.space.coordinates(self.theta).abs() + 1)
        self.best_loss = self.base_loss
        self.best_z = torch.zeros_like(self.half_width)

    @property
    def dim(self) -> int:
        """Number of coordinates of the box."""
        return self.space.dim

    def clipped(self, z: Tensor) -> Tensor:
        """The nearest point of the box."""
        return torch.minimum(torch.maximum(z, -self.half_width), self.half_width)

    def value_and_gradient(self, z: Tensor) -> tuple[float, Tensor]:
        """Loss and its gradient in z (float64) at a point of the box; minus infinity and zeros where it is NaN."""
        value, gradient = self.objective.value_and_gradient(self._point(z))
        loss = self._seen(float(value), z)
        slope = self.space.transpose(gradient).double()
        return loss, torch.nan_to_num(slope) if loss > -torch.inf else torch.zeros_like(z)

    def value(self, z: Tensor) -> float:
        """Loss at a point of the box; minus infinity where it is NaN."""
        return self._seen(float(self.objective.value(self._point(z))), z)

    def at_bound(self, z: Tensor) -> float:
        """Share of coordinates that lie on the bound."""
        return float((z.abs() >= self.half_width * (1 - 1e-9)).double().mean())

    def _point(self, z: Tensor) -> Tensor:
        return self.theta + self.space.forward(z.to(self.theta.dtype))

    def _seen(self, loss: float, z: Tensor) -> float:
        self.evaluations += 1
        if loss != loss:
            self.not_a_number += 1
            return -torch.inf
        if loss > self.best_loss:
            self.best_loss, self.best_z = loss, z.clone()
            if math.isinf(loss):
                raise Unbounded
        return loss
