r"""A symmetric operator on a growing orthonormal basis: the process of Lanczos with full re-orthogonalisation.

After j products, :math:`H Q = Q M + \beta \, q_{j+1} e_j^\top`. All of M is kept, not the three diagonals that it has in
exact arithmetic: what else there is, rounding or an operator that is not symmetric, is part of the residuals.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.curvature.basis import Basis

FLOOR = 16
"""Rounding of a product, in units of the arithmetic times the length of the longest product so far."""


class Pairs(NamedTuple):
    """Ritz values, ascending, their vectors in the basis, (count, count), and the length of each residual."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor


class Lanczos:
    """The process; one product for each step.

    Args:
        product: The operator, from a vector (size,) to one.
        start: Where it begins; any length but 0.
        generator: Draws a new start where the vectors so far are closed under the operator.

    Raises:
        ValueError: If the start is 0 or not finite.
    """

    def __init__(self, product: Callable[[Tensor], Tensor], start: Tensor, generator: torch.Generator) -> None:
        length = float(torch.linalg.vector_norm(start, dtype=torch.float64))
        if not 0 < length < math.inf:
            raise ValueError(f"the vector to start from must be finite and not 0, got one of length {length}.")
        self._product, self._generator = product, generator
        self.basis = Basis(start)
        self._next: Tensor | None = (start.double() / length).to(start.dtype)
        self._full = torch.zeros(8, 8, dtype=torch.float64)
        self.beta = 0.0
        self.coupling = torch.zeros(0, dtype=torch.float64)
        self.products = 0
        self.scale = 0.0

    @property
    def count(self) -> int:
        """Vectors in the basis that the operator has been applied to."""
        return self.basis.count

    @property
    def matrix(self) -> Tensor:
        """M, (count, count), float64."""
        return self._full[: self.count, : self.count]

    @property
    def exhausted(self) -> bool:
        """Whether the basis spans everything."""
        return self._next is None

    @property
    def rounding(self) -> float:
        """How far products are off by the arithmetic alone."""
        return FLOOR * torch.finfo(self.basis.dtype).eps * self.scale

    def step(self) -> None:
        """One product: the basis grows by one vector.

        Raises:
            RuntimeError: If the product is not finite.
        """
        assert self._next is not None
        before = self.coupling if self.coupling.numel() else None
        vector = self._next
        image = self._product(vector)
        self.products += 1
        self.basis.append(vector)
        rest, column = self.basis.orthogonalized(image)
        beta = float(rest.norm())
        if not math.isfinite(beta):
            raise RuntimeError(
                "a product with the Hessian is not finite at this point, so its eigenvalues cannot be had; look at the "
                "loss and its gradient there."
            )
        j = self.count - 1
        self._grow()
        self._full[: j + 1, j] = column.cpu()
        if before is not None:  # the coupling of the vectors before to this one
            self._full[j, :j] = before
        self.scale = max(self.scale, math.hypot(float(column.norm()), beta))
        closed = beta <= self.rounding
        self.beta = 0.0 if closed else beta
        self.coupling = torch.zeros(self.count, dtype=torch.float64)
        self.coupling[-1] = self.beta
        self._next = self._fresh() if closed else (rest / beta).to(self.basis.dtype)

    def pairs(self) -> Pairs:
        """Ritz pairs, with residuals that owe nothing to the operator's being symmetric."""
        matrix = self.matrix
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        inside = (matrix @ vectors - vectors * values).norm(dim=0)
        return Pairs(values, vectors, torch.hypot(inside, (self.coupling @ vectors).abs()))

    def restart(self, pairs: Pairs, keep: Tensor) -> None:
        """Go on with some of the Ritz vectors and the next one alone (Wu and Simon, 2000), to save memory."""
        basis, kept = Basis(self.basis[0]), self.basis.combined(pairs.vectors[:, keep].to(self.basis.device))
        for vector in kept:
            basis.append(vector)
        self.basis = basis
        self._full = torch.diag(pairs.values[keep])
        self.coupling = self.coupling @ pairs.vectors[:, keep]

    def _fresh(self) -> Tensor | None:
        """A unit vector orthogonal to all others; ``None`` if there is none."""
        if self.count >= self.basis.size:
            return None
        for _ in range(3):
            vector = torch.randn(self.basis.size, generator=self._generator, dtype=torch.float64)
            rest, _ = self.basis.orthogonalized(vector.to(self.basis.device))
            length = float(rest.norm())
            if length > 1e-8 * math.sqrt(self.basis.size):
                return (rest / length).to(self.basis.dtype)
        return None

    def _grow(self) -> None:
        if self.count > len(self._full):
            wider = torch.zeros(2 * self.count, 2 * self.count, dtype=torch.float64)
            wider[: len(self._full), : len(self._full)] = self._full
            self._full = wider
