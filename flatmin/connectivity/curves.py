r"""Curves between two points among the weights: Bézier curves and polygonal chains, with fixed ends.

Both are sums of control points with coefficients that depend on t and add up to one,
:math:`\phi(t) = \sum_i c_i(t) \, w_i`, with :math:`w_0` and :math:`w_n` the ends. Garipov et al. (2018).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from flatmin.core.checks import one_of, whole, within
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.landscapes.grid import Function, Index, Progress, Value, spaced
from flatmin.landscapes.slices import slice_path
from flatmin.landscapes.values import Line

POINTS = 61
"""Places at which Garipov et al. (2018) look at a curve."""


def bezier(t: float, count: int) -> Tensor:
    r"""Bernstein's polynomials :math:`\binom{n}{i} t^i (1 - t)^{n - i}` of degree n = ``count`` - 1.

    Example:
        >>> bezier(0.25, 3).tolist()
        [0.5625, 0.375, 0.0625]
    """
    n = count - 1
    return torch.tensor([math.comb(n, i) * t**i * (1 - t) ** (n - i) for i in range(count)], dtype=torch.float64)


def polychain(t: float, count: int) -> Tensor:
    r"""Hats :math:`\max(0, 1 - |n t - i|)`: a chain of n = ``count`` - 1 straight pieces that take equal times.

    Example:
        >>> polychain(0.25, 3).tolist()
        [0.5, 0.5, 0.0]
    """
    return (1 - ((count - 1) * t - torch.arange(count, dtype=torch.float64)).abs()).clamp_min(0)


COEFFICIENTS: dict[str, Callable[[float, int], Tensor]] = {"bezier": bezier, "polychain": polychain}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Curve(Measured):
    """A curve between two points, as :func:`connect` found it; called with t it gives the weights there.

    Attributes:
        curve: ``"bezier"`` or ``"polychain"``.
        points: Its control points, the ends first and last, shape (bends + 2, size).
        losses: Mean loss of each epoch at the points that were drawn in it, float64.
        steps: How many steps were made; each costs one gradient.
        batch_size: Examples of a step; ``None`` for all.
        learning_rate: At first.
        momentum: Of the steps.
        seed: Of the points and the batches that were drawn.
        diverged: Whether the loss became infinite or NaN; the bends are then those before that step.
    """

    curve: str
    points: Tensor
    losses: Tensor
    steps: int
    batch_size: int | None
    learning_rate: float
    momentum: float
    seed: int
    diverged: bool = False

    long: ClassVar[tuple[str, ...]] = ("points",)

    def __call__(self, t: float) -> Tensor:
        """The weights at ``t``, shape (size,).

        Raises:
            ValueError: If ``t`` is outside [0, 1].
        """
        within("t", float(t), ge=0, le=1)
        coefficients = COEFFICIENTS[one_of("curve", self.curve, COEFFICIENTS)](float(t), len(self.points))
        return coefficients.to(self.points) @ self.points

    @property
    def bends(self) -> Tensor:
        """The control points between the ends, shape (bends, size)."""
        return self.points[1:-1]

    @property
    def stretch(self) -> float:
        """The length of the curve's control polygon over the distance of its ends, 1 for a straight one."""
        pieces = sum(norm(after - before) for before, after in zip(self.points, self.points[1:], strict=False))
        return pieces / norm(self.points[-1] - self.points[0])

    def evaluate(
        self,
        objective: Function,
        *,
        points: int = POINTS,
        progress: Progress = False,
        known: Mapping[Index, Value] | None = None,
    ) -> Line:
        """The loss along the curve, at equally spaced t from 0 to 1.

        Args:
            objective: The loss to look at. With ``batch_norm="reestimate"`` BatchNorm's statistics are found anew at
                every t; for a test loss with those of the training data give ``test.normalized_by(train)``.
            points: How many; Garipov et al. (2018) take 61.
            progress: As in :func:`~flatmin.landscapes.slices.slice_1d`.
            known: As there.

        Returns:
            The line, whose coordinates are t.

        Raises:
            TypeError: As :func:`~flatmin.landscapes.slices.slice_1d`.
            ValueError: As there, or if there are fewer than 2 points.
        """
        whole("points", points, minimum=2)
        return slice_path(objective, self, spaced(0.0, 1.0, points), progress=progress, known=known)

    def rows(self) -> dict[str, object]:
        """A row an epoch."""
        return {"epoch": torch.arange(1, len(self.losses) + 1).numpy(), "loss": self.losses.numpy()}

    def words(self) -> Iterator[str]:
        """What kind of curve, how far it bends, how it was trained."""
        count = len(self.bends)
        yield f"{self.curve} with {count} bend{'s' * (count != 1)}, {self.stretch:.3g} times as long as the segment"
        if len(self.losses):
            yield f"loss {float(self.losses[0]):.4g} in the first epoch, {float(self.losses[-1]):.4g} in the last"
        size = "all examples" if self.batch_size is None else f"{self.batch_size:,} examples"
        yield f"{self.steps:,} steps of {size}, learning rate {self.learning_rate:g}"
        if self.diverged:
            yield "DIVERGED: take a smaller learning_rate"
        yield from self.grounds()
