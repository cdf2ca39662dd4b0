"""How high the loss rises in a ball, for all examples or for parts of them, and how far a search can be trusted."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from flatmin.core.checks import one_of, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import Watched, steps_shown
from flatmin.core.result import Measured
from flatmin.sharpness.auto_pgd import auto_pgd
from flatmin.sharpness.ball import Ball, Paths, Peak

SEARCHES = ("auto_pgd", "sam")
TOLERANCE = 1e-3
"""What a search may leave to gain, as a share of its rise, and have converged."""


def highest_rises(
    objective: Any,
    paths: Paths,
    *,
    rho: float,
    norm: str,
    per: int | None,
    search: str,
    steps: int,
    restarts: int,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """What a search finds in the ball that paths lead through, by the fields of `WorstCase`.

    Raises:
        TypeError: If the objective has no parts and ``per`` asks for them, or a number is of the wrong kind.
        ValueError: If a number is out of range or the search unknown.
    """
    one_of("search", search, SEARCHES)
    whole("steps", steps, minimum=1)
    whole("restarts", restarts)
    seed_of("seed", seed)
    parts = [objective] if per is None else _parts(objective, whole("per", per, minimum=1))
    generator = torch.Generator().manual_seed(seed)
    balls, climbs = list[Ball](), list[list[Peak]]()
    total = len(parts) * (2 if search == "sam" else 1 + steps + restarts * (steps + 1))
    device = objective.theta.device
    with full_precision(device), steps_shown("worst-case sharpness", total, shown=progress) as advance:
        for part in parts:
            ball = Ball.around(Watched(part, advance), paths, rho=rho, norm=norm)
            climbs.append([_one_step(ball)] if search == "sam" else _climbs(ball, steps, restarts, generator))
            balls.append(ball)
    best = [found[0] for found in climbs] if search == "sam" else [ball.highest for ball in balls]
    shares = _shares(parts)
    rises = [peak.loss - ball.base_loss for peak, ball in zip(best, balls, strict=True)]
    left_to_gain = [ball.left_to_gain(peak) for peak, ball in zip(best, balls, strict=True)]
    unfinished = sum(not _done(gain, rise, search) for gain, rise in zip(left_to_gain, rises, strict=True))
    resolved = all(ball.resolved for ball in balls)
    return {
        "value": _mean(rises, shares),
        "standard_error": _standard_error(rises, shares),
        "base_loss": _mean([ball.base_loss for ball in balls], shares),
        "rho": rho,
        "norm": norm,
        "per": per,
        "parts": len(parts),
        "search": search,
        "evaluations": sum(ball.evaluations for ball in balls),
        "left_to_gain": _mean(left_to_gain, shares),
        "unfinished": unfinished,
        "converged": resolved and not unfinished,
        "spread": max(_spread(found, ball) for found, ball in zip(climbs, balls, strict=True)),
        "resolved": resolved,
        "not_a_number": sum(ball.not_a_number for ball in balls),
        "seed": seed,
        "perturbation": paths.perturbation(best[0].u) if per is None else None,
        **Measured.ground(objective),
    }


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
