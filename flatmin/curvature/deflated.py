"""The Hessian taken apart: what it does on a few vectors is known, the rest is left to random probes."""

from typing import Any

import torch
from torch import Tensor

from flatmin.curvature.lanczos import Lanczos
from flatmin.curvature.protocols import asymmetry_of, product_of
from flatmin.objective import memory


class Deflated:
    r"""The Hessian H with the vectors Q of a Lanczos process, and :math:`P H P` with :math:`P = I - Q Q^\top`.

    Args:
        objective: ``hvp``.
        at: Where, (size,).
        generator: Of all that is drawn.
    """

    def __init__(self, objective: Any, at: Tensor, generator: torch.Generator) -> None:
        self._product, self._at, self._generator = product_of(objective, at), at, generator
        drawn = torch.randn(at.numel(), generator=generator, dtype=torch.float64).to(at)
        self._lanczos = Lanczos(self._product, drawn, generator)
        self._probes = 0

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self._lanczos.count

    @property
    def products(self) -> int:
        """Products so far."""
        return self._lanczos.products + self._probes

    @property
    def whole(self) -> bool:
        """Whether nothing is left to probes."""
        return self._lanczos.exhausted

    @property
    def asymmetry(self) -> float:
        """How far the products are from those of a symmetric matrix, as far as the vectors tell."""
        return asymmetry_of(self._lanczos.matrix)

    @property
    def trace(self) -> float:
        """Of :math:`Q^T H Q`."""
        return float(self._lanczos.matrix.trace())

    @property
    def first(self) -> float:
        """A first, rough estimate of the trace of H."""
        return self._at.numel() * float(self._lanczos.matrix[0, 0]) if self.count else 0.0

    @property
    def square(self) -> float:
        r"""What of :math:`\|H\|_F^2` is known: :math:`\|Q^T H Q\|_F^2 + 2 \|P H Q\|_F^2`."""
        return float(self._lanczos.matrix.square().sum()) + 2 * self._lanczos.beta**2 if self.count else 0.0

    def fits(self) -> bool:
        """Whether there is memory for one more vector."""
        return memory.fits((self.count + 1) * self._at.numel() * self._at.element_size(), self._at.device)

    def widen(self) -> None:
        """One more vector."""
        self._lanczos.step()

    def signs(self) -> Tensor:
        """A probe of random signs, (size,)."""
        drawn = torch.randint(2, (self._at.numel(),), generator=self._generator, dtype=torch.int8)
        return (2 * drawn - 1).to(self._at)

    def outside(self, probe: Tensor) -> Tensor:
        """:math:`P H P` times a probe, (size,) float64."""
        self._probes += 1
        image = self._product(self._lanczos.away(probe).to(self._at))
        return self._lanczos.away(image)

    def inside(self) -> Tensor:
        """The diagonal of :math:`H - P H P`, (size,) float64."""
        found = torch.zeros(self._at.numel(), dtype=torch.float64, device=self._at.device)
        for weight in torch.eye(self.count, dtype=torch.float64).unsqueeze(2):
            vector, image = self._lanczos.vectors(weight)[0].double(), self._lanczos.images(weight)[0]
            found += vector * (2 * image - self._lanczos.vectors(self._lanczos.matrix @ weight)[0].double())
        return found
