r"""The noise that a network bears: the largest Gaussian noise on its weights that costs no more than so much accuracy.

:math:`1 / \sigma^2` is what the weights add to a PAC-Bayes bound (Neyshabur et al., 2017; Jiang et al., 2020).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, positive, seed_of, whole, within
from flatmin.core.errors import NotFinite
from flatmin.core.progress import Advance, steps_shown
from flatmin.core.result import Measured
from flatmin.sharpness.noise import unit_noise

CRITERIA = ("accuracy", "loss")
SMALLEST = 1e-12
"""A bracket that has shrunk to this share of where it began holds no sigma above zero."""
AROUND = 0.2
"""How far to either side of sigma, as a share of it, the slope of the drop is taken."""
BELOW = (0.5, 0.25)
"""Shares of sigma at which the drop must be smaller."""


@dataclass(frozen=True, repr=False, kw_only=True)
class PacBayesSigma(Measured):
    r"""What :func:`pac_bayes_sigma` found.

    Attributes:
        value: :math:`\sigma`, a standard deviation; where the drop was never reached, the largest that was tried.
        standard_error: Of it, from the spread of the drop over the draws and the slope of the drop; infinite where the
            drop does not grow there, NaN for one draw or where there is no such sigma.
        flatness: :math:`1 / \sigma^2`: large where it is sharp, in spite of its name.
        converged: Whether the drop crosses what was asked within ``tolerance`` of sigma.
        monotone: Whether the drop grew with sigma at all that were tried, up to two standard errors, a half and a
            quarter of ``value`` among them; else it may be crossed elsewhere too.
        drop: What was asked.
        found_drop: The mean drop at ``value``.
        criterion: What drops: ``"accuracy"``, or what rises: ``"loss"``.
        magnitude_aware: Whether the noise is a share of each weight.
        epsilon: The noise that a weight of 0 gets all the same, where it is.
        base: Accuracy or loss without noise.
        draws: Draws of the noise, the same at every sigma.
        evaluations: Passes over the examples.
        seed: Of the noise.
    """

    value: float
    standard_error: float
    flatness: float
    converged: bool
    monotone: bool
    drop: float
    found_drop: float
    criterion: str
    magnitude_aware: bool
    epsilon: float
    base: float
    draws: int
    evaluations: int
    seed: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """Sigma with its error, whether it is one, what it rests on."""
        share = " of each weight" if self.magnitude_aware else ""
        yield f"sigma {self.value:.4g} ± {self.standard_error:.2g}{share}, 1/sigma² {self.flatness:.4g}"
        if not self.converged:
            side = "at least that" if self.found_drop < self.drop else "at most that"
            yield f"NOT REACHED: {side}, where the mean drop is {self.found_drop:.3g}"
        if not self.monotone:
            yield "NOT MONOTONE: a larger sigma cost less, so it may be crossed elsewhere too"
        fall = "drop of the accuracy" if self.criterion == "accuracy" else "rise of the loss"
        yield f"{fall} {self.drop:g} from {self.base:.4g}, {self.draws:,} draws"
        yield from self.grounds()


def pac_bayes_sigma(
    objective: Any,
    *,
    drop: float = 0.1,
    criterion: str = "accuracy",
    magnitude_aware: bool = False,
    epsilon: float = 1e-3,
    draws: int = 10,
    largest: float = 2.0,
    tolerance: float = 0.01,
    seed: int = 0,
    progress: bool = False,
) -> PacBayesSigma:
    r"""The noise on the weights that costs so much of the accuracy on average.

    .. math:: \max \sigma : E_u\left[A(\theta) - A(\theta + u)\right] \le 0.1, \quad u_i \sim N(0, \sigma^2)
        \text{ or, magnitude-aware, } u_i \sim N(0, \sigma^2 \theta_i^2 + \epsilon^2).

    Jiang et al. (2020), on the examples of the objective. Bisection from 0 to ``largest`` until sigma is known to
    ``tolerance`` of itself, where the paper stops at a drop within 0.01 of the one asked; the draws are the same at
    every sigma, so that the mean drop is a plain function of it. *A trap:* the code published with the paper hands
    :math:`\sigma^2` to a function that takes a standard deviation, so that its sigma is the root of this one. Plain
    noise is fooled by a rescaling of layers; magnitude-aware noise is not if ``epsilon`` is 0 or far below the weights.

    Args:
        objective: ``theta`` and ``evaluate``, such as an :class:`~flatmin.objective.objective.Objective`; ``theta`` and
            ``value`` for ``criterion="loss"``.
        drop: Mean drop of the accuracy, or rise of the loss.
        criterion: ``"accuracy"`` or ``"loss"``.
        magnitude_aware: Scale the noise of each weight by its magnitude.
        epsilon: Standard deviation that is added to such noise; 0 for none.
        draws: Of the noise.
        largest: The largest sigma that is tried.
        tolerance: Of sigma, as a share of it.
        seed: Of the noise, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        Sigma, with its standard error.

    Raises:
        TypeError: If a number is of the wrong kind, or the objective has no accuracy.
        ValueError: If a number is out of range, or the accuracy is NaN.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = pac_bayes_sigma(QuadraticObjective([1.0, 4.0]), criterion="loss", drop=0.1, draws=4000)
        >>> abs(found.value - (2 * 0.1 / (1 + 4)) ** 0.5) < 3 * found.standard_error < 0.01
        True
    """
    one_of("criterion", criterion, CRITERIA)
    within("drop", drop, gt=0, **({"le": 1} if criterion == "accuracy" else {"lt": math.inf}))
    within("epsilon", epsilon, ge=0, lt=math.inf)
    whole("draws", draws, minimum=1)
    positive("largest", largest)
    within("tolerance", tolerance, gt=0, lt=1)
    theta = an_objective(objective).theta
    share = theta.abs() if magnitude_aware else torch.ones_like(theta)
    floor = epsilon if magnitude_aware else 0.0
    seed_of("seed", seed)
    with steps_shown("noise that is borne", None, shown=progress) as advance:
        drops = _Drops(objective, criterion, share, floor, draws, seed, advance)
        low, high = _bracket(drops, drop, float(largest), tolerance)
        reached = low < high
        value = (low + high) / 2
        found = drops.at(value)
        error = drops.error(value, high - low) if low > 0 and reached else math.nan
        for share in BELOW if low > 0 else ():
            drops.at(value * share)
    return PacBayesSigma(
        value=value,
        standard_error=error,
        flatness=1 / value**2,
        converged=reached and low > 0,
        monotone=drops.monotone(),
        drop=float(drop),
        found_drop=float(found.mean()),
        criterion=criterion,
        magnitude_aware=magnitude_aware,
        epsilon=float(floor),
        base=drops.base,
        draws=draws,
        evaluations=1 + draws * len(drops.found),
        **Measured.ground(objective),
        seed=seed,
    )


def _bracket(drops: "_Drops", drop: float, largest: float, tolerance: float) -> tuple[float, float]:
    """Two sigmas between which the mean drop crosses; twice the largest where it is not reached, 0 first for none."""
    low, high = 0.0, largest
    if not float(drops.at(high).mean()) > drop:
        return high, high
    while high - low > tolerance * high and high > SMALLEST * largest:
        middle = (low + high) / 2
        low, high = (low, middle) if float(drops.at(middle).mean()) > drop else (middle, high)
    return low, high


class _Drops:
    """What each draw of the noise costs, at any sigma.

    Raises:
        TypeError: If the objective has no accuracy.
        ValueError: If the accuracy is NaN.
        NotFinite: If the loss at theta is not finite.
    """

    def __init__(
        self, objective: Any, criterion: str, share: Tensor, floor: float, draws: int, seed: int, advance: Advance
    ) -> None:
        self.objective, self.criterion, self.share, self.floor = objective, criterion, share, floor
        self.draws, self.seed, self.advance = draws, seed, advance
        self.theta: Tensor = objective.theta
        self.found: dict[float, Tensor] = {}
        if criterion == "accuracy" and not hasattr(objective, "evaluate"):
            raise TypeError("`objective` must have an accuracy, by `evaluate`; use criterion='loss'.")
        self.base = self._number(self.theta)
        if math.isnan(self.base) and criterion == "accuracy":
            raise ValueError("`criterion` must be 'loss' where the outputs are no class scores: the accuracy is NaN.")
        if not math.isfinite(self.base):
            raise NotFinite(f"the loss at theta must be finite, got {self.base}.")

    def at(self, sigma: float) -> Tensor:
        """The drop of each draw, (draws,) float64; infinite where a loss is NaN."""
        if sigma not in self.found:
            generator = torch.Generator().manual_seed(self.seed)
            scale = torch.hypot(sigma * self.share, torch.full_like(self.share, self.floor))
            sign = -1 if self.criterion == "accuracy" else 1
            drops = torch.empty(self.draws, dtype=torch.float64)
            for draw in range(self.draws):
                noisy = self._number(self.theta + scale * unit_noise(self.theta, generator))
                drops[draw] = sign * (noisy - self.base)
                self.advance()
            self.found[sigma] = drops.nan_to_num(nan=math.inf, posinf=math.inf)
        return self.found[sigma]

    def error(self, sigma: float, width: float) -> float:
        """Standard error of sigma: of the mean drop, over its slope, and what the bisection leaves open."""
        before, after = (float(self.at(sigma * (1 + side)).mean()) for side in (-AROUND, AROUND))
        slope = (after - before) / (2 * AROUND * sigma)
        if self.draws < 2:
            return math.nan
        if not slope > 0:
            return math.inf
        return math.hypot(float(self.at(sigma).std()) / math.sqrt(self.draws) / slope, width / math.sqrt(12))

    def monotone(self) -> bool:
        """Whether the mean drop grows with sigma, up to two standard errors of what it would have to fall by."""
        rows = [self.found[sigma] for sigma in sorted(self.found)]
        return all(_grows(first, second) for first, second in pairwise(rows))

    def _number(self, theta: Tensor) -> float:
        if self.criterion == "accuracy":
            return float(self.objective.evaluate(theta).accuracy)
        return float(self.objective.value(theta))


def _grows(first: Tensor, second: Tensor) -> bool:
    change = second - first
    error = float(change.std()) / math.sqrt(len(change)) if len(change) > 1 else 0.0
    return not float(change.mean()) < -2 * error
