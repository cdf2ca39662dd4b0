"""What curvature asks of an objective."""

from typing import Any, Protocol

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
        TypeError: If it has none.
    """
    if not hasattr(an_objective(objective), "hvp"):
        kind = type(objective).__name__
        raise TypeError(f"`objective` must have products with its Hessian, hvp(vector, theta), got {kind}.")
    return objective
