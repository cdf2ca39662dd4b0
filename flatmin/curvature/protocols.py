"""What curvature asks of an objective."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from flatmin.core.checks import an_objective
from flatmin.core.result import Measured

ASYMMETRIC = 1e-4
"""Asymmetry above what rounding makes of a Hessian."""


class Curved(Protocol):
    """A function of a vector that can be differentiated twice."""

    @property
    def theta(self) -> Tensor:
        """Where it stands, (size,)."""
        ...

    @property
    def size(self) -> int:
        """Number of weights."""
        ...

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the Hessian with a vector, (size,)."""
        ...


class Graded(Curved, Protocol):
    """And whose value and gradient can be had."""

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar."""
        ...

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and gradient, (size,)."""
        ...


def curved(objective: Any) -> Any:
    """Return the objective if it has products with its Hessian.

    Raises:
        TypeError: If it has none, or does not say how many weights it has.
    """
    kind = type(an_objective(objective)).__name__
    if not hasattr(objective, "hvp"):
        raise TypeError(f"`objective` must have products with its Hessian, hvp(vector, theta), got {kind}.")
    if not hasattr(objective, "size"):
        raise TypeError(f"`objective` must have the number of its weights as `size`, got {kind} without.")
    return objective


def point_of(objective: Curved, theta: Any = None) -> Tensor:
    """Where to look, (size,), in the arithmetic of the objective and where that is; where it stands by default.

    Raises:
        TypeError: If the objective stands at no vector of floats.
        ValueError: If ``theta`` does not fit.
    """
    own = objective.theta
    if not isinstance(own, Tensor) or not own.is_floating_point():
        kind = str(own.dtype).removeprefix("torch.") if isinstance(own, Tensor) else type(own).__name__
        raise TypeError(f"`objective` must have a tensor of floats as `theta`, got {kind}.")
    name, at = ("objective.theta", own) if theta is None else ("theta", torch.as_tensor(theta).to(own))
    if at.shape != (objective.size,):
        raise ValueError(f"`{name}` must have shape ({objective.size},), got {tuple(at.shape)}.")
    return at.detach()


def product_of(objective: Curved, at: Tensor) -> Callable[[Tensor], Tensor]:
    """The product of the Hessian at a point with a vector, as a function of the vector.

    Raises:
        ValueError: If a product has another shape than the point.
    """

    def product(vector: Tensor) -> Tensor:
        image = objective.hvp(vector, at)
        if not isinstance(image, Tensor) or image.shape != at.shape:
            found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise ValueError(f"`objective.hvp` must return a tensor of shape {tuple(at.shape)}, got {found}.")
        return image.detach()

    return product


def asymmetry_of(matrix: Tensor) -> float:
    r""":math:`\|M - M^\top\|_F / \|M\|_F`; 0 for a matrix of zeros."""
    length = float(matrix.norm())
    return float((matrix - matrix.T).norm()) / length if length else 0.0


def ground_of(objective: Any, asymmetry: float) -> dict[str, Any]:
    """What the objective says of itself, and that its products are no symmetric matrix's where they are not."""
    ground = Measured.ground(objective)
    if asymmetry > ASYMMETRIC:
        said = (
            f"products with the Hessian are not symmetric, by {asymmetry:.2g} of their length: the second derivative "
            "is wrong or too rough (finite differences want float64), and no error here counts that."
        )
        ground["cautions"] = (*ground["cautions"], said)
    return ground
