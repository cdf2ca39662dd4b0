"""The largest, smallest or longest eigenvalues of the Hessian, by products with it alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.core.checks import one_of, positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import Advance, steps_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.curvature.lanczos import Lanczos
from flatmin.curvature.protocols import Curved, curved, point_of, product_of
from flatmin.objective import memory

WHICH = ("largest", "smallest", "magnitude")
SMALL = 5000
"""Up to so many weights further copies of an eigenvalue are looked for without being asked."""
MIXED = 0.1
"""What of a warm start is random, so that an eigenvalue that has overtaken the others is found."""
MOST = 500
SPARE = 20
"""Vectors beyond those asked for without which a restart would get nowhere."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Eigenvalues(Measured):
    r"""Some eigenvalues of the Hessian; ``float()`` gives the first.

    Attributes:
        values: (k,), float64; descending for ``"largest"``, ascending for ``"smallest"``, the longest first for
            ``"magnitude"``.
        vectors: Unit eigenvectors, (k, size).
        residuals: :math:`\|H v - \lambda v\|`, (k,), float64: an eigenvalue of H lies within so much of each value.
        converged: Whether every residual is at most ``tolerance`` of its value, or no larger than rounding.
        products: Products with the Hessian.
        which: Which ones.
        tolerance: What was asked.
        copies: Whether further copies of a multiple eigenvalue were looked for; without, each may stand for several.
    """

    long = ("vectors",)

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: bool
    products: int
    which: str
    tolerance: float
    copies: bool

    def __float__(self) -> float:
        return float(self.values[0])

    @property
    def warm_start(self) -> Tensor:
        """Where the next search may start."""
        return self.vectors

    @property
    def names(self) -> tuple[str, ...]:
        """Each with its value, for the axes of a slice along the vectors."""
        return tuple(f"eigenvector of λ = {value:.4g}" for value in self.values.tolist())

    def rows(self) -> dict[str, list[float]]:
        """One row an eigenvalue."""
        numbers = [float(number) for number in range(1, len(self.values) + 1)]
        return {"number": numbers, "value": self.values.tolist(), "residual": self.residuals.tolist()}

    def words(self) -> Iterator[str]:
        """The values, whether they are to be trusted, what they rest on."""
        shown = ", ".join(f"{value:.5g}" for value in self.values[:6].tolist())
        yield f"{self.which} eigenvalue{'s' * (len(self.values) > 1)} {shown}{', ...' * (len(self.values) > 6)}"
        yield f"residuals at most {float(self.residuals.max()):.2g}"
        if not self.converged:
            yield f"NOT CONVERGED to {self.tolerance:g} of each value: allow more products (they may be too noisy)"
        yield f"{self.products:,} products with the Hessian"
        if not self.copies and len(self.values) > 1:
            yield "further copies of a multiple eigenvalue were not looked for"
        yield from self.grounds()


def top_eigenvalues(
    objective: Curved,
    k: int = 1,
    which: str = "largest",
    tolerance: float = 1e-3,
    seed: int = 0,
    *,
    theta: Tensor | None = None,
    start: Tensor | None = None,
    products: int = MOST,
    copies: bool | None = None,
    vectors: int | None = None,
    progress: bool = False,
) -> Eigenvalues:
    r"""Eigenvalues at an end of the Hessian's spectrum with their eigenvectors.

    Lanczos' process from a random vector, every vector made orthogonal to all before in float64 (without, copies of one
    eigenvalue stand for the next ones), until each pair's residual :math:`\|Hv - \lambda v\|` is at most
    ``tolerance`` :math:`|\lambda|`: an eigenvalue of H is then as near. The eigenvalue itself is nearer, by about the
    square of that. Residuals are computed, not estimated, so that products that are no symmetric matrix's never
    converge in silence. One vector sees one copy of a multiple eigenvalue; with ``copies`` a second process, without
    the vectors found, looks for others.

    Memory: the vectors so far, in the arithmetic of the weights (F1: 6 MB each), and at most ``vectors`` of them; then
    the process starts anew from the best ones (Wu and Simon, 2000).

    Args:
        objective: ``theta``, ``size`` and ``hvp``: an :class:`~flatmin.objective.objective.Objective`, or
            :func:`~flatmin.curvature.views.gauss_newton` of one.
        k: How many.
        which: ``"largest"`` or ``"smallest"`` in the order of the numbers, or the longest by ``"magnitude"``.
        tolerance: Of each residual, relative to its value.
        seed: Of the random vectors, the same on every device.
        theta: Where; the point at which the objective stands by default.
        start: Vectors of an earlier point, (size,) or (any, size): a start near them saves products.
        products: At most so many.
        copies: Look for further copies of the values found, at about the same cost again; by default for up to 5,000
            weights.
        vectors: At most so many in memory; by default what a good part of it holds.
        progress: Show a bar in the terminal.

    Returns:
        Values, vectors and how good they are.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or ``start`` does not fit.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = top_eigenvalues(QuadraticObjective([1.0, 5.0, -3.0, 5.0]), k=3)
        >>> [round(value, 6) for value in found.values.tolist()], found.converged
        ([5.0, 5.0, 1.0], True)
    """
    size = curved(objective).theta.numel()
    whole("k", k, minimum=1)
    if k > size:
        raise ValueError(f"`k` must be at most the number of weights, {size}, got {k}.")
    one_of("which", which, WHICH)
    positive("tolerance", tolerance)
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    whole("products", products, minimum=k)
    at = point_of(objective, theta)
    limit = _limit(at, k, vectors)
    seek = size <= SMALL if copies is None else bool(copies)
    with full_precision(at.device), steps_shown("eigenvalues", None, shown=progress) as advance:

        def process(start: Tensor, locked: Tensor | None = None, longest: float = 0.0) -> Lanczos:
            return Lanczos(product_of(objective, at), start, generator, locked, longest)

        lanczos = process(_begun(at, start, generator))
        found = _ends(lanczos, k, which, tolerance, products, limit, advance)
        while seek and found.converged and not found.whole:
            spare = products - found.products
            if spare < 1:
                found = found._replace(converged=False)
                break
            lanczos = process(_begun(at, None, generator), found.vectors, lanczos.longest)
            more = _ends(lanczos, 1, which, tolerance, spare, limit, advance)
            if not _before(which, more.values[0], found.values[-1], lanczos.rounding):
                found = found._replace(products=found.products + more.products, converged=more.converged, whole=True)
            else:
                found = _merged(which, found, more, k)
        good = _good(found.values, tolerance, lanczos.rounding)
    return Eigenvalues(
        values=found.values,
        vectors=found.vectors,
        residuals=found.residuals,
        converged=found.converged and bool((found.residuals <= good).all()),
        products=found.products,
        which=which,
        tolerance=float(tolerance),
        copies=found.whole,
        **Measured.ground(objective),
    )


class _Found(NamedTuple):
    """Pairs at an end of the spectrum; ``whole`` where there is surely no further copy of them."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: bool
    products: int
    whole: bool


def _ends(
    lanczos: Lanczos, k: int, which: str, tolerance: float, products: int, limit: int, advance: Advance
) -> _Found:
    """Run the process until the pairs at the end are good enough, or there is nothing left."""
    while True:
        lanczos.step()
        advance()
        spent = lanczos.exhausted or lanczos.products >= products
        if lanczos.count < k and not spent:
            continue
        pairs = lanczos.pairs()
        order = _ordered(which, pairs.values)
        place = order[:k]
        good = _good(pairs.values[place], tolerance, lanczos.rounding)
        converged = bool((pairs.inside[place] <= good).all()) and len(place) == k
        if converged or spent:
            return _Found(
                values=pairs.values[place],
                vectors=lanczos.vectors(pairs.vectors[:, place]),
                residuals=pairs.residuals[place],
                converged=converged,
                products=lanczos.products,
                whole=lanczos.exhausted,
            )
        if lanczos.count >= limit:
            lanczos.restart(pairs, order[: k + (limit - k) // 2].sort().values)


def _ordered(which: str, values: Tensor) -> Tensor:
    key = {"largest": -values, "smallest": values, "magnitude": -values.abs()}[which]
    return key.argsort(stable=True)


def _good(values: Tensor, tolerance: float, rounding: float) -> Tensor:
    """How long a residual of each may be."""
    return (tolerance * values.abs()).clamp(min=rounding)


def _before(which: str, one: Tensor, other: Tensor, rounding: float) -> bool:
    """Whether one value comes before the other."""
    first, second = (float(v.abs() if which == "magnitude" else v) for v in (one, other))
    apart = first - second if which != "smallest" else second - first
    return apart > max(1e-9 * abs(second), rounding)


def _merged(which: str, found: _Found, more: _Found, k: int) -> _Found:
    values = torch.cat([found.values, more.values])
    place = _ordered(which, values)[:k]
    return _Found(
        values=values[place],
        vectors=torch.cat([found.vectors, more.vectors])[place],
        residuals=torch.cat([found.residuals, more.residuals])[place],
        converged=found.converged and more.converged,
        products=found.products + more.products,
        whole=more.whole,
    )


def _begun(at: Tensor, start: Tensor | None, generator: torch.Generator) -> Tensor:
    """Where the process begins: at random, or near the span of earlier vectors.

    Raises:
        ValueError: If these do not fit.
    """
    drawn = torch.randn(at.numel(), generator=generator, dtype=torch.float64).to(at)
    if start is None:
        return drawn
    rows = torch.as_tensor(start).to(at)
    rows = rows if rows.ndim == 2 else rows.reshape(1, -1)
    if rows.ndim != 2 or rows.shape[1] != at.numel():
        raise ValueError(f"`start` must hold vectors of shape ({at.numel()},), got {tuple(rows.shape)}.")
    if not (rows.isfinite().all() and rows.any(dim=1).all()):
        raise ValueError("`start` must hold finite vectors other than 0, got one that is not finite or 0.")
    total = (rows.double() / torch.linalg.vector_norm(rows.double(), dim=1, keepdim=True)).sum(0)
    near = torch.div(total, norm(total)) + torch.mul(drawn.double(), MIXED / norm(drawn))
    return near.to(at)


def _limit(at: Tensor, k: int, vectors: int | None) -> int:
    """How many vectors may be in memory."""
    if vectors is not None:
        return whole("vectors", vectors, minimum=k + 2)
    bytes_ = at.numel() * at.element_size()
    most = max((n for n in (k + SPARE, 50, 100, 200, MOST) if memory.fits(bytes_ * n, at.device)), default=0)
    return max(k + SPARE, most)
