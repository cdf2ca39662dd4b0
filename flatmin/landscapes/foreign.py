"""A warning where the running averages of one network would be used at the weights of another."""

import warnings
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from flatmin.core.vectors import norm

FAR = 0.2
"""How far a slice has to reach, as a share of the length of the weights, to count as leaving its network."""


def warn_if_foreign(objective: Any, ways: Iterable[Tensor]) -> None:
    """Warn if a slice reads ``"running"`` averages and goes as another trained network would lie.

    The averages of another network are not in a vector of weights, so nobody but its owner can know that a direction
    leads to it. What tells it from a random one is that it moves biases or the scale and shift of BatchNorm, goes far,
    and, on a line, is followed to just ``alpha = 1``.

    Args:
        objective: The loss.
        ways: From where it stands to the far ends of the slice; not looked at for another reading.
    """
    if getattr(objective, "batch_norm", None) != "running" or not getattr(objective, "has_batch_norm", False):
        return
    reach = FAR * norm(objective.theta)
    if any(norm(way) > reach and _moves_others(objective, way) for way in ways):
        warnings.warn(
            "batch_norm='running' uses the averages of this network all along the slice; where it leads to another "
            "network they are wrong. For two networks use flatmin.path_between(first, second, alphas), or "
            "batch_norm='batch' or 'reestimate'.",
            stacklevel=3,
        )


def milestones(alphas: Tensor) -> tuple[float, ...]:
    """Where on a line or a path a network may stand: at 0, and at 1 if that is among the points."""
    return (0.0, 1.0) if bool(((alphas - 1).abs() < 1e-6).any()) else (0.0,)


def _moves_others(objective: Any, way: Tensor) -> bool:
    """Whether it moves parameters of one dimension, which filter-normalised directions do not."""
    return any(part.ndim < 2 and bool(part.any()) for part in objective.unflatten(way).values())
