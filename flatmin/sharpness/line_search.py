r"""A step along a descent direction that meets the strong Wolfe conditions: Moré and Thuente (1994).

With :math:`\varphi(\alpha) = f(x + \alpha d)` the step is to satisfy

.. math:: \varphi(\alpha) \le \varphi(0) + \mu \alpha \varphi'(0), \qquad |\varphi'(\alpha)| \le \eta |\varphi'(0)|.

An interval that holds such a step is widened until it is sure to, then narrowed by cubics, parabolas and secants. Until
a step with a sufficiently low value and a rising slope is seen, the function searched is
:math:`\psi(\alpha) = \varphi(\alpha) - \mu \alpha \varphi'(0)`. All numbers are Python floats.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import copysign, sqrt

SUFFICIENT_DECREASE = 1e-3
CURVATURE = 0.9
NARROW = 0.1
MOST_TRIALS = 20
SHRINKING = 0.66
NEAREST_STRETCH, FARTHEST_STRETCH = 1.1, 4.0


@dataclass(frozen=True)
class Trial:
    """A step, the value there and the slope along the direction."""

    step: float
    value: float
    slope: float

    def tilted(self, slope: float) -> "Trial":
        """The same step on the function less ``slope`` times the step."""
        return replace(self, value=self.value - slope * self.step, slope=self.slope - slope)


def strong_wolfe(evaluate: Callable[[float], Trial], origin: Trial, *, longest: float) -> Trial | None:
    """Search from a first step of 1.

    Args:
        evaluate: Gives the trial at a step.
        origin: The trial at step 0; its slope is negative.
        longest: Longest step allowed, at least 1.

    Returns:
        The last trial: one that meets the conditions, or the best there is where the interval has become too narrow or
        the longest step is still too short; ``None`` after twenty trials.
    """
    interval = Bracket(best=origin, other=origin, low=0.0, high=1 + FARTHEST_STRETCH)
    step, widths = 1.0, (longest, 2 * longest)
    enough, on_psi = SUFFICIENT_DECREASE * origin.slope, True
    for _ in range(MOST_TRIALS):
        trial = evaluate(step)
        low_enough = trial.value <= origin.value + step * enough
        if low_enough and trial.slope >= 0:
            on_psi = False
        if (
            (low_enough and abs(trial.slope) <= -CURVATURE * origin.slope)
            or (step == longest and low_enough and trial.slope <= enough)
            or interval.exhausted(step)
            or (step == 0 and not (low_enough and trial.slope < enough))
        ):
            return trial
        tilt = enough if on_psi and trial.value <= interval.best.value and not low_enough else 0.0
        step, interval = interval.narrowed(trial, tilt)
        if interval.bracketed:
            if interval.width >= SHRINKING * widths[1]:
                step = (interval.best.step + interval.other.step) / 2
            widths = interval.width, widths[0]
        interval = interval.bounded(step)
        step = min(max(step, 0.0), longest)
        if interval.exhausted(step):
            step = interval.best.step
    return None


@dataclass(frozen=True)
class Bracket:
    """Where the step is looked for.

    Attributes:
        best: The lowest trial so far that is an end of the interval.
        other: The other end.
        low: Lower bound of the next step.
        high: Its upper bound.
        bracketed: Whether a minimum is known to lie between the ends.
    """

    best: Trial
    other: Trial
    low: float
    high: float
    bracketed: bool = False

    @property
    def width(self) -> float:
        """Distance of the ends."""
        return abs(self.other.step - self.best.step)

    def exhausted(self, step: float) -> bool:
        """Whether the ends are too close to each other for a step between them."""
        outside = not self.low < step < self.high
        return self.bracketed and (outside or self.high - self.low <= NARROW * self.high)

    def bounded(self, step: float) -> "Bracket":
        """With bounds for the trial after ``step``: the ends, or a stretch beyond while nothing is bracketed."""
        if self.bracketed:
            ends = self.best.step, self.other.step
            return replace(self, low=min(ends), high=max(ends))
        ahead = step - self.best.step
        return replace(self, low=step + NEAREST_STRETCH * ahead, high=step + FARTHEST_STRETCH * ahead)

    def narrowed(self, trial: Trial, tilt: float) -> tuple[float, "Bracket"]:
        """The next step, and the interval whose one end is ``trial``; judged on the values less ``tilt`` a step."""
        best, other, new = self.best.tilted(tilt), self.other.tilted(tilt), trial.tilted(tilt)
        turns = new.slope * copysign(1.0, best.slope) < 0
        step = self._step(best, other, new, turns)
        bracketed = self.bracketed or new.value > best.value or turns
        if new.value > best.value:
            return step, replace(self, other=trial, bracketed=bracketed)
        return step, replace(self, best=trial, other=self.best if turns else self.other, bracketed=bracketed)

    def _step(self, best: Trial, other: Trial, new: Trial, turns: bool) -> float:
        """The four cases of Moré and Thuente, section 4."""
        if new.value > best.value:
            cubic, parabola = cubic_step(best, new), parabola_step(best, new)
            near = abs(cubic - best.step) < abs(parabola - best.step)
            return cubic if near else (cubic + parabola) / 2
        if turns:
            cubic, secant = cubic_step(new, best), secant_step(best, new)
            return cubic if abs(cubic - new.step) > abs(secant - new.step) else secant
        bound = self.high if new.step > best.step else self.low
        if abs(new.slope) < abs(best.slope):
            return self._along(best, other, new, bound)
        return cubic_step(new, other) if self.bracketed else bound

    def _along(self, best: Trial, other: Trial, new: Trial, bound: float) -> float:
        """The slope flattens: its cubic, if that has a minimum ahead, and its secant; never far past the trial."""
        cubic, secant = cubic_step(new, best, ahead_of=bound), secant_step(best, new)
        nearer = abs(cubic - new.step) < abs(secant - new.step)
        if not self.bracketed:
            return min(max(secant if nearer else cubic, self.low), self.high)
        limit = new.step + SHRINKING * (other.step - new.step)
        step = cubic if nearer else secant
        return min(step, limit) if new.step > best.step else max(step, limit)


def cubic_step(first: Trial, second: Trial, *, ahead_of: float | None = None) -> float:
    """Minimiser of the cubic with the values and slopes of two trials.

    Args:
        first: The trial that the step is measured from.
        second: The other.
        ahead_of: If given, the minimiser is to lie on the far side of ``first``, and this is returned where there is
            none.
    """
    way = second.step - first.step
    middle = 3 * (first.value - second.value) / way + first.slope + second.slope
    size = max(abs(middle), abs(first.slope), abs(second.slope))
    root = size * sqrt(max(0.0, (middle / size) ** 2 - first.slope / size * (second.slope / size)))
    root = copysign(root, way)
    share = (root - first.slope + middle) / d if (d := 2 * root - first.slope + second.slope) else 0.0
    if ahead_of is not None and not (share < 0 and root != 0):
        return ahead_of
    return first.step + share * way


def parabola_step(first: Trial, second: Trial) -> float:
    """Minimiser of the parabola with both values and the slope of the first trial."""
    way = second.step - first.step
    return first.step + first.slope / ((first.value - second.value) / way + first.slope) / 2 * way


def secant_step(first: Trial, second: Trial) -> float:
    """Where the straight line through two slopes is zero."""
    return second.step + second.slope / (second.slope - first.slope) * (first.step - second.step)
