r"""The columns of A: the box lives in R^p, the weights in R^n, and :math:`\theta + A z` joins them.

A random A of a network is large (p = 100 columns of 1.5 million weights are 0.6 GB, of 15 million 6 GB), so it is drawn
block by block from its seed and kept only while it fits into :data:`KEPT_BYTES`, or a quarter of what is free on a GPU;
otherwise each product draws it anew.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from flatmin.core.checks import one_of, seed_of, whole

KEPT_BYTES = 1 << 30
BLOCK_ROWS = 1 << 16
DISTRIBUTIONS = ("normal", "scaled", "unit", "uniform")


class FullSpace:
    """A = I: the box moves every weight by itself."""

    def __init__(self, theta: Tensor) -> None:
        self.dim = theta.numel()

    def forward(self, z: Tensor) -> Tensor:
        """A z."""
        return z

    def transpose(self, gradient: Tensor) -> Tensor:
        """A' g."""
        return gradient

    def widths(self, theta: Tensor) -> Tensor:
        """Half-widths of the published box, as multiples of epsilon."""
        return theta.abs() + 1


class Shares:
    """A = diag |theta|: the box moves every weight by a share of itself, and a weight of 0 not at all.

    It is a cube whatever the weights are, so that a search in it is as blind to a rescaling of them as its maximum.
    """

    def __init__(self, theta: Tensor) -> None:
        self.dim = theta.numel()
        self._scale = theta.abs()

    def forward(self, z: Tensor) -> Tensor:
        """A z."""
        return self._scale * z

    def transpose(self, gradient: Tensor) -> Tensor:
        """A' g."""
        return self._scale * gradient

    def widths(self, theta: Tensor) -> Tensor:
        """Half-widths of the box, as multiples of epsilon: 1 each."""
        return torch.ones_like(theta)


class RandomSubspace:
    """A random A of shape (n, dim).

    Keskar et al. do not state the distribution of A. Entries N(0, 1) (``"normal"``) give magnitudes like those of their
    Table 4; ``"scaled"`` is N(0, 1/dim), ``"unit"`` has columns of length 1, ``"uniform"`` is U(0, 1).

    Args:
        theta: A vector of length n on the device and in the dtype of the products.
        dim: Number of columns, at most n.
        seed: Decides A, the same on every device.
        distribution: Of the entries.

    Raises:
        ValueError: If ``dim`` is below 1 or above n, the seed of more than 32 bits, or the distribution unknown.
    """

    def __init__(self, theta: Tensor, dim: int, *, seed: int, distribution: str = "normal") -> None:
        whole("subspace_dim", dim, minimum=1)
        if dim > theta.numel():
            raise ValueError(f"`subspace_dim` must be at most the {theta.numel()} weights, got {dim}.")
        self.dim = dim
        self.seed = seed_of("seed", seed)
        self.distribution = one_of("distribution", distribution, DISTRIBUTIONS)
        self._like = theta
        self._kept: list[Tensor] | None = None
        self._scale = torch.ones(dim, dtype=theta.dtype, device=theta.device)
        if distribution == "scaled":
            self._scale /= dim**0.5
        if theta.numel() * dim * theta.element_size() <= room(theta.device):
            self._kept = list(self._drawn())
        if distribution == "unit":
            squares = [block.double().square().sum(0) for block in self._blocks()]
            self._scale = torch.stack(squares).sum(0).rsqrt().to(theta.dtype)

    def forward(self, z: Tensor) -> Tensor:
        """A z, shape (n,)."""
        scaled = (self._scale * z).to(self._like.dtype)
        return torch.cat([block @ scaled for block in self._blocks()])

    def transpose(self, gradient: Tensor) -> Tensor:
        """A' g, shape (dim,), summed in float64 across blocks."""
        total = torch.zeros_like(self._scale, dtype=torch.float64)
        for block, part in zip(self._blocks(), torch.split(gradient, BLOCK_ROWS), strict=True):
            total += (part @ block).double()
        return (self._scale * total).to(self._like.dtype)

    def coordinates(self, theta: Tensor) -> Tensor:
        """A+ theta from the normal equations (A'A) u = A' theta, float64."""
        gram = torch.zeros(self.dim, self.dim, dtype=torch.float64, device=self._like.device)
        right = torch.zeros(self.dim, dtype=torch.float64, device=self._like.device)
        scale = self._scale.double()
        for block, part in zip(self._blocks(), torch.split(theta, BLOCK_ROWS), strict=True):
            gram += (block.T @ block).double()
            right += (part @ block).double()
        solution: Tensor = torch.linalg.solve(gram * scale[:, None] * scale, right * scale)
        return solution

    def widths(self, theta: Tensor) -> Tensor:
        """Half-widths of the published box, as multiples of epsilon."""
        return self.coordinates(theta).abs() + 1

    def _blocks(self) -> Iterator[Tensor]:
        return iter(self._kept) if self._kept is not None else self._drawn()

    def _drawn(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        for part in torch.split(self._like, BLOCK_ROWS):
            shape = (len(part), self.dim)
            draw = torch.rand if self.distribution == "uniform" else torch.randn
            yield draw(shape, generator=generator, dtype=torch.float32).to(self._like)


def room(device: torch.device) -> int:
    """Bytes that a random A may take."""
    if device.type != "cuda":
        return KEPT_BYTES
    free: int = torch.cuda.mem_get_info(device)[0]
    return max(KEPT_BYTES, free // 4)
