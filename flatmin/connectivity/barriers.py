r"""The barrier between two minima, by both definitions that are in use.

``above_ends`` is :math:`\max_t L(\phi(t)) - \max(L(w_1), L(w_2))`; ``above_line`` is
:math:`\max_t \, [L(\phi(t)) - (1 - t) L(w_1) - t L(w_2)]` (Frankle et al. 2020, Entezari et al. 2022). They agree where
both ends have one loss; else the second is the larger.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from flatmin.core.result import Result
from flatmin.landscapes.grid import Coordinates, coordinates
from flatmin.landscapes.values import Line

NEAR = 1e-9
"""How near to 0 and 1 a coordinate has to be to be an end."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Barrier(Result):
    """How far a loss rises between two ends; ``float()`` gives ``above_ends``.

    Attributes:
        above_ends: Its maximum less the higher end; 0 where no point is above both.
        above_line: Its largest distance from the straight line between the losses of the ends; not negative.
        at: The t of the maximum.
        at_line: The t of the largest distance from that line.
        maximum: The largest value.
        first: The value at t = 0.
        second: The value at t = 1.
        points: How many points from 0 to 1 were looked at.
        non_finite: How many of these are NaN or infinite; with any both barriers are infinite.
    """

    above_ends: float
    above_line: float
    at: float
    at_line: float
    maximum: float
    first: float
    second: float
    points: int
    non_finite: int = 0

    unit: ClassVar[str] = "loss"

    def __float__(self) -> float:
        return self.above_ends

    def words(self) -> Iterator[str]:
        """Both numbers and where they are reached."""
        yield f"{self.above_ends:.4g} above the higher end at t = {self.at:.3g}"
        yield f"{self.above_line:.4g} above the line between the ends at t = {self.at_line:.3g}"
        yield f"{self.first:.4g} and {self.second:.4g} at the ends, {self.points} points"
        if self.non_finite:
            yield f"{self.non_finite} of them NOT FINITE"


def barrier(values: Line | Tensor, ts: Coordinates | None = None) -> Barrier:
    """The barrier of a loss (or an error) along a path from t = 0 to t = 1.

    Args:
        values: A line, as :func:`~flatmin.landscapes.path_between` and :meth:`Curve.evaluate` give it, whose losses
            are taken; or values, one for each of ``ts``.
        ts: Their coordinates, in any order, 0 and 1 among them; what lies outside of [0, 1] is not looked at.

    Returns:
        Both barriers, and where they stand.

    Raises:
        TypeError: If there are no coordinates, or two sets of them.
        ValueError: If values and coordinates do not fit each other, or an end is missing.

    Example:
        >>> found = barrier(torch.tensor([1.0, 3.0, 2.0]), [0.0, 0.5, 1.0])
        >>> found.above_ends, found.above_line, found.at
        (1.0, 1.5, 0.5)
    """
    if isinstance(values, Line) == (ts is not None):
        raise TypeError("`ts` must be given with values, and not with a line, which has its own.")
    t = values.alphas if isinstance(values, Line) else coordinates("ts", ts)  # type: ignore[arg-type]
    loss = (values.loss if isinstance(values, Line) else torch.as_tensor(values)).detach().double().cpu()
    if loss.shape != t.shape:
        raise ValueError(f"`values` must hold one number for each of `ts`, {tuple(t.shape)}, got {tuple(loss.shape)}.")
    inside = (t >= -NEAR) & (t <= 1 + NEAR)
    order = t[inside].argsort()
    t, loss = t[inside][order].clamp(0, 1), loss[inside][order]
    if not len(t) or float(t[0]) > NEAR or float(t[-1]) < 1 - NEAR:
        raise ValueError(f"`ts` must hold both ends, 0 and 1, got {len(t)} coordinates in [0, 1] without them.")
    lost = ~loss.isfinite()
    seen = torch.where(lost, torch.inf, loss)
    ends = torch.stack([loss[0], loss[-1]])
    if not ends.isfinite().all():
        raise ValueError(f"`values` must be finite at both ends, got {float(loss[0])} and {float(loss[-1])}.")
    over = seen - ((1 - t) * loss[0] + t * loss[-1])
    over[0] = over[-1] = 0.0
    at, at_line = int(seen.argmax()), int(over.argmax())
    return Barrier(
        above_ends=float(seen[at] - ends.max()),
        above_line=float(over[at_line]),
        at=float(t[at]),
        at_line=float(t[at_line]),
        maximum=float(seen[at]),
        first=float(loss[0]),
        second=float(loss[-1]),
        points=len(t),
        non_finite=int(lost.sum()),
    )
