"""The function that sharpness maximises: the loss over a box around theta, with a count of what it cost."""

import math
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from flatmin.core.checks import one_of, positive, seed_of
from flatmin.core.errors import NotFinite
from flatmin.core.precision import resolves
from flatmin.sharpness.subspace import DISTRIBUTIONS, FullSpace, RandomSubspace, Shares

BOXES = ("published", "relative")


class Unbounded(Exception):
    """The loss is infinite at a point of the box: nothing higher is left to look for."""


@dataclass
class Box:
    r"""The loss at :math:`\theta + A z` for :math:`|z_i| \le w_i`; remembers the highest point it has seen.

    Points whose loss is NaN are passed over (and counted): they are no maximum. A loss of infinity is remembered, then
    raises :class:`Unbounded`. z, w and gradients have the dtype of theta.

    Attributes:
        objective: The loss.
        space: The columns of A.
        theta: The middle of the box.
        epsilon: Its relative half-width.
        base_loss: Loss at theta.
        evaluations: Losses computed, with or without gradient, the one at theta included.
        not_a_number: Those that were NaN.
        half_width: w, (dim,).
        best_loss: The highest loss seen.
        best_z: Where.
        rises: Each loss that was the highest so far, after how many evaluations; the first is the one at theta.
    """

    objective: Any
    space: FullSpace | Shares | RandomSubspace
    theta: Tensor
    epsilon: float
    base_loss: float
    evaluations: int = 1
    not_a_number: int = 0
    half_width: Tensor = field(init=False)
    best_loss: float = field(init=False)
    best_z: Tensor = field(init=False)
    rises: list[tuple[int, float]] = field(init=False)

    @classmethod
    def around(
        cls,
        objective: Any,
        point: Tensor,
        *,
        epsilon: float,
        subspace_dim: int | None,
        distribution: str,
        seed: int,
        box: str = "published",
    ) -> Self:
        """The box of :func:`~flatmin.sharpness.epsilon_sharpness`, after the same checks.

        Raises:
            TypeError: If a number is of the wrong kind.
            ValueError: If ``epsilon`` is not positive, ``subspace_dim`` out of range, a name unknown, or the box
                relative in a subspace.
            NotFinite: If the loss at the point is not finite, or not above -1.
        """
        positive("epsilon", epsilon)
        one_of("distribution", distribution, DISTRIBUTIONS)
        one_of("box", box, BOXES)
        seed_of("seed", seed)
        if box == "relative" and subspace_dim is not None:
            raise ValueError(
                "`box` must be 'published' in a random subspace, whose coordinates are no shares of weights."
            )
        base_loss = float(objective.value(point))
        if not -1 < base_loss < math.inf:
            raise NotFinite(f"the loss at theta must be finite and above -1, got {base_loss}: see the formula.")
        space: FullSpace | Shares | RandomSubspace
        if subspace_dim is not None:
            space = RandomSubspace(point, subspace_dim, seed=seed, distribution=distribution)
        else:
            space = Shares(point) if box == "relative" else FullSpace(point)
        return cls(objective, space, point, float(epsilon), base_loss)

    def __post_init__(self) -> None:
        self.half_width = (self.epsilon * self.space.widths(self.theta)).to(self.theta.dtype)
        self.best_loss = self.base_loss
        self.best_z = torch.zeros_like(self.half_width)
        self.rises = [(self.evaluations, self.base_loss)]

    def sharpness(self, loss: float) -> float:
        """The rise from the loss at theta to ``loss`` in per cent of 1 + the loss at theta."""
        return 100 * (loss - self.base_loss) / (1 + self.base_loss)

    @property
    def resolved(self) -> bool:
        """Whether the box is wide enough for the dtype of the weights to tell its points and their losses apart."""
        return resolves(self.epsilon, self.theta.dtype)

    @property
    def dim(self) -> int:
        """Number of coordinates of the box."""
        return self.space.dim

    def clipped(self, z: Tensor) -> Tensor:
        """The nearest point of the box."""
        return torch.clamp(z, -self.half_width, self.half_width)

    def value_and_gradient(self, z: Tensor) -> tuple[float, Tensor]:
        """Loss and its gradient in z at a point of the box; minus infinity and zeros where it is NaN."""
        value, gradient = self.objective.value_and_gradient(self._point(z))
        loss = self._seen(float(value), z)
        slope = self.space.transpose(gradient)
        return loss, torch.nan_to_num(slope) if loss > -torch.inf else torch.zeros_like(z)

    def value(self, z: Tensor) -> float:
        """Loss at a point of the box; minus infinity where it is NaN."""
        return self._seen(float(self.objective.value(self._point(z))), z)

    def at_bound(self, z: Tensor) -> float:
        """Share of coordinates that lie on the bound, to a millionth."""
        return int((z.abs() >= self.half_width * (1 - 1e-6)).sum()) / self.dim

    def _point(self, z: Tensor) -> Tensor:
        return self.theta + self.space.forward(z.to(self.theta.dtype))

    def _seen(self, loss: float, z: Tensor) -> float:
        self.evaluations += 1
        if loss != loss:
            self.not_a_number += 1
            return -torch.inf
        if loss > self.best_loss:
            self.best_loss, self.best_z = loss, z.clone()
            self.rises.append((self.evaluations, loss))
            if math.isinf(loss):
                raise Unbounded
        return loss
