r"""A symmetric operator on a growing orthonormal basis: the process of Lanczos with full re-orthogonalisation.

After j products, :math:`H Q = Q M + \beta \, q_{j+1} e_j^\top`. All of M is kept, not the three diagonals that it has
in exact arithmetic: what else there is, rounding or an operator that is not symmetric, is part of the residuals.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.core.errors import NotFinite
from flatmin.core.vectors import norm
from flatmin.curvature.basis import Basis

FLOOR = 16
"""Rounding of a product, in units of the arithmetic times the length of the longest product so far."""


class Pairs(NamedTuple):
    """Ritz values, ascending, their vectors in the basis, (count, count), and the length of each residual.

    ``inside`` is that of the operator kept away from what is locked: the rest is the error of the locked vectors.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    inside: Tensor


class Lanczos:
    """The process; one product for each step.

    Args:
        product: The operator, from a vector (size,) to one.
        start: Where it begins; any length but 0.
        generator: Draws a new start where the vectors so far are closed under the operator.
        locked: Orthonormal vectors (any, size) that the process keeps away from.
        longest: Length of the longest product that is known from before, which rounding is a matter of: beside locked
            eigenvectors there may be nothing else left.

    Attributes:
        products: How often the operator has been applied.
        longest: Length of the longest product so far.

    Raises:
        ValueError: If the start is 0 or not finite.
    """

    def __init__(
        self,
        product: Callable[[Tensor], Tensor],
        start: Tensor,
        generator: torch.Generator,
        locked: Tensor | None = None,
        longest: float = 0.0,
    ) -> None:
        if not 0 < norm(start) < math.inf:
            raise ValueError(f"the vector to start from must be finite and not 0, got one of length {norm(start)}.")
        self._product, self._generator = product, generator
        self._basis = Basis(start)
        for vector in () if locked is None else locked:
            self._basis.append(vector)
        self._locked = self._basis.count
        self._full = torch.zeros(8, 8, dtype=torch.float64)
        self._coupling = torch.zeros(0, dtype=torch.float64)
        self.longest = longest
        self.products = 0
        rest, _ = self._basis.orthogonalized(start)
        length = float(rest.norm())
        self._next = (rest / length).to(start.dtype) if length > 1e-6 * norm(start) else self._fresh()

    @property
    def count(self) -> int:
        """Vectors that the operator has been restricted to."""
        return self._basis.count - self._locked

    @property
    def matrix(self) -> Tensor:
        """M, symmetric but for rounding, (count, count), float64."""
        return self._full[self._locked : self._basis.count, self._locked : self._basis.count]

    @property
    def beta(self) -> float:
        """How far the operator leads out of the basis."""
        return float(self._coupling[-1]) if len(self._coupling) else math.nan

    @property
    def exhausted(self) -> bool:
        """Whether the basis spans everything."""
        return self._next is None

    @property
    def rounding(self) -> float:
        """How far products are off by the arithmetic alone."""
        return FLOOR * torch.finfo(self._basis.dtype).eps * self.longest

    def step(self) -> None:
        """One product: the basis grows by one vector.

        Raises:
            NotFinite: If the product is not finite.
        """
        assert self._next is not None
        image = self._product(self._next)
        self.products += 1
        self._basis.append(self._next)
        rest, column = self._basis.orthogonalized(image)
        beta = float(rest.norm())
        if not math.isfinite(beta):
            raise NotFinite(
                "a product with the Hessian is not finite at this point, so its eigenvalues cannot be had; look at the "
                "loss and its gradient there."
            )
        last = self._basis.count - 1
        self._grow()
        self._full[: last + 1, last] = column.cpu()
        self._full[last, self._locked : last] = self._coupling
        self.longest = max(self.longest, math.hypot(float(column.norm()), beta))
        closed = beta <= self.rounding
        self._coupling = torch.zeros(self.count, dtype=torch.float64)
        self._coupling[-1] = 0.0 if closed else beta
        self._next = self._fresh() if closed else (rest / beta).to(self._basis.dtype)

    def pairs(self) -> Pairs:
        """Ritz pairs, with residuals that owe nothing to the operator's being symmetric."""
        matrix, leak = self.matrix, self._leak
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        inside = torch.hypot((matrix @ vectors - vectors * values).norm(dim=0), (self._coupling @ vectors).abs())
        return Pairs(values, vectors, torch.hypot(inside, (leak @ vectors).norm(dim=0)), inside)

    def vectors(self, weights: Tensor) -> Tensor:
        """Combinations of the basis, one for each column of ``weights`` (count, k): (k, size)."""
        away = torch.zeros(self._locked, weights.shape[1], dtype=torch.float64)
        return self._basis.combined(torch.cat([away, weights]).to(self._basis.device))

    def images(self, weights: Tensor) -> Tensor:
        """The operator applied to them, from the products that there were, (k, size) float64; not after a restart."""
        inside = self.vectors(self.matrix @ weights).double()
        if self._next is None:
            return inside
        return inside + torch.outer((self._coupling @ weights).to(inside.device), self._next.double())

    def away(self, vector: Tensor) -> Tensor:
        """What of a vector is orthogonal to the basis, (size,) float64."""
        return self._basis.orthogonalized(vector)[0]

    def restart(self, pairs: Pairs, keep: Tensor) -> None:
        """Go on with some of the Ritz vectors and the next one alone (Wu and Simon, 2000), to save memory."""
        kept, leak = pairs.vectors[:, keep], self._leak @ pairs.vectors[:, keep]
        basis = Basis(self._basis[0])
        for vector in (*(self._basis[row] for row in range(self._locked)), *self.vectors(kept)):
            basis.append(vector)
        self._basis = basis
        self._full = torch.zeros(2 * basis.count, 2 * basis.count, dtype=torch.float64)
        self._full[: self._locked, self._locked : basis.count] = leak
        self.matrix.copy_(torch.diag(pairs.values[keep]))
        self._coupling = self._coupling @ kept

    @property
    def _leak(self) -> Tensor:
        """How far the operator leads into what is locked, (locked, count)."""
        return self._full[: self._locked, self._locked : self._basis.count]

    def _fresh(self) -> Tensor | None:
        """A unit vector orthogonal to all others; ``None`` if there is none."""
        size = self._basis.size
        if self._basis.count >= size:
            return None
        drawn = torch.randn(size, generator=self._generator, dtype=torch.float64).to(self._basis.device)
        rest, _ = self._basis.orthogonalized(drawn)
        rest, _ = self._basis.orthogonalized(rest / rest.norm())
        return torch.div(rest, norm(rest)).to(self._basis.dtype)

    def _grow(self) -> None:
        if self._basis.count > len(self._full):
            wider = torch.zeros(2 * self._basis.count, 2 * self._basis.count, dtype=torch.float64)
            wider[: len(self._full), : len(self._full)] = self._full
            self._full = wider
