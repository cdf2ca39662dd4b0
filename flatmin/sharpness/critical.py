r"""Critical sharpness: how far along an update the loss begins to rise, read from values of the loss alone."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatmin.core.checks import an_objective, positive, within
from flatmin.core.errors import NotFinite
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.objective.optimized import single_rate
from flatmin.objective.updates import update_of

ROUNDING = 4
"""Machine epsilons of the loss below which a change of it is rounding."""
TRIES = 60
"""Doublings of the step."""
Point = tuple[float, float]
UNCLEAR = 4
"""Halvings of a step that raises the loss by less than rounding, after which nothing is below."""


class Sloped(Protocol):
    """What is asked of an objective; its gradient only where no direction is given."""

    @property
    def theta(self) -> Tensor:
        """Where the model stands, (size,)."""
        ...

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar."""
        ...

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and its gradient, (size,)."""
        ...


@dataclass(frozen=True, repr=False, kw_only=True)
class CriticalSharpness(Measured):
    r"""What :func:`critical_sharpness` found.

    Attributes:
        value: :math:`\lambda_c = 2 / \eta_c`; 0 where the loss never rose, infinite where no step lowered it, NaN where
            there is no direction.
        step: The critical step in multiples of the direction; infinite, 0 or NaN in those cases.
        learning_rate: That of the direction: :math:`\eta_c` is ``step`` times it.
        relative: Whether the direction is another objective's.
        base_loss: The loss where the model stands.
        lowest_loss: The lowest loss on the way.
        tolerance: Ratio, less one, of the two steps between which the loss crosses where it stood.
        resolved: Whether the dip is so much deeper than rounding that the step is right to the tolerance.
        evaluations: Losses evaluated; a gradient, where one was taken, is not counted.
    """

    value: float
    step: float
    learning_rate: float
    relative: bool
    base_loss: float
    lowest_loss: float
    tolerance: float
    resolved: bool
    evaluations: int

    def __float__(self) -> float:
        return self.value

    @property
    def converged(self) -> bool:
        """Whether the step is finite, positive and beyond rounding."""
        return self.resolved and 0 < self.step < math.inf

    @property
    def warm_start(self) -> float | None:
        """The step that the next search may try first; ``None`` where there is none."""
        return self.step if self.converged else None

    def words(self) -> Iterator[str]:
        """The value, whether it tells anything, what it rests on."""
        whose = "relative critical sharpness" if self.relative else "critical sharpness"
        yield f"{whose} {self.value:.4g}, the loss rises after {self.step:.4g} of the update"
        if math.isnan(self.step):
            yield "NO DIRECTION: the update is zero or not finite"
        elif self.step == math.inf:
            yield "NEVER RISES: not within the steps that were tried"
        elif not self.step:
            yield "NO STEP LOWERS THE LOSS: uphill, or downhill by less than rounding"
        elif not self.resolved:
            yield "ROUNDING DECIDES: the dip is too shallow for this arithmetic, take float64"
        yield f"loss {self.base_loss:.4g}, lowest {self.lowest_loss:.4g}, {self.evaluations:,} evaluations"
        yield from self.grounds()


def critical_sharpness(
    objective: Sloped,
    direction: Tensor | None = None,
    *,
    along: Sloped | None = None,
    optimizer: Optimizer | None = None,
    model: nn.Module | None = None,
    learning_rate: float | None = None,
    start: float = 1.0,
    tolerance: float = 0.05,
) -> CriticalSharpness:
    r"""Two over the smallest step along an update that raises the loss (Kalra et al., 2026, arXiv 2601.16979).

    .. math:: \lambda_c = 2 / \eta_c, \quad \eta_c = \min \{\eta > 0 : f(\theta + \eta \Delta) > f(\theta)\}

    for an update :math:`\eta \Delta` of learning rate :math:`\eta`. Where the loss is a parabola along it, with slope
    :math:`g` and Hessian H, :math:`\lambda_c = \Delta^\top H \Delta / (-g^\top \Delta)`: along the negative gradient a
    mean of the eigenvalues weighted by the gradient, hence at most the largest. Gradient descent whose learning rate
    is above :math:`2 / \lambda_c` raises the loss in its next step.

    The step is doubled or halved from ``start`` on until the loss crosses where it stood, then bisected; a straight
    line between the last two losses gives the crossing. It takes about six losses and no second derivative. A rise that
    ends again within a factor of two is passed over, and a loss that is not finite counts as raised.

    The relative kind asks what training on one loss does to another: ``along`` gives the direction, ``objective`` is
    looked at.

    Args:
        objective: The loss that is looked at: ``theta`` and ``value``, and ``value_and_gradient`` where it is to give
            the direction itself.
        direction: An update, (size,), from :func:`~flatmin.objective.updates.update_of` say; the negative gradient
            unless it or an optimizer is given.
        along: The loss whose gradient or optimiser gives the direction; ``objective`` unless it is given.
        optimizer: Take the step that this optimiser would take on that loss, and its learning rate.
        model: The network that is optimised, where the optimiser has its parameters in another order.
        learning_rate: That of ``direction``; 1 unless it is given.
        start: The step that is tried first, in multiples of the direction; the last one found saves evaluations.
        tolerance: Ratio, less one, of the two last steps.

    Returns:
        The critical sharpness and step.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If a number is out of range, ``direction`` has another shape than theta, or both it and another
            source of directions are given.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = QuadraticObjective([1.0, 4.0], theta=torch.tensor([1.0, 1.0]))
        >>> exact = (1 * 1**2 + 4 * 4**2) / (1**2 + 4**2)
        >>> abs(critical_sharpness(bowl).value / exact - 1) < 1e-3
        True
    """
    positive("start", start)
    within("tolerance", tolerance, gt=0, le=1)
    theta = an_objective(objective).theta
    if direction is not None and (along is not None or optimizer is not None):
        raise ValueError("`direction` must not be given beside `along` or `optimizer`, which give one of their own.")
    source = objective if along is None else an_objective(along)
    rate = 1.0 if learning_rate is None else positive("learning_rate", learning_rate)
    if optimizer is not None:
        update = update_of(optimizer, source, model=model)
        rate = single_rate(optimizer) if learning_rate is None else rate
    else:
        update = -source.value_and_gradient(source.theta)[1] if direction is None else torch.as_tensor(direction)
    if update.shape != theta.shape:
        raise ValueError(f"`direction` must have shape {tuple(theta.shape)}, got {tuple(update.shape)}.")
    update = update.to(theta)
    base = float(objective.value(theta))
    if not math.isfinite(base):
        raise NotFinite(f"the loss at theta must be finite, got {base}.")
    noise = ROUNDING * torch.finfo(theta.dtype).eps * abs(base)
    way = _Way(lambda step: float(objective.value(theta + step * update)), base, noise)
    length = norm(update)
    step = way.crossing(start, tolerance) if math.isfinite(length) and length else math.nan
    return CriticalSharpness(
        value=math.inf if not step else 2 / (step * rate) if rate else math.nan,
        step=step,
        learning_rate=rate,
        relative=along is not None,
        base_loss=base,
        lowest_loss=way.lowest,
        tolerance=float(tolerance),
        resolved=way.fell and noise <= 4 * (base - way.lowest) * tolerance,
        evaluations=1 + way.evaluations,
        **Measured.ground(objective),
    )


class _Way:
    """The loss along a direction, as far as it has been looked at."""

    def __init__(self, loss: Callable[[float], float], base: float, noise: float) -> None:
        self.loss, self.base, self.noise = loss, base, noise
        self.lowest, self.evaluations = base, 0

    def crossing(self, start: float, tolerance: float) -> float:
        """The step at which the loss comes back to where it stood: infinite if never, 0 if it is never below."""
        inner, outer = self._bracket(start)
        if inner is None or outer is None:
            return 0.0 if inner is None else math.inf
        while outer[0] > inner[0] * (1 + tolerance):
            middle = self._at(math.sqrt(inner[0] * outer[0]))
            inner, outer = (inner, middle) if middle[1] > 0 else (middle, outer)
        if not (math.isfinite(outer[1]) and math.isfinite(inner[1]) and outer[1] > inner[1]):
            return math.sqrt(inner[0] * outer[0])
        return inner[0] + (outer[0] - inner[0]) * -inner[1] / (outer[1] - inner[1])

    def _bracket(self, start: float) -> tuple[Point | None, Point | None]:
        """A step that lowers the loss and one, twice as long, that raises it; ``None`` for one that was not found."""
        here, unclear = self._at(start), 0
        if here[1] > self.noise:
            while unclear < UNCLEAR:
                further, here = here, self._at(here[0] / 2)
                if here[1] < 0:
                    return here, further
                unclear += here[1] <= self.noise
            return None, here
        for _ in range(TRIES):
            nearer, here = here, self._at(here[0] * 2)
            if here[1] > (0 if self.fell else self.noise):
                if not self.fell:
                    self._at(nearer[0] / 2)
                return (nearer if self.fell else None), here
        return here, None

    @property
    def fell(self) -> bool:
        """Whether the loss was below where it stood by more than rounding."""
        return self.base - self.lowest > self.noise

    def _at(self, step: float) -> Point:
        """A step and the rise of the loss that it makes, infinite where the loss is not finite."""
        loss = self.loss(step)
        self.evaluations += 1
        if math.isnan(loss):
            return step, math.inf
        self.lowest = min(self.lowest, loss)
        return step, loss - self.base
