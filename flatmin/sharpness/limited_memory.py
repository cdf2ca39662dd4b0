r"""A limited-memory BFGS matrix in compact form: Byrd, Nocedal and Schnabel (1994), theorem 2.3.

.. math::

    B = \theta I - V K V^\top, \qquad V = [S, Y], \qquad
    K = \begin{pmatrix} \theta I & \\ & I \end{pmatrix}
        \begin{pmatrix} \theta S^\top S & L \\ L^\top & -D \end{pmatrix}^{-1}
        \begin{pmatrix} \theta I & \\ & I \end{pmatrix}

S and Y hold the last m steps and changes of the gradient, D is the diagonal of :math:`S^\top Y`, L its part below it,
and :math:`\theta = y^\top y / s^\top y` of the newest pair. V stays on the device and in the dtype of the variables;
its products are summed in float64, block by block; the matrices of 2m rows live on the CPU in float64.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

CPU_BLOCK_ROWS, BLOCK_ROWS = 1 << 14, 1 << 20


class LimitedMemory:
    """B of the newest pairs; the identity before the first one.

    Args:
        like: A vector of length n on the device and in the dtype of the pairs.
        corrections: m, the number of pairs kept.
    """

    def __init__(self, like: Tensor, corrections: int) -> None:
        self.corrections = corrections
        self.columns = like.new_zeros(len(like), 2 * corrections)
        self._rows = CPU_BLOCK_ROWS if like.device.type == "cpu" else BLOCK_ROWS
        self.forget()

    def forget(self) -> None:
        """Back to the identity."""
        self.theta, self._appended = 1.0, 0
        self.columns.zero_()
        self._gram = self._square()
        self.kernel = self._square()

    def __len__(self) -> int:
        return min(self._appended, self.corrections)

    def append(self, step: Tensor, change: Tensor) -> None:
        """Take in a pair, in place of the oldest one if m are kept; without one if B would not be positive definite."""
        slot = self._appended % self.corrections
        places = [slot, self.corrections + slot]
        self._appended += 1
        for place, vector in zip(places, (step, change), strict=True):
            self.columns[:, place] = vector
        products = self.transposed(step, change)
        self._gram[places], self._gram[:, places] = products, products.T
        self.theta = float(self._gram[places[1], places[1]] / self._gram[places[0], places[1]])
        if not self._refreshed():
            self.forget()

    def transposed(self, *vectors: Tensor) -> Tensor:
        """V' of each vector, (k, 2m) float64 on the CPU."""
        return self.summed(lambda part: torch.stack([v[part] for v in vectors]))

    def summed(self, weights: Callable[[slice], Tensor]) -> Tensor:
        """V' of vectors that are made block by block: ``weights`` gives their rows of a slice, (k, rows)."""
        totals = (weights(part).double() @ self.columns[part].double() for part in self.blocks())
        return torch.stack(list(totals)).sum(0).cpu()

    def combined(self, coefficients: Tensor) -> Tensor:
        """V times ``coefficients`` (2m,), a vector of length n."""
        return self.columns @ coefficients.to(self.columns)

    def direction(self, residual: Tensor, free: Tensor) -> Tensor:
        """Minus the inverse of B restricted to the free coordinates, times ``residual``; zero elsewhere.

        Args:
            residual: A vector that is zero where a coordinate is not free.
            free: Mask of the free coordinates.

        Returns:
            A vector of length n; not finite where the matrix is singular.
        """
        used = self._used
        scale = self._gram.diagonal()[used].rsqrt()
        right = scale * self.transposed(residual)[0, used]
        solved, _ = torch.linalg.solve_ex(scale[:, None] * self._middle(free) * scale, right)
        coefficients = torch.zeros(2 * self.corrections, dtype=torch.float64)
        coefficients[used] = scale * solved
        return self.combined(coefficients).mul_(free).add_(residual).div_(-self.theta)

    def blocks(self) -> Iterator[slice]:
        """Slices of rows small enough for copies in float64."""
        for begin in range(0, len(self.columns), self._rows):
            yield slice(begin, begin + self._rows)

    @property
    def _slots(self) -> list[int]:
        """Where the pairs are, the oldest first."""
        return [k % self.corrections for k in range(self._appended - len(self), self._appended)]

    @property
    def _used(self) -> list[int]:
        return self._slots + [self.corrections + slot for slot in self._slots]

    def _parts(self, gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """S'S, S'Y and Y'Y of the pairs in order."""
        ordered, k = gram[self._used][:, self._used], len(self)
        return ordered[:k, :k], ordered[:k, k:], ordered[k:, k:]

    def _refreshed(self) -> bool:
        """K by the Schur complement of -D, which is positive definite; whether it is in float64 too."""
        squares, products, _ = self._parts(self._gram)
        inverse = products.diagonal().reciprocal()
        lower = products.tril(-1)
        root, failed = torch.linalg.cholesky_ex(self.theta * squares + (lower * inverse) @ lower.T)
        if failed or not torch.isfinite(root).all():
            return False
        whole = torch.cat([self.theta * torch.eye(len(self), dtype=torch.float64), lower * inverse], 1)
        half = torch.linalg.solve_triangular(root, whole, upper=False)
        kernel = half.T @ half
        kernel[len(self) :, len(self) :] -= inverse.diag()
        self.kernel = self._square()
        used = torch.tensor(self._used)
        self.kernel[used[:, None], used] = kernel
        return True

    def _middle(self, free: Tensor) -> Tensor:
        r""":math:`\theta K^{-1} - V_F^\top V_F` over the free coordinates F, by what the others add to V'V."""
        _, products, changes = self._parts(self._gram)
        squares, bound_products, bound_changes = self._parts(self._gram_of(~free))
        corner = bound_products - products.triu()
        last = bound_changes - changes - self.theta * products.diagonal().diag()
        return torch.cat([torch.cat([squares, corner], 1), torch.cat([corner.T, last], 1)])

    def _gram_of(self, chosen: Tensor) -> Tensor:
        """V'V over the chosen coordinates, from the fewer of these and the others."""
        many = int(chosen.sum()) > len(chosen) // 2
        fewer = ~chosen if many else chosen
        total = self._square()
        for part in self.blocks():
            rows = self.columns[part][fewer[part]].double()
            total += (rows.T @ rows).cpu()
        return self._gram - total if many else total

    def _square(self) -> Tensor:
        return torch.zeros(2 * self.corrections, 2 * self.corrections, dtype=torch.float64)
