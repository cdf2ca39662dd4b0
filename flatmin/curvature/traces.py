"""The trace of the Hessian and its Frobenius norm, with an error that can be believed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from flatmin.core.checks import positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import Advance, steps_shown
from flatmin.core.result import Measured
from flatmin.curvature.deflated import Deflated
from flatmin.curvature.protocols import Curved, curved, ground_of, point_of

FEWEST = 12
"""Probes without which a standard deviation says little."""
MOST = 1000
WIDEST = 200


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Trace(Measured):
    r"""What :func:`trace` found; ``float()`` gives the trace.

    Attributes:
        value: tr H.
        standard_error: Of it, over the probes, widened by Student's distribution so that one covers in 68 of 100
            cases; 0 where the basis spans everything.
        frobenius: :math:`\|H\|_F`, from the same products.
        frobenius_error: Its standard error.
        known: The part of the trace that is known without an error, on the deflated vectors.
        deflated: How many vectors these are.
        probes: Random vectors behind the rest.
        products: Products with the Hessian.
        relative_error: What was asked.
        converged: Whether the standard error is as small as that.
    """

    value: float
    standard_error: float
    frobenius: float
    frobenius_error: float
    known: float
    deflated: int
    probes: int
    products: int
    relative_error: float
    converged: bool

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The trace with its error, whether it is as small as was asked, what it rests on."""
        yield f"trace {self.value:.5g} ± {self.standard_error:.2g}"
        if not self.converged:
            yield f"NOT CONVERGED to a relative error of {self.relative_error:g}: allow more products"
        yield f"Frobenius norm {self.frobenius:.4g} ± {self.frobenius_error:.2g}"
        yield f"{self.products:,} products: {self.deflated} vectors deflated, {self.probes} probes of the rest"
        yield from self.grounds()


def trace(
    objective: Curved,
    relative_error: float = 0.02,
    seed: int = 0,
    *,
    theta: Tensor | None = None,
    products: int = MOST,
    progress: bool = False,
) -> Trace:
    r"""The trace of the Hessian to a relative standard error.

    .. math:: \mathrm{tr}\, H = \mathrm{tr}\, Q^\top H Q + E_z\, z^\top P H P z, \quad P = I - Q Q^\top

    The vectors Q come from Lanczos' process, which takes the few large eigenvalues of a network out of the noise: they
    are added as long as one saves more probes than the product that it costs. The rest is Hutchinson's estimator, its
    probes z of random signs, all independent of Q. So the mean is unbiased, and the standard error is that of the
    probes (Meyer et al., 2021, Hutch++; there Q comes from as many products again). Probes are drawn until it is small
    enough, 12 at least.

    Args:
        objective: ``theta``, ``size`` and ``hvp``.
        relative_error: Standard error over trace at which to stop.
        seed: Of the probes, the same on every device.
        theta: Where; the point at which the objective stands by default.
        products: At most so many.
        progress: Show a bar in the terminal.

    Returns:
        The trace with its standard error, and the Frobenius norm with its own.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = trace(QuadraticObjective([1.0, 4.0, -2.0]))
        >>> round(float(found), 9), round(found.frobenius**2, 9), found.products
        (3.0, 21.0, 3)
    """
    curved(objective)
    positive("relative_error", relative_error)
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    whole("products", products, minimum=2)
    at = point_of(objective, theta)
    with full_precision(at.device), steps_shown("trace", None, shown=progress) as advance:
        deflated = _widened(Deflated(objective, at, generator), relative_error, products, advance)
        rests, squares = list[float](), list[float]()
        while not deflated.whole and deflated.products < products:
            signs = deflated.signs()
            image = deflated.outside(signs)
            rests.append(float(torch.dot(signs.double(), image)))
            squares.append(float(torch.dot(image, image)))
            advance()
            if len(rests) < FEWEST:
                continue
            value, error = _mean(rests)
            if error <= relative_error * abs(deflated.trace + value):
                break
    value, error = _mean(rests)
    square, its_error = _mean(squares)
    square += deflated.square
    frobenius = math.sqrt(max(square, 0.0))
    return Trace(
        value=deflated.trace + value,
        standard_error=error,
        frobenius=frobenius,
        frobenius_error=its_error / (2 * frobenius) if frobenius else its_error,
        known=deflated.trace,
        deflated=deflated.count,
        probes=len(rests),
        products=deflated.products,
        relative_error=float(relative_error),
        converged=error <= relative_error * abs(deflated.trace + value),
        **ground_of(objective, deflated.asymmetry),
    )


def _widened(deflated: Deflated, relative_error: float, products: int, advance: Advance) -> Deflated:
    """Deflate as long as a vector saves more than one probe: the variance falls by twice what it adds to the square."""
    most, gains = min(WIDEST, products // 2), list[float]()
    while deflated.count < most and not deflated.whole and deflated.fits():
        before = deflated.square
        deflated.widen()
        advance()
        gains = [*gains[-2:], 2 * (deflated.square - before)]
        target = relative_error * max(abs(deflated.trace), abs(deflated.first))
        if deflated.count > 3 and sum(gains) / len(gains) <= target**2:
            break
    return deflated


def _mean(numbers: list[float]) -> tuple[float, float]:
    """Mean and standard error, widened as Student's distribution asks, so that it covers in 68 of 100 cases."""
    if not numbers:
        return 0.0, 0.0
    if len(numbers) == 1:
        return numbers[0], math.inf
    from scipy.stats import norm, t

    values = torch.tensor(numbers, dtype=torch.float64)
    widened = float(t(len(values) - 1).ppf(norm.cdf(1)))
    return float(values.mean()), widened * float(values.std()) / math.sqrt(len(values))
