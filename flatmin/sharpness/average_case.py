r"""The average-case sharpness: how far the loss rises, on average, when noise is added to the weights.

In a basin of Hessian H it is half of :math:`\sigma^2` times the trace of H, where the worst case looks at the largest
eigenvalues alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, positive, seed_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured

DISTRIBUTIONS = ("normal", "uniform")


class Valued(Protocol):
    """What is asked of an objective."""

    @property
    def theta(self) -> Tensor:
        """Where the model stands, (size,)."""
        ...

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar."""
        ...


@dataclass(frozen=True, repr=False, kw_only=True)
class AverageCase(Measured):
    r"""What :func:`average_case_sharpness` found.

    Attributes:
        value: Mean of :math:`f(\theta + \xi) - f(\theta)` over the noise; in units of the loss. Infinite or NaN where a
            loss was.
        standard_error: Of it, over the pairs of draws; NaN for one pair.
        sigma: Standard deviation of the noise, of each weight or of its share of the weight; half-width if uniform.
        relative: Whether the noise is a share of the weight.
        base_loss: :math:`f(\theta)`.
        pairs: Pairs of opposite draws behind it.
        evaluations: Losses evaluated.
        seed: Of the noise.
        distribution: ``"normal"`` or ``"uniform"``.
    """

    value: float
    standard_error: float
    sigma: float
    relative: bool
    base_loss: float
    pairs: int
    evaluations: int
    seed: int
    distribution: str = "normal"

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value with its error, whether it tells anything, what it rests on."""
        yield f"mean rise of the loss {self.value:.4g} ± {self.standard_error:.2g}"
        if not math.isfinite(self.value):
            yield "NOT FINITE: a loss was not"
        elif not abs(self.value) > 2 * self.standard_error:
            yield "NOT TOLD FROM 0: within two standard errors of it"
        noise = f"sigma {self.sigma:g}" if self.distribution == "normal" else f"uniform noise up to {self.sigma:g}"
        each = " of each weight" if self.relative else ""
        yield f"{noise}{each}, {self.pairs:,} pairs of draws, loss {self.base_loss:.4g}"
        yield from self.grounds()


def average_case_sharpness(
    objective: Valued,
    *,
    sigma: float = 0.01,
    relative: bool = False,
    distribution: str = "normal",
    pairs: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> AverageCase:
    r"""The mean rise of the loss under noise on the weights.

    .. math:: E_{\xi}\, f(\theta + \xi) - f(\theta), \quad \xi_i \sim N(0, \sigma^2)
        \text{ or, relative, } \xi_i \sim N(0, \sigma^2 \theta_i^2).

    Uniform noise lies in the box :math:`|\xi_i| \le \sigma` or :math:`|\xi_i| \le \sigma |\theta_i|` instead: the
    average case that belongs to the worst one in linf, as Gaussian noise does to that in l2 (Andriushchenko et al.,
    2023). For a small sigma the value is half of :math:`\sigma^2` times the trace of the Hessian, of uniform noise a
    sixth.

    The noise comes in pairs :math:`\xi, -\xi`, so that what the loss has in odd powers, the gradient before all, adds
    nothing to the error; the standard error is that of the means of the pairs. It is the noise's alone, not that of the
    examples. Relative noise is unchanged when the layers of a ReLU network are rescaled without changing its function;
    absolute noise is not (Dinh et al., 2017). Weights that are 0 get no relative noise. In float32 a rise below 1e-7
    of the loss of an example is rounding; take a larger sigma, or an objective in float64.

    Args:
        objective: The loss to probe: ``theta`` and ``value``, such as an
            :class:`~flatmin.objective.objective.Objective`.
        sigma: Standard deviation of the noise; half-width of the box if it is uniform.
        relative: Scale the noise of each weight by its magnitude.
        distribution: Of the noise, ``"normal"`` or ``"uniform"``.
        pairs: Pairs of opposite draws.
        seed: Of the noise, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The mean rise, with its standard error.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range or the distribution unknown.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = average_case_sharpness(QuadraticObjective([1.0, 4.0]), sigma=0.1, pairs=4000)
        >>> abs(found.value - 0.1**2 / 2 * (1 + 4)) < 3 * found.standard_error < 0.002
        True
    """
    positive("sigma", sigma)
    one_of("distribution", distribution, DISTRIBUTIONS)
    whole("pairs", pairs, minimum=1)
    seed_of("seed", seed)
    theta = an_objective(objective).theta
    generator = torch.Generator().manual_seed(seed)
    scale = sigma * (theta.abs() if relative else torch.ones_like(theta))
    base = float(objective.value(theta))
    if not math.isfinite(base):
        raise NotFinite(f"the loss at theta must be finite, got {base}.")
    rises = torch.empty(pairs, dtype=torch.float64)
    with steps_shown("average-case sharpness", pairs, shown=progress) as advance:
        for pair in range(pairs):
            noise = scale * _drawn(distribution, theta, generator)
            rises[pair] = (float(objective.value(theta + noise)) + float(objective.value(theta - noise))) / 2 - base
            advance()
    return AverageCase(
        value=float(rises.mean()),
        standard_error=float(rises.std()) / math.sqrt(pairs) if pairs > 1 else math.nan,
        sigma=float(sigma),
        relative=relative,
        base_loss=base,
        pairs=pairs,
        evaluations=2 * pairs + 1,
        **Measured.ground(objective),
        seed=seed,
        distribution=distribution,
    )


def _drawn(distribution: str, like: Tensor, generator: torch.Generator) -> Tensor:
    if distribution == "normal":
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)
    return (2 * torch.rand(like.shape, generator=generator, dtype=torch.float64) - 1).to(like)
