r"""The function that a worst-case sharpness maximises: the loss over a ball around theta.

Points are :math:`\theta + \delta(u)` with :math:`\|u\|_p \le \rho`; mostly :math:`\delta(u) = c \circ u`. Steps,
projections and the test of a maximum are taken in u, where the ball is round whatever c is: with :math:`c = |\theta|` a
search visits the same functions after an element-wise rescaling of the weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from flatmin.core.errors import NotFinite
from flatmin.core.precision import RESOLVED
from flatmin.core.vectors import dot, norm


def _to_the_sphere(vector: Tensor) -> Tensor:
    length = norm(vector)
    return vector / length if length else vector


def _absolute_sum(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, ord=1, dtype=torch.float64))


def _onto_the_ball(u: Tensor, rho: float) -> Tensor:
    return u * min(1.0, rho / length) if (length := norm(u)) else u


@dataclass(frozen=True)
class Norm:
    """A norm of perturbations, by what a search asks of it.

    Attributes:
        steepest: Of all vectors of norm 1 the one that goes furthest along a slope; zero for a slope of zero.
        dual: How far it goes.
        projected: The nearest point of the ball of a radius.
        reach: The longest perturbation of a ball of radius 1, from c.
    """

    steepest: Callable[[Tensor], Tensor]
    dual: Callable[[Tensor], float]
    projected: Callable[[Tensor, float], Tensor]
    reach: Callable[[Tensor], float]


NORMS = {
    "l2": Norm(_to_the_sphere, norm, _onto_the_ball, lambda c: float(c.max())),
    "linf": Norm(torch.sign, _absolute_sum, lambda u, rho: u.clamp(-rho, rho), norm),
}


class Paths(Protocol):
    """How u leads from theta to a point of the ball."""

    def perturbation(self, u: Tensor) -> Tensor:
        """What is added to the weights."""
        ...

    def pulled(self, u: Tensor, gradient: Tensor) -> Tensor:
        """The gradient in u, from that in the weights at the point."""
        ...

    def admissible(self, u: Tensor) -> Tensor:
        """The nearest u that is one."""
        ...

    def reach(self, norm: Norm) -> float:
        """The longest perturbation of a small ball, by its radius."""
        ...


class Straight:
    """Straight lines of their own scale in each weight.

    Args:
        scale: c, (size,).
    """

    def __init__(self, scale: Tensor) -> None:
        self.scale = scale

    def perturbation(self, u: Tensor) -> Tensor:
        """C u."""
        return self.scale * u

    def pulled(self, u: Tensor, gradient: Tensor) -> Tensor:
        """C times the gradient, wherever u is."""
        return self.scale * gradient

    def admissible(self, u: Tensor) -> Tensor:
        """Every u is."""
        return u

    def reach(self, norm: Norm) -> float:
        """That of the norm."""
        return norm.reach(self.scale)


@dataclass(frozen=True)
class Peak:
    """The highest point of a search.

    Attributes:
        loss: Its loss.
        u: Where it is.
        slope: Gradient in u there.
    """

    loss: float
    u: Tensor
    slope: Tensor


@dataclass
class Ball:
    """The loss in a ball; remembers the highest point that it has seen, and the slope there.

    Points whose loss is NaN are passed over (and counted): they are no maximum.

    Attributes:
        objective: The loss.
        theta: The middle.
        paths: From u to the points.
        rho: The radius.
        norm: Of u.
        base_loss: Loss at theta.
        base_slope: Gradient in u there.
        highest: The highest point seen, theta included.
        evaluations: Losses computed with their gradients, the one at theta included.
        not_a_number: Those that were NaN.
    """

    objective: Any
    theta: Tensor
    paths: Paths
    rho: float
    norm: Norm
    base_loss: float
    base_slope: Tensor
    evaluations: int = 1
    not_a_number: int = 0
    highest: Peak = field(init=False)

    @classmethod
    def around(cls, objective: Any, paths: Paths, *, rho: float, norm: str) -> Self:
        """The ball around where an objective stands.

        Raises:
            NotFinite: If the loss there is not finite.
        """
        theta = objective.theta
        loss, gradient = objective.value_and_gradient(theta)
        if not math.isfinite(loss):
            raise NotFinite(f"the loss at theta must be finite, got {float(loss)}.")
        slope = paths.pulled(torch.zeros_like(theta), gradient)
        return cls(objective, theta, paths, rho, NORMS[norm], float(loss), slope)

    def __post_init__(self) -> None:
        self.highest = Peak(self.base_loss, torch.zeros_like(self.theta), self.base_slope)

    def value_and_slope(self, u: Tensor) -> tuple[float, Tensor]:
        """Loss and its gradient in u; minus infinity and zeros where it is NaN."""
        value, gradient = self.objective.value_and_gradient(self.theta + self.paths.perturbation(u))
        loss, slope = float(value), self.paths.pulled(u, torch.nan_to_num(gradient))
        self.evaluations += 1
        if math.isnan(loss):
            self.not_a_number += 1
            return -math.inf, torch.zeros_like(slope)
        if loss > self.highest.loss:
            self.highest = Peak(loss, u, slope)
        return loss, slope

    def random_point(self, generator: torch.Generator) -> Tensor:
        """A point inside, in a random direction; the same on every device."""
        direction = torch.randn(self.theta.shape, generator=generator, dtype=torch.float64).to(self.theta)
        return self.rho / 2 * self.norm.steepest(self.paths.admissible(direction))

    def left_to_gain(self, peak: Peak) -> float:
        """How far the tangent plane at a point rises within the ball: 0 at a maximum, and of a concave loss a bound."""
        return max(self.rho * self.norm.dual(peak.slope) - dot(peak.slope, peak.u), 0.0)

    @property
    def resolved(self) -> bool:
        """Whether the arithmetic tells the points of the ball apart, and the highest loss from that at theta."""
        unit = RESOLVED * torch.finfo(self.theta.dtype).eps
        wide = self.rho * self.paths.reach(self.norm) >= unit * norm(self.theta)
        return wide and not 0 < self.highest.loss - self.base_loss < unit * abs(self.base_loss)
