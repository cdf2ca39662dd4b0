"""Orthonormal vectors as long as the weights: kept in the arithmetic of the network, multiplied in float64.

A dot product of float32 vectors of a million entries that is summed in float32 is off by a few parts in ten thousand,
and with it the eigenvalues. Vectors are kept as they are and widened a stretch at a time, in the processor's cache.
"""

import torch
from torch import Tensor

BLOCK = 16
STRETCH = {"cpu": 2**15, "cuda": 2**20}


class Basis:
    """Rows of an orthonormal matrix, one more at a time.

    Args:
        like: A vector (size,) of the device and the arithmetic.
    """

    def __init__(self, like: Tensor) -> None:
        self.size, self.device, self.dtype = like.numel(), like.device, like.dtype
        self.count = 0
        self._blocks: list[Tensor] = []

    def append(self, vector: Tensor) -> None:
        """Take one more row, of unit length and orthogonal to the others."""
        if self.count == BLOCK * len(self._blocks):
            self._blocks.append(torch.empty(BLOCK, self.size, dtype=self.dtype, device=self.device))
        self._blocks[-1][self.count % BLOCK] = vector
        self.count += 1

    def __getitem__(self, row: int) -> Tensor:
        return self._blocks[row // BLOCK][row % BLOCK]

    def coefficients(self, vector: Tensor) -> Tensor:
        """Dot products of all rows with a vector (size,), float64, (count,)."""
        found = torch.zeros(self.count, dtype=torch.float64, device=self.device)
        for rows, place in self._filled():
            for stretch in self._stretches():
                found[place] += rows[:, stretch].double() @ vector[stretch].double()
        return found

    def subtract(self, vector: Tensor, coefficients: Tensor) -> None:
        """Take the combination of the rows away from a vector (size,), in place."""
        for rows, place in self._filled():
            weights = coefficients[place]
            for stretch in self._stretches():
                vector[stretch] -= (weights @ rows[:, stretch].double()).to(vector.dtype)

    def combined(self, weights: Tensor) -> Tensor:
        """Combinations of the rows, one for each column of ``weights`` (count, k): (k, size)."""
        found = torch.zeros(weights.shape[1], self.size, dtype=self.dtype, device=self.device)
        for stretch in self._stretches():
            total = sum(weights[place].T @ rows[:, stretch].double() for rows, place in self._filled())
            found[:, stretch] = total.to(self.dtype)  # type: ignore[union-attr]
        return found

    def orthogonalized(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """What of a vector is orthogonal to all rows (float64), and its coefficients along them.

        A second time where the first took most of it away: twice is enough (Kahan and Parlett).
        """
        rest = vector.double() if vector.dtype != torch.float64 else vector.clone()
        total = torch.zeros(self.count, dtype=torch.float64, device=self.device)
        for _ in range(2):
            before = float(rest.norm())
            coefficients = self.coefficients(rest)
            self.subtract(rest, coefficients)
            total += coefficients
            if float(rest.norm()) > 0.5 * before:
                break
        return rest, total

    def _filled(self) -> list[tuple[Tensor, slice]]:
        starts = range(0, self.count, BLOCK)
        pairs = zip(self._blocks, starts, strict=False)
        return [(rows[: self.count - first], slice(first, min(first + BLOCK, self.count))) for rows, first in pairs]

    def _stretches(self) -> list[slice]:
        step = STRETCH.get(self.device.type, self.size)
        return [slice(first, first + step) for first in range(0, self.size, step)]
