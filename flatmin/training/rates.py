r"""The learning rate against the batch size and against the epoch: numbers alone, for any training.

A rate over a training is a full rate times factors, each a function of the epoch: ``WarmUp`` begins below the full
rate, ``Decay`` and ``SlowStart`` go down in steps. Epochs are counted from 0 and may be parts of one: after 30 of 120
batches the epoch is 0.25. :mod:`flatmin.training.schedules` makes schedulers of torch and Lightning of them.

Momentum correction: Goyal et al. (2017), section 3, want the velocity multiplied by new over old rate when the rate
changes and the velocity holds it, :math:`v \leftarrow m v + \eta g, w \leftarrow w - v`. The velocity of
``torch.optim.SGD`` holds gradients alone, :math:`v \leftarrow m v + g, w \leftarrow w - \eta v`, and needs none. For
the other kind there is :func:`corrected_momentum`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self

from pydantic import Field

from flatmin.core.checked import Checked, Misfit
from flatmin.core.checks import positive, whole, within
from flatmin.core.cuts import cuts
from flatmin.core.fields import Positive, Several, Share

BASE = 256
"""The batch of which the rate is told: that of Goyal et al. and of Keskar et al. (2017)."""
Time = Annotated[float, Field(gt=0, le=1_000_000)]
"""A time in epochs, which may end within one."""


class RateFactor(Protocol):
    """What a rate is multiplied by in the course of a training."""

    def at(self, epoch: float) -> float:
        """The factor when ``epoch`` epochs are done."""


def linear_scaling(learning_rate: float, batch_size: int, *, base: int = BASE) -> float:
    r"""The rate :math:`\eta B / B_0` of a batch of B, for a rate :math:`\eta` that suits batches of :math:`B_0`.

    Goyal et al. (2017), section 2.1: as many examples then move the weights as far, to first order. Theirs is 0.1 for
    256. It needs a warm-up at large batches, their section 2.2.

    Args:
        learning_rate: Rate for batches of ``base``.
        batch_size: Examples a step.
        base: Examples a step for which the rate was found.

    Raises:
        TypeError: If the rate is no number, or a size is not whole.
        ValueError: If one is not positive.

    Example:
        >>> linear_scaling(0.1, 8192)
        3.2
    """
    return positive("learning_rate", learning_rate) * float(_ratio(batch_size, base))


def sqrt_scaling(learning_rate: float, batch_size: int, *, base: int = BASE) -> float:
    r"""The rate :math:`\eta \sqrt{B / B_0}` of a batch of B, for a rate :math:`\eta` that suits batches of :math:`B_0`.

    Hoffer et al. (2017), section 4: the covariance of an update, :math:`\eta^2 / B` times that of a gradient, then
    stays. They start from 128, and clip the gradient to a norm of 5 in the first iterations
    (``Trainer(gradient_clip_val=5)`` does so in all).

    Args:
        learning_rate: Rate for batches of ``base``.
        batch_size: Examples a step.
        base: Examples a step for which the rate was found.

    Raises:
        TypeError: If the rate is no number, or a size is not whole.
        ValueError: If one is not positive.

    Example:
        >>> sqrt_scaling(0.1, 2048, base=128)
        0.4
    """
    return positive("learning_rate", learning_rate) * math.sqrt(_ratio(batch_size, base))


SCALINGS = {"linear": linear_scaling, "sqrt": sqrt_scaling}
"""The rules, by the names that a file has for them."""


@dataclass(frozen=True)
class WarmUp(Checked):
    r"""A rate that begins below the full one: :math:`s + (1 - s) e / E` at epoch e of the first E, then 1.

    Goyal et al. (2017), section 2.2. They begin at the rate of one batch of 256, a share s = 256 / B of a rate that is
    scaled linearly (1/32 at 8,192), and reach the full one after 5 epochs, a little with every step. Their constant
    warm-up stays at s for E epochs and does worse than none.

    Attributes:
        epochs: How long.
        start: Share of the full rate at the first step.
        shape: ``gradual`` or ``constant``.

    Example:
        >>> [round(WarmUp(epochs=2, start=0.1).at(epoch), 4) for epoch in (0, 0.5, 1, 2, 3)]
        [0.1, 0.325, 0.55, 1.0, 1.0]
    """

    epochs: Time = 5.0
    start: Share = 0.1
    shape: Literal["gradual", "constant"] = "gradual"

    def at(self, epoch: float) -> float:
        """The factor when ``epoch`` epochs are done.

        Raises:
            TypeError: If ``epoch`` is no number.
            ValueError: If it is negative.
        """
        if within("epoch", epoch, ge=0) >= self.epochs:
            return 1.0
        return self.start if self.shape == "constant" else self.start + (1 - self.start) * (epoch / self.epochs)

    def stretched(self, by: Fraction | float) -> Self:
        """The same over ``by`` times as many epochs."""
        return replace(self, epochs=times(self.epochs, by))


@dataclass(frozen=True)
class Decay(Checked):
    """A rate that falls by a factor at each of some epochs.

    The defaults are those of Goyal et al. (2017) for a training of 90 epochs. Hoffer et al. (2017) have 10, 20 and 30
    of 50 epochs for F1.

    Attributes:
        epochs: When, in rising order.
        factor: What the rate is multiplied by at each.

    Example:
        >>> [Decay(epochs=(30, 60), factor=0.5).at(epoch) for epoch in (29.9, 30, 59, 60)]
        [1.0, 0.5, 0.5, 0.25]
    """

    epochs: Several[Time] = (30.0, 60.0, 80.0)
    factor: Share = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rising(self.epochs)

    def at(self, epoch: float) -> float:
        """The factor when ``epoch`` epochs are done.

        Raises:
            TypeError: If ``epoch`` is no number.
            ValueError: If it is negative.
        """
        return float(self.factor ** passed(self.epochs, epoch))

    def stretched(self, by: Fraction | float) -> Self:
        """The same with each milestone ``by`` times as late."""
        return replace(self, epochs=tuple(times(epoch, by) for epoch in self.epochs))


@dataclass(frozen=True)
class SlowStart(Checked):
    """A rate in steps, the first of them low.

    Akiba et al. (2017), ResNet-50 in 15 minutes: the rate scaled linearly from 0.1 for 256 is multiplied by 0.5 for 40
    epochs, by 0.075 for 30, by 0.01 for 15 and by 0.001 for 5.

    Attributes:
        epochs: When the next step begins, in rising order.
        factors: What the rate is multiplied by before the first of these epochs, between them, and after the last.

    Example:
        >>> [SlowStart().at(epoch) for epoch in (0, 40, 70, 85)]
        [0.5, 0.075, 0.01, 0.001]
    """

    epochs: Several[Time] = (40.0, 70.0, 85.0)
    factors: Annotated[tuple[Positive, ...], Field(strict=False)] = (0.5, 0.075, 0.01, 0.001)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rising(self.epochs)
        if len(self.factors) != len(self.epochs) + 1:
            raise Misfit("factors", f"must be one more than the {len(self.epochs)} `epochs`, got {len(self.factors)}")

    def at(self, epoch: float) -> float:
        """The factor when ``epoch`` epochs are done.

        Raises:
            TypeError: If ``epoch`` is no number.
            ValueError: If it is negative.
        """
        return self.factors[passed(self.epochs, epoch)]

    def stretched(self, by: Fraction | float) -> Self:
        """The same with each step ``by`` times as long."""
        return replace(self, epochs=tuple(times(epoch, by) for epoch in self.epochs))


def product(*parts: RateFactor | None) -> Callable[[float], float]:
    """The factor of several parts together, a function of the epoch; ``None`` is left out.

    Example:
        >>> rate = product(WarmUp(epochs=2, start=0.5), Decay(epochs=(3,)))
        >>> [rate(epoch) for epoch in (0, 1, 2, 3)]
        [0.5, 0.75, 1.0, 0.1]
    """
    present = [part for part in parts if part is not None]
    return lambda epoch: math.prod(part.at(epoch) for part in present)


def corrected_momentum(momentum: float, *, before: float, now: float) -> float:
    r"""The momentum of the first step after a change of the rate, where the velocity holds the rate.

    Goyal et al. (2017), section 3: :math:`v \leftarrow m (\eta_{now} / \eta_{before}) v + \eta_{now} g`.
    ``torch.optim.SGD`` needs none, see above.

    Args:
        momentum: Of the optimiser.
        before: The rate of the last step.
        now: The rate of this step.

    Raises:
        TypeError: If one is no number.
        ValueError: If the momentum does not lie in [0, 1), or a rate is not positive.
    """
    return within("momentum", momentum, ge=0, lt=1) * positive("now", now) / positive("before", before)


class Regime(NamedTuple):
    """How long a training is, and its phases."""

    epochs: int
    phases: tuple[Any, ...]


def regime_adaptation(epochs: int, *phases: Any, batch_size: int, base: int, examples: int | None = None) -> Regime:
    r"""A training stretched until a larger batch makes as many updates: e epochs become :math:`e B / B_0`.

    Hoffer et al. (2017), section 5: the gap of large batches closes when every phase of the schedule keeps its number
    of updates. It costs :math:`B / B_0` times the examples.

    Where both batches divide the data, and the stretched training is a whole number of epochs, the number of updates is
    the same. With ``examples`` the stretch is the ratio of the updates an epoch, short last batches counted (as
    ``flatmin.data.batches`` cuts them), and the number is kept to within half an epoch of the larger batch; every
    milestone keeps its update, whatever the sizes.

    Args:
        epochs: Of the training with batches of ``base``.
        phases: What belongs to its schedule: :class:`WarmUp`, :class:`Decay`, :class:`SlowStart`,
            :class:`~flatmin.training.growing_batch.GrowingBatch`, or ``None``.
        batch_size: The larger batch.
        base: The batch for which the schedule was made.
        examples: Of an epoch, if known.

    Returns:
        The stretched epochs, at least one, rounded to a whole number; and the stretched phases in their order.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If one is below one, or a batch is larger than the data.

    Example:
        >>> regime_adaptation(50, Decay(epochs=(10, 20, 30)), batch_size=4096, base=128)
        Regime(epochs=1600, phases=(Decay(epochs=(320.0, 640.0, 960.0), factor=0.1),))
    """
    whole("epochs", epochs, minimum=1)
    by = _ratio(batch_size, base)
    if examples is not None:
        for name, size in (("batch_size", batch_size), ("base", base)):
            if size > whole("examples", examples, minimum=1):
                raise ValueError(f"`{name}` must be at most the {examples} examples, got {size}.")
        by = Fraction(len(cuts(examples, base)), len(cuts(examples, batch_size)))
    stretched = tuple(phase if phase is None else phase.stretched(by) for phase in phases)
    return Regime(max(1, math.floor(epochs * by + Fraction(1, 2))), stretched)


def check_rising(epochs: tuple[float, ...]) -> None:
    """Refuse milestones that are none, or not in rising order.

    Raises:
        Misfit: If they are so.
    """
    if not epochs or any(later <= earlier for earlier, later in pairwise(epochs)):
        raise Misfit("epochs", f"must be one or more in rising order, got {list(epochs)}")


def passed(milestones: tuple[float, ...], epoch: float) -> int:
    """How many milestones are reached when ``epoch`` epochs are done.

    Raises:
        TypeError: If ``epoch`` is no number.
        ValueError: If it is negative.
    """
    within("epoch", epoch, ge=0)
    return sum(epoch >= milestone for milestone in milestones)


def _ratio(batch_size: int, base: int) -> Fraction:
    return Fraction(whole("batch_size", batch_size, minimum=1), whole("base", base, minimum=1))


def times(epochs: float, by: Fraction | float) -> float:
    """A stretched time, rounded once: a milestone at a step stays at one."""
    return float(Fraction(epochs) * Fraction(by))
