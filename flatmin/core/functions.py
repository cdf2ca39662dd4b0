"""Objectives that are plain functions of a vector: for known answers, and for losses that are no network."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flatmin.core.derivatives import pulled_back


class FunctionObjective:
    """Any differentiable function of a vector as an objective; derivatives by autograd.

    Args:
        function: Maps a vector (size,) to a scalar tensor.
        theta: The point that the measures start from.

    Example:
        >>> bowl = FunctionObjective(lambda t: (t**2).sum(), torch.tensor([1.0, 2.0]))
        >>> float(bowl.value()), bowl.gradient().tolist()
        (5.0, [2.0, 4.0])
    """

    def __init__(self, function: Callable[[Tensor], Tensor], theta: Tensor) -> None:
        self.function = function
        self._theta = theta.detach().clone()

    @property
    def size(self) -> int:
        """Number of entries of the vector."""
        return self._theta.numel()

    @property
    def theta(self) -> Tensor:
        """The point that the measures start from (a copy)."""
        return self._theta.clone()

    def value(self, theta: Tensor | None = None) -> Tensor:
        """The function at ``theta``."""
        return self.function(self._at(theta)).detach()

    def values(self, thetas: Tensor) -> Tensor:
        """The function at each row of ``thetas`` (k, size): (k,)."""
        values = [self.value(theta) for theta in thetas]
        return torch.stack(values) if values else self._theta.new_zeros(0)

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Value and gradient at ``theta``."""
        leaf = self._at(theta).requires_grad_()
        with torch.enable_grad():
            value = self.function(leaf)
            (gradient,) = torch.autograd.grad(value, leaf)
        return value.detach(), gradient

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient at ``theta``."""
        return self.value_and_gradient(theta)[1]

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Hessian at ``theta`` times ``vector``."""
        leaf, direction = self._at(theta).requires_grad_(), self._at(vector)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self.function(leaf), leaf, create_graph=True)
            (product,) = pulled_back([gradient], [direction], [leaf])
        return product

    def _at(self, theta: Tensor | None) -> Tensor:
        point = self._theta if theta is None else theta.detach().to(self._theta)
        if point.shape != self._theta.shape:
            raise ValueError(f"a point must have shape {tuple(self._theta.shape)}, got {tuple(point.shape)}.")
        return point.clone()


class QuadraticObjective(FunctionObjective):
    r""":math:`f(\theta) = c + b^\top \theta + \tfrac12 \theta^\top H \theta` in float64.

    Args:
        hessian: H, a symmetric matrix or the entries of a diagonal one.
        linear: b, zero by default.
        constant: c.
        theta: The point that the measures start from; the origin by default.
    """

    def __init__(
        self,
        hessian: Tensor | Sequence[float],
        *,
        linear: Tensor | None = None,
        constant: float = 0.0,
        theta: Tensor | None = None,
    ) -> None:
        given = torch.as_tensor(hessian, dtype=torch.float64)
        matrix = torch.diag(given) if given.ndim == 1 else given
        slope = torch.zeros(len(matrix), dtype=torch.float64) if linear is None else linear.double()
        start = torch.zeros_like(slope) if theta is None else theta.double()
        super().__init__(lambda t: constant + slope @ t + 0.5 * t @ matrix @ t, start)
