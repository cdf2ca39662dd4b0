"""What curvature asks of an objective."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from flatmin.core.checks import an_objective


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
