"""What kind of point a network stands at: a minimum, a saddle, or none of both."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import positive, seed_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.curvature.protocols import Graded, asymmetry_of, curved, ground_of, point_of
from flatmin.curvature.spectra import hessian, signs_of

EXACT = 2000
"""Weights up to which all eigenvalues are counted."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CriticalPoint(Measured):
    r"""What :func:`critical_point` found.

    Attributes:
        kind: ``"minimum"``, ``"maximum"`` or ``"saddle"`` by the signs of the eigenvalues; ``"minimum or flat"`` and
            ``"maximum or flat"`` where some are near zero and the others of one sign, so that the second derivative
            does not decide; ``"flat"``; or ``"no critical point"`` where the gradient is not near zero.
        loss: f.
        gradient_norm: :math:`\|g\|`.
        gradient_edge: Up to which it counts as zero.
        negative: Eigenvalues below ``-eigenvalue_edge``; ``None`` unless all were counted.
        zero: Eigenvalues within it.
        positive: Eigenvalues above it.
        eigenvalue_edge: Up to which the length of an eigenvalue counts as zero.
        lowest: Smallest eigenvalue.
        highest: Largest eigenvalue.
        downhill: Unit eigenvector of the smallest, (size,): where it is negative, the way out of a saddle.
        exact: Whether all eigenvalues were counted; else the ends alone are known, and the kind is theirs.
        converged: Whether both ends are known as well as was asked.
        size: Number of weights.
        products: Products with the Hessian.
    """

    long = ("downhill",)

    kind: str
    loss: float
    gradient_norm: float
    gradient_edge: float
    negative: int | None
    zero: int | None
    positive: int | None
    eigenvalue_edge: float
    lowest: float
    highest: float
    downhill: Tensor
    exact: bool
    converged: bool
    size: int
    products: int

    @property
    def minimum_ratio(self) -> float:
        """Positive eigenvalues over all (Lee's chapter 3.1), 1 at a strict minimum alone; NaN if not counted."""
        return math.nan if self.positive is None else self.positive / self.size

    def words(self) -> Iterator[str]:
        """The kind, the signs, what they rest on."""
        yield self.kind
        yield f"loss {self.loss:.5g}, gradient {self.gradient_norm:.2g} (zero up to {self.gradient_edge:.2g})"
        if self.exact:
            yield f"{self.negative:,} negative, {self.zero:,} near zero, {self.positive:,} positive eigenvalues"
            yield f"minimum ratio {self.minimum_ratio:.3g}"
        yield f"eigenvalues {self.lowest:.4g} to {self.highest:.4g}, zero up to {self.eigenvalue_edge:.2g}"
        if not self.converged:
            yield "NOT CONVERGED: an end of the spectrum is not known well enough"
        if not self.exact:
            yield f"NOT COUNTED: of {self.size:,} eigenvalues the ends alone were computed; a higher limit counts all"
        yield from self.grounds()


def critical_point(
    objective: Graded,
    tolerance: float = 1e-6,
    *,
    theta: Tensor | None = None,
    limit: int = EXACT,
    seed: int = 0,
    progress: bool = False,
) -> CriticalPoint:
    r"""The kind of point by gradient and eigenvalues of the Hessian.

    An eigenvalue counts as zero up to ``tolerance`` times the longest one, :math:`\lambda`; the gradient up to the same
    number, which is what a step of length ``tolerance`` along the sharpest direction makes of it. Zero eigenvalues
    decide: a network has directions that change nothing (dead neurons, rescalings), so that the strict sign test calls
    hardly any point of one a minimum.

    Up to ``limit`` weights all eigenvalues are computed; of a larger network the two ends, which tell a saddle. How
    many lie on each side of zero nothing but the whole spectrum tells: a spectral density does not resolve what is near
    it.

    Args:
        objective: ``theta``, ``size``, ``value_and_gradient`` and ``hvp``; in float64, if counts are to mean something.
        tolerance: What counts as zero, relative.
        theta: Where; the point at which the objective stands by default.
        limit: Weights up to which the matrix is written out.
        seed: Of the random vectors for larger ones.
        progress: Show a bar in the terminal.

    Returns:
        The kind with all that it rests on.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range.
        NotFinite: If gradient or Hessian are not finite.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import FunctionObjective
        >>> toy = FunctionObjective(lambda w: (1 - w[0] * w[1]) ** 2, torch.zeros(2, dtype=torch.float64))
        >>> point = critical_point(toy)
        >>> point.kind, point.negative, point.positive, point.minimum_ratio
        ('saddle', 1, 1, 0.5)
    """
    curved(objective)
    positive("tolerance", tolerance)
    whole("limit", limit, minimum=1)
    seed_of("seed", seed)
    at = point_of(objective, theta)
    loss, gradient = objective.value_and_gradient(at)
    slope = norm(gradient)
    if not math.isfinite(slope):
        raise NotFinite(f"the gradient must be finite, got one of length {slope}.")
    if at.numel() <= limit:
        counted = _counted(objective, at, tolerance, progress)
    else:
        counted = _ends(objective, at, tolerance, seed, progress)
    longest = max(abs(counted["lowest"]), abs(counted["highest"]))
    edge = tolerance * longest
    signs = sorted({0 if abs(end) <= edge else int(math.copysign(1, end)) for end in _known(counted)})
    return CriticalPoint(
        kind=kind_of_point(slope <= edge, signs),
        loss=float(loss),
        gradient_norm=slope,
        gradient_edge=edge,
        eigenvalue_edge=edge,
        size=at.numel(),
        **(Measured.ground(objective) | counted),
    )


def kind_of_point(critical: bool, signs: list[int]) -> str:
    """The name of a point whose Hessian has eigenvalues of these signs.

    Example:
        >>> kind_of_point(True, [0, 1])
        'minimum or flat'
    """
    if not critical:
        return "no critical point"
    if min(signs) < 0 < max(signs):
        return "saddle"
    if min(signs) == max(signs):
        return {1: "minimum", -1: "maximum", 0: "flat"}[signs[0]]
    return "minimum or flat" if max(signs) > 0 else "maximum or flat"


def _known(counted: dict[str, Any]) -> list[float]:
    """Eigenvalues that stand for all signs there are: the ends, and zero where some are near it or nobody knows."""
    return [counted["lowest"], counted["highest"], *([0.0] if counted["zero"] != 0 else [])]


def _counted(objective: Graded, at: Tensor, tolerance: float, progress: bool) -> dict[str, Any]:
    matrix = hessian(objective, theta=at, limit=at.numel(), progress=progress)
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    negative, zero, above = signs_of(values, tolerance)
    return {
        "negative": negative,
        "zero": zero,
        "positive": above,
        "lowest": float(values[0]),
        "highest": float(values[-1]),
        "downhill": vectors[:, 0].to(at),
        "exact": True,
        "converged": True,
        "products": len(matrix),
        "cautions": ground_of(objective, asymmetry_of(matrix))["cautions"],
    }


def _ends(objective: Graded, at: Tensor, tolerance: float, seed: int, progress: bool) -> dict[str, Any]:
    low = top_eigenvalues(objective, which="smallest", seed=seed, theta=at, progress=progress)
    high = top_eigenvalues(objective, seed=seed, theta=at, progress=progress)
    return {
        "negative": None,
        "zero": None,
        "positive": None,
        "lowest": float(low),
        "highest": float(high),
        "downhill": low.vectors[0],
        "exact": False,
        "converged": low.converged and high.converged,
        "products": low.products + high.products,
    }
