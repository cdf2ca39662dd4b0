r"""The worst-case sharpness: how far the loss can rise when the weights move by no more than a given length.

The standard kind measures that length in the weights (Foret et al., 2021), the adaptive kind in shares of them (Kwon et
al., 2021), which no element-wise rescaling fools; both as in Andriushchenko et al. (2023).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import Watched, steps_shown
from flatmin.core.result import Measured
from flatmin.sharpness.auto_pgd import auto_pgd
from flatmin.sharpness.ball import NORMS, Ball, Peak

SEARCHES = ("auto_pgd", "sam")
TOLERANCE = 1e-3
"""What a search may leave to gain, as a share of its rise, and have converged."""
DISAGREE = 0.1


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class WorstCase(Measured):
    r"""What :func:`worst_case_sharpness` found; of several parts each number is their mean.

    Attributes:
        value: The rise of the loss, in its units. A lower bound of the largest one, unless it has ``converged``.
        standard_error: Of the mean over parts of the examples; NaN without parts, or for one.
        base_loss: Loss at theta.
        rho: Radius.
        norm: ``"l2"`` or ``"linf"``.
        adaptive: Whether each weight moves by a share of itself.
        per: Examples a part; ``None`` for all at once.
        parts: How many.
        search: ``"auto_pgd"`` or ``"sam"``.
        evaluations: Losses computed, each with its gradient.
        left_to_gain: How far the tangent plane at the highest point found rises within the ball: 0 at a maximum, and
            where the loss is concave a bound of what is missing.
        unfinished: Parts whose search left more than 0.1 % of their rise to gain.
        converged: Whether there is none, and the loss finite.
        spread: How far the climbs disagree, (highest - lowest) / highest rise, at most; NaN for one climb.
        resolved: Whether the arithmetic of the weights tells the points of the ball, and their losses, apart.
        not_a_number: Losses that were NaN; they were passed over.
        seed: Of the random starts.
        perturbation: From theta to the highest point found, (size,); ``None`` for parts, which have one each.
    """

    value: float
    standard_error: float
    base_loss: float
    rho: float
    norm: str
    adaptive: bool
    per: int | None
    parts: int
    search: str
    evaluations: int
    left_to_gain: float
    unfinished: int
    converged: bool
    spread: float
    resolved: bool
    not_a_number: int
    seed: int
    perturbation: Tensor | None
    vectors = ("perturbation",)

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value, whether and why it can be trusted, what it rests on."""
        error = "" if math.isnan(self.standard_error) else f" ± {self.standard_error:.2g}"
        rise = "rise of the loss" if self.per is None else f"mean rise of the loss of {self.parts:,} parts"
        yield f"{rise} {self.value:.4g}{error}"
        if not self.resolved:
            yield "NOT RESOLVED: rounding decides in so small a ball, take an objective in float64"
        elif self.converged:
            yield "converged"
        elif math.isinf(self.value):
            yield "NOT CONVERGED: the loss is infinite in the ball"
        else:
            among = "" if self.per is None else f" in {self.unfinished:,} parts"
            yield f"NOT CONVERGED{among}: the maximum may be higher, its slope leaves {self.left_to_gain:.2g} to gain"
        if self.spread > DISAGREE:
            yield f"CLIMBS DISAGREE by {self.spread:.0%} of the rise"
        if self.not_a_number:
            yield f"{self.not_a_number:,} of {self.evaluations:,} losses were NOT A NUMBER and passed over"
        if self.per is not None and self.batch_norm in ("batch", "reestimate"):
            yield f"CAUTION: each part has BatchNorm statistics of its own {self.per:,} examples"
        kind = "adaptive, " if self.adaptive else ""
        yield f"{kind}{self.norm} ball of rho {self.rho:g}, search {self.search!r}, {self.evaluations:,} evaluations"
        yield f"loss {self.base_loss:.4g}"
        yield from self.grounds()


def worst_case_sharpness(
    objective: Any,
    *,
    rho: float,
    norm: str = "l2",
    adaptive: bool = False,
    per: int | None = None,
    search: str = "auto_pgd",
    steps: int = 20,
    restarts: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> WorstCase:
    r"""How far the loss can rise when the weights move by no more than rho.

    .. math:: E_S \max_{\|\delta / c\|_p \le \rho} f_S(\theta + \delta) - f_S(\theta), \quad c = 1
        \text{ or, adaptive, } c = |\theta|.

    Andriushchenko et al. (2023). S is all examples, or with ``per`` each of the disjoint parts of m of them:
    m-sharpness, which falls as m grows. For a small rho it is :math:`\rho \|c \circ g\|_q` with the gradient g and q
    = 2 for l2, 1 for linf; at a critical point and in l2 half of :math:`\rho^2` times the largest eigenvalue of
    :math:`\operatorname{diag}(c)\, H \operatorname{diag}(c)`. The adaptive kind is unchanged when the weights of a
    network are rescaled one by one without changing its function; the standard kind is not (Dinh et al., 2017).
    Weights that are 0 do not move in it, where Kwon et al. (2021) move biases by rho and add 0.01 to each magnitude.

    ``"auto_pgd"``
        the search of the paper (see :mod:`flatmin.sharpness.auto_pgd`), in :math:`\delta / c`, where it is blind to a
        rescaling as the measure is; the authors' code projects in :math:`\delta`, where it is not.
    ``"sam"``
        one step along the gradient, as SAM and ASAM take it; for networks far below the maximum, and negative where
        the step leads down.

    Both are lower bounds. ``converged`` is no end of a search but a test of the point found: the tangent plane there
    gains no more than 0.1 % of the rise within the ball. No test excludes a higher maximum elsewhere; ``restarts`` look
    for one. On a trained network of 9,000 weights these found at most 0.03 % more, 300 steps in place of 20 at most
    0.01 %, and the strong search of :func:`~flatmin.sharpness.epsilon_sharpness` in the same linf balls nothing. Where
    many eigenvalues are close and the slope is small it is harder: of quadratics with random Hessians in 40 dimensions
    a converged search missed 0.5 % on average and 7 % at most.

    Args:
        objective: The loss to probe: ``theta`` and ``value_and_gradient``, such as an
            :class:`~flatmin.objective.objective.Objective`; with ``per`` also ``parts``.
        rho: Radius. The papers have 0.05 (SAM), 0.5 (ASAM), in linf 5e-4 to 8e-3.
        norm: ``"l2"`` or ``"linf"``, of the perturbation (divided by c).
        adaptive: Let each weight move by a share of itself.
        per: m, the examples a part; the last part has what is left, and counts by it. A BatchNorm that reads the
            statistics of the batch reads those of the part.
        search: ``"auto_pgd"`` or ``"sam"``.
        steps: Of each climb of ``"auto_pgd"``.
        restarts: Further climbs of ``"auto_pgd"`` from random points.
        seed: Of these, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The rise, where it was found, what it cost and how far it can be trusted.

    Raises:
        TypeError: If ``objective`` is none, or has no parts and ``per`` asks for them; if a number is of the wrong
            kind.
        ValueError: If a number is out of range or a name is unknown.
        RuntimeError: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = worst_case_sharpness(QuadraticObjective([1.0, 4.0]), rho=0.1)  # 0.1**2 / 2 * 4
        >>> round(float(found), 6), found.converged
        (0.02, True)
    """
    positive("rho", rho)
    one_of("norm", norm, NORMS)
    one_of("search", search, SEARCHES)
    whole("steps", steps, minimum=1)
    whole("restarts", restarts)
    seed_of("seed", seed)
    theta = an_objective(objective).theta
    parts = [objective] if per is None else _parts(objective, whole("per", per, minimum=1))
    generator = torch.Generator().manual_seed(seed)
    balls, climbs = list[Ball](), list[list[Peak]]()
    total = len(parts) * (2 if search == "sam" else 1 + steps + restarts * (steps + 1))
    with full_precision(theta.device), steps_shown("worst-case sharpness", total, shown=progress) as advance:
        for part in parts:
            balls.append(Ball.around(Watched(part, advance), rho=float(rho), norm=norm, adaptive=adaptive))
            climbs.append([_one_step(balls[-1])] if search == "sam" else _climbs(balls[-1], steps, restarts, generator))
    best = [found[0] for found in climbs] if search == "sam" else [ball.highest for ball in balls]
    shares = _shares(parts)
    rises = [peak.loss - ball.base_loss for peak, ball in zip(best, balls, strict=True)]
    left_to_gain = [ball.left_to_gain(peak) for peak, ball in zip(best, balls, strict=True)]
    unfinished = sum(not _done(gain, rise, search) for gain, rise in zip(left_to_gain, rises, strict=True))
    resolved = all(ball.resolved for ball in balls)
    return WorstCase(
        value=_mean(rises, shares),
        standard_error=_standard_error(rises, shares),
        base_loss=_mean([ball.base_loss for ball in balls], shares),
        rho=float(rho),
        norm=norm,
        adaptive=adaptive,
        per=per,
        parts=len(parts),
        search=search,
        evaluations=sum(ball.evaluations for ball in balls),
        left_to_gain=_mean(left_to_gain, shares),
        unfinished=unfinished,
        converged=resolved and not unfinished,
        spread=max(_spread(found, ball) for found, ball in zip(climbs, balls, strict=True)),
        resolved=resolved,
        not_a_number=sum(ball.not_a_number for ball in balls),
        seed=seed,
        perturbation=balls[0].scale * best[0].u if per is None else None,
        **Measured.ground(objective),
    )


def _parts(objective: Any, per: int) -> list[Any]:
    """Parts of so many examples.

    Raises:
        TypeError: If the objective has none.
    """
    if not hasattr(objective, "parts"):
        raise TypeError(
            f"`per` needs an objective with examples, got {type(objective).__name__}; make an Objective of a network."
        )
    found: list[Any] = objective.parts(per)
    return found


def _one_step(ball: Ball) -> Peak:
    u = ball.rho * ball.norm.steepest(ball.base_slope)
    loss, slope = ball.value_and_slope(u)
    return Peak(loss if loss > -math.inf else math.nan, u, slope)


def _done(gain: float, rise: float, search: str) -> bool:
    """Whether the point found is a maximum, as far as its slope tells; a step that did not rise is none."""
    return gain <= TOLERANCE * rise < math.inf and (rise > 0 or search == "auto_pgd")


def _climbs(ball: Ball, steps: int, restarts: int, generator: torch.Generator) -> list[Peak]:
    """One from the centre, or near it where it is a critical point, and the others from random points."""
    center = torch.zeros_like(ball.theta)
    starts = [center if ball.base_slope.any() else ball.random_point(generator)]
    starts += [ball.random_point(generator) for _ in range(restarts)]
    return [auto_pgd(ball, start, steps=steps) for start in starts]


def _shares(parts: Sequence[Any]) -> list[float]:
    if len(parts) == 1:
        return [1.0]
    counts = [part.examples for part in parts]
    return [count / sum(counts) for count in counts]


def _mean(values: Sequence[float], shares: Sequence[float]) -> float:
    return sum(share * value for share, value in zip(shares, values, strict=True))


def _standard_error(values: Sequence[float], shares: Sequence[float]) -> float:
    count, mean = len(values), _mean(values, shares)
    if count == 1 or not math.isfinite(mean):
        return math.nan
    off = sum((share * (value - mean)) ** 2 for share, value in zip(shares, values, strict=True))
    return math.sqrt(off * count / (count - 1))


def _spread(climbs: Sequence[Peak], ball: Ball) -> float:
    highest = max(climb.loss for climb in climbs) - ball.base_loss
    lowest = min(climb.loss for climb in climbs) - ball.base_loss
    if len(climbs) == 1 or math.isinf(highest):
        return math.nan
    return (highest - max(lowest, 0.0)) / highest if highest > 0 else 0.0
