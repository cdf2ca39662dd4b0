r"""The low-pass filtered loss: the mean of the loss under Gaussian noise on the weights. Bisla et al. (2022).

What :func:`~flatmin.sharpness.average_case_sharpness` measures from the loss at the weights, this measures from 0.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from flatmin.core.checks import an_objective, positive, seed_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.sharpness.average_case import Valued
from flatmin.sharpness.noise import unit_noise


@dataclass(frozen=True, repr=False, kw_only=True)
class LowPass(Measured):
    r"""What :func:`low_pass` found.

    Attributes:
        value: Mean of :math:`f(\theta - \tau)`; infinite or NaN where a loss was.
        standard_error: Of it and of ``rise``; NaN for one draw.
        rise: The same less :math:`f(\theta)`.
        sigma: Standard deviation of the noise.
        base_loss: :math:`f(\theta)`.
        draws: Draws of the noise.
        evaluations: Losses computed.
        seed: Of the noise.
    """

    value: float
    standard_error: float
    rise: float
    sigma: float
    base_loss: float
    draws: int
    evaluations: int
    seed: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value with its error, what it rests on."""
        yield f"filtered loss {self.value:.4g} ± {self.standard_error:.2g}, a rise of {self.rise:.4g}"
        if not math.isfinite(self.value):
            yield "NOT FINITE: a loss was not"
        yield f"sigma {self.sigma:g}, {self.draws:,} draws, loss {self.base_loss:.4g}"
        yield from self.grounds()


def low_pass(
    objective: Valued, *, sigma: float = 0.01, draws: int = 100, seed: int = 0, progress: bool = False
) -> LowPass:
    r"""The loss filtered by a Gaussian.

    .. math:: E_{\tau}\, f(\theta - \tau), \quad \tau_i \sim N(0, \sigma^2).

    Bisla et al. (2022), with their sigma and number of draws. Not unchanged when layers are rescaled.

    Args:
        objective: ``theta`` and ``value``, such as an :class:`~flatmin.objective.objective.Objective`.
        sigma: Standard deviation of the noise.
        draws: Of the noise.
        seed: Of the noise, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The filtered loss, with its standard error, and how far it lies above the loss.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = low_pass(QuadraticObjective([1.0, 4.0], constant=2.0), sigma=0.1, draws=2000)
        >>> abs(found.value - 2 - 0.1**2 / 2 * (1 + 4)) < 3 * found.standard_error < 0.005
        True
    """
    positive("sigma", sigma)
    base, losses = losses_under_noise(objective, "low-pass filter", sigma, draws, seed, progress)
    return LowPass(
        value=float(losses.mean()),
        standard_error=float(losses.std()) / math.sqrt(draws) if draws > 1 else math.nan,
        rise=float((losses - base).mean()),
        sigma=float(sigma),
        base_loss=base,
        draws=draws,
        evaluations=draws + 1,
        **Measured.ground(objective),
        seed=seed,
    )


def losses_under_noise(
    objective: Valued, words: str, sigma: float, draws: int, seed: int, progress: bool
) -> tuple[float, torch.Tensor]:
    """The loss at theta, and at theta less each draw of the noise, (draws,) float64.

    Raises:
        NotFinite: If the loss at theta is not finite.
    """
    whole("draws", draws, minimum=1)
    seed_of("seed", seed)
    theta = an_objective(objective).theta
    base = float(objective.value(theta))
    if not math.isfinite(base):
        raise NotFinite(f"the loss at theta must be finite, got {base}.")
    generator = torch.Generator().manual_seed(seed)
    losses = torch.empty(draws, dtype=torch.float64)
    with steps_shown(words, draws, shown=progress) as advance:
        for draw in range(draws):
            losses[draw] = float(objective.value(theta - sigma * unit_noise(theta, generator)))
            advance()
    return base, losses
