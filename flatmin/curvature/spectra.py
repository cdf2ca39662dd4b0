"""All eigenvalues of the Hessian of a small network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.checks import positive, whole
from flatmin.core.errors import NotFinite
from flatmin.core.precision import full_precision
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.curvature.protocols import ASYMMETRIC, Curved, asymmetry_of, curved, point_of, product_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 5000
"""Weights up to which the matrix is written out unless more are asked for: 200 MB, a minute of LAPACK."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Spectrum(Measured):
    r"""What :func:`spectrum` found.

    Attributes:
        values: All eigenvalues, ascending, (size,), float64.
        asymmetry: :math:`\|H - H^\top\|_F / \|H\|_F` of the products; rounding, or a second derivative that is wrong.
        size: Number of weights.
        products: Products with the Hessian.
    """

    values: Tensor
    asymmetry: float
    size: int
    products: int

    def counts(self, tolerance: float = 1e-6) -> tuple[int, int, int]:
        """How many are negative, near zero and positive, with zero up to ``tolerance`` times the longest."""
        return signs_of(self.values, tolerance)

    def rows(self) -> dict[str, Any]:
        """One row an eigenvalue; as points of equal weight, so that it is drawn as a density is."""
        return {
            "probe": [0] * self.size,
            "node": self.values.tolist(),
            "weight": [1 / self.size] * self.size,
        }

    def words(self) -> Iterator[str]:
        """The ends, the signs, what it rests on."""
        negative, zero, above = self.counts()
        yield f"{self.size:,} eigenvalues, {float(self.values[0]):.4g} to {float(self.values[-1]):.4g}"
        yield f"{negative:,} negative, {zero:,} within 1e-6 of the longest, {above:,} positive"
        if self.asymmetry > ASYMMETRIC:
            yield f"ASYMMETRIC by {self.asymmetry:.2g}: the second derivative may be wrong"
        yield from self.grounds()

    def plot(self, *, width: float | None = None, ax: "Axes | None" = None, label: str | None = None) -> "Axes":
        """Draw the density, see :meth:`~flatmin.curvature.density.Density.plot`."""
        from flatmin.figures.spectra import spectrum_drawn

        return spectrum_drawn(self.to_frame(), None if width is None else positive("width", width), ax, label)


def signs_of(values: Tensor, tolerance: float) -> tuple[int, int, int]:
    """How many eigenvalues are negative, near zero and positive, with zero up to ``tolerance`` times the longest.

    Example:
        >>> signs_of(torch.tensor([-3.0, 1e-9, 2.0, 4.0]), 1e-6)
        (1, 1, 2)
    """
    edge = tolerance * float(values.abs().max())
    negative, above = int((values < -edge).sum()), int((values > edge).sum())
    return negative, len(values) - negative - above, above


def hessian(objective: Curved, *, theta: Tensor | None = None, limit: int = LIMIT, progress: bool = False) -> Tensor:
    """The Hessian written out, a product for each column, (size, size) float64, as the products are.

    Args:
        objective: ``theta``, ``size`` and ``hvp``.
        theta: Where; the point at which the objective stands by default.
        limit: Largest number of weights.
        progress: Show a bar in the terminal.

    Returns:
        The matrix; symmetric but for rounding.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If there are more weights than ``limit``.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> hessian(QuadraticObjective([1.0, 4.0])).tolist()
        [[1.0, 0.0], [0.0, 4.0]]
    """
    size = curved(objective).theta.numel()
    if size > whole("limit", limit, minimum=1):
        raise ValueError(
            f"`objective` has {size:,} weights, too many to write out its Hessian ({size**2 * 8 / 2**20:,.0f} MiB); "
            "take top_eigenvalues or spectral_density, a part of it by objective.restricted([...]), or `limit` above "
            f"{limit}."
        )
    at = point_of(objective, theta)
    columns = torch.empty(size, size, dtype=torch.float64)
    with full_precision(at.device), steps_shown("Hessian", size, shown=progress) as advance:
        for k in range(size):
            unit = torch.zeros_like(at)
            unit[k] = 1
            columns[:, k] = product_of(objective, at)(unit).double().cpu()
            advance()
    if not columns.isfinite().all():
        raise NotFinite("the Hessian is not finite at this point; look at the loss and its gradient there.")
    return columns


def spectrum(objective: Curved, *, theta: Tensor | None = None, limit: int = LIMIT, progress: bool = False) -> Spectrum:
    """All eigenvalues of the Hessian, by writing it out; for small networks.

    Args:
        objective: ``theta``, ``size`` and ``hvp``.
        theta: Where; the point at which the objective stands by default.
        limit: Largest number of weights.
        progress: Show a bar in the terminal.

    Returns:
        The eigenvalues, exact to the arithmetic: for counts near zero take an objective in float64.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If there are more weights than ``limit``.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> spectrum(QuadraticObjective([4.0, 0.0, -2.0])).counts()
        (1, 1, 1)
    """
    matrix = hessian(objective, theta=theta, limit=limit, progress=progress)
    return Spectrum(
        values=torch.linalg.eigvalsh((matrix + matrix.T) / 2),
        asymmetry=asymmetry_of(matrix),
        size=len(matrix),
        products=len(matrix),
        **Measured.ground(objective),
    )
