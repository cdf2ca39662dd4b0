r"""The local entropy: the loss averaged near the weights as a free energy, in which low losses count most.

Chaudhari et al. (2017); estimated by Gaussian draws as in the comparison of measures of Bisla et al. (2022).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from flatmin.core.checks import positive
from flatmin.core.result import Measured
from flatmin.sharpness.average_case import Valued
from flatmin.sharpness.low_pass import losses_under_noise

FEW = 10
"""Draws that must count for the mean of the exponentials to be one."""


@dataclass(frozen=True, repr=False, kw_only=True)
class LocalEntropy(Measured):
    r"""What :func:`local_entropy` found.

    Attributes:
        value: :math:`-\ln E \exp(-\beta f) / \beta`, in units of the loss: the lower, the wider. Infinite where all
            losses were, NaN where one was.
        standard_error: Of it, by the delta method; NaN for one draw.
        rise: The same less :math:`f(\theta)`.
        counting: How many of the draws count (Kish): all where their losses are alike, one where one is far below.
        sigma: Standard deviation of the noise.
        beta: Inverse temperature.
        base_loss: :math:`f(\theta)`.
        draws: Draws of the noise.
        evaluations: Losses computed.
        seed: Of the noise.
    """

    value: float
    standard_error: float
    rise: float
    counting: float
    sigma: float
    beta: float
    base_loss: float
    draws: int
    evaluations: int
    seed: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value with its error, whether enough draws count, what it rests on."""
        yield f"local entropy {self.value:.4g} ± {self.standard_error:.2g}, a rise of {self.rise:.4g}"
        if not math.isfinite(self.value):
            yield "NOT FINITE: a loss was not"
        elif self.counting < FEW:
            yield f"FEW DRAWS COUNT: {self.counting:.2g} of {self.draws:,}, the value is too high and its error unknown"
        yield f"sigma {self.sigma:g}, beta {self.beta:g}, {self.draws:,} draws, loss {self.base_loss:.4g}"
        yield from self.grounds()


def local_entropy(
    objective: Valued,
    *,
    sigma: float = 0.01,
    beta: float = 1.0,
    draws: int = 100,
    seed: int = 0,
    progress: bool = False,
) -> LocalEntropy:
    r"""The local entropy of the loss, with its sign changed and without what does not depend on the network.

    .. math:: -\frac{1}{\beta} \ln E_{\tau} \exp(-\beta f(\theta + \tau)), \quad \tau_i \sim N(0, \sigma^2).

    At a minimum with Hessian H it is :math:`f(\theta) + \ln \det(I + \beta \sigma^2 H) / (2 \beta)`. In Entropy-SGD's
    terms (Chaudhari et al., 2017) :math:`\sigma^2 = 1 / \gamma`; in the code of Bisla et al. (2022)
    :math:`\sigma = 1 / \gamma`. Their :math:`\tfrac d2 \ln(2 \pi \sigma^2)` is left out: it counts weights. The mean of
    the exponentials is one of the lowest losses where they differ by more than :math:`1/\beta`; ``counting`` says how
    many draws it rests on. Not unchanged when layers are rescaled.

    Args:
        objective: ``theta`` and ``value``, such as an :class:`~flatmin.objective.objective.Objective`.
        sigma: Standard deviation of the noise.
        beta: Inverse temperature; 1 in the papers, the number of examples for the posterior's own.
        draws: Of the noise.
        seed: Of the noise, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The local entropy, with its standard error.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from math import log
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = local_entropy(QuadraticObjective([1.0, 4.0]), sigma=0.5, draws=4000)
        >>> abs(found.value - log((1 + 0.25) * (1 + 1)) / 2) < 3 * found.standard_error < 0.05
        True
    """
    positive("sigma", sigma)
    positive("beta", beta)
    base, losses = losses_under_noise(objective, "local entropy", sigma, draws, seed, progress)
    lowest = float(losses.min())
    falls = torch.expm1(-beta * (losses - lowest)) if math.isfinite(lowest) else losses * math.nan
    mean, chances = float(falls.mean()), falls + 1
    value = lowest - math.log1p(mean) / beta if math.isfinite(lowest) else lowest
    error = float(falls.std()) / math.sqrt(draws) / (1 + mean) / beta if draws > 1 else math.nan
    return LocalEntropy(
        value=value,
        standard_error=error,
        rise=value - base,
        counting=float(chances.sum() ** 2 / (chances**2).sum()),
        sigma=float(sigma),
        beta=float(beta),
        base_loss=base,
        draws=draws,
        evaluations=draws + 1,
        **Measured.ground(objective),
        seed=seed,
    )
