r"""L-BFGS-B on the device of the variables: Byrd, Lu, Nocedal, Zhu (1995) with the remark of Morales, Nocedal (2011).

An iteration goes from x to the minimiser of a quadratic model over the box, nearly: to the generalised Cauchy point,
from there to the minimiser over the coordinates that are free at it, back into the box, and along the line from x to
that point by a strong Wolfe search. The model's matrix is a :class:`~flatmin.sharpness.limited_memory.LimitedMemory`.

SciPy's ``L-BFGS-B`` does the same in float64 on the CPU. Here the 2m vectors of the memory, and no more than ten others
of the length of x, stay in the dtype and on the device of x; sums over them are in float64.
"""

from collections.abc import Callable, Iterator
from math import inf

import torch
from torch import Tensor

from flatmin.core.vectors import dot
from flatmin.sharpness.cauchy_point import CauchyPoint, cauchy_point
from flatmin.sharpness.limited_memory import LimitedMemory
from flatmin.sharpness.line_search import Trial, strong_wolfe

Function = Callable[[Tensor], tuple[float, Tensor]]


def bounded_lbfgs(function: Function, x: Tensor, half_width: Tensor, *, corrections: int = 10) -> Iterator[float]:
    """Minimise a function over the box from -half_width to half_width.

    Args:
        function: Value and gradient at a point of the box; both finite.
        x: Where to start, a point of the box, shape (n,).
        half_width: Of the box, shape (n,), positive.
        corrections: Pairs of steps and changes of the gradient that the model keeps.

    Yields:
        The value after each iteration. It ends where the gradient holds every coordinate at its bound, where an
        iteration gained nothing and where no lower point is found along the negative gradient either.
    """
    value, gradient = function(x)
    memory, longest = LimitedMemory(x, corrections), 1.0
    while (point := cauchy_point(x, gradient, half_width, memory)) is not None:
        line = Ray(function, x, subspace_minimiser(x, gradient, half_width, memory, point), half_width)
        origin = Trial(0.0, value, dot(gradient, line.direction))
        end = strong_wolfe(line.evaluate, origin, longest=min(longest, line.longest)) if origin.slope < 0 else None
        if end is not None:
            yield end.value
            if end.value >= value:
                return
            if end.slope - origin.slope > -torch.finfo(x.dtype).eps * origin.slope:
                memory.append(line.direction.mul_(end.step), line.gradient - gradient)
            x, value, gradient, longest = line.point, end.value, line.gradient, inf
        elif len(memory):
            memory.forget()
        else:
            return


class Ray:
    """The function along the line from x through a target at step 1; remembers the last point evaluated.

    Attributes:
        direction: From x to the target.
        point: The last point.
        gradient: The gradient there.
    """

    def __init__(self, function: Function, x: Tensor, target: Tensor, half_width: Tensor) -> None:
        self._function, self._x, self._target, self._half_width = function, x, target, half_width
        self.direction = target - x
        self.point = self.gradient = x

    @property
    def longest(self) -> float:
        """The longest step in the box, at least 1."""
        return max(1.0, longest_step(self._x, self.direction, self._half_width))

    def evaluate(self, step: float) -> Trial:
        """Value and slope at a step."""
        ahead = torch.add(self._x, self.direction, alpha=step)
        self.point = self._target if step == 1 else onto_bounds(ahead, self._half_width)
        value, self.gradient = self._function(self.point)
        return Trial(step, value, dot(self.gradient, self.direction))


def subspace_minimiser(
    x: Tensor, gradient: Tensor, half_width: Tensor, memory: LimitedMemory, cauchy: CauchyPoint
) -> Tensor:
    """The minimiser of the model over the coordinates that are free at the Cauchy point, moved into the box.

    Where moving it in makes the way there from x go uphill, the last point before the bounds instead. Without a free
    coordinate or a pair in the memory it is the Cauchy point.
    """
    free = cauchy.x.abs() < half_width
    if not len(memory) or not free.any():
        return cauchy.x
    residual = torch.add(gradient, cauchy.x - x, alpha=memory.theta)
    residual.sub_(memory.combined(memory.kernel @ cauchy.products)).mul_(free)
    direction = memory.direction(residual, free)
    target = clipped(cauchy.x + direction, half_width)
    if dot(target - x, gradient) > 0:
        share = min(1.0, longest_step(cauchy.x, direction, half_width))
        target = clipped(torch.add(cauchy.x, direction, alpha=share), half_width)
    return target


def longest_step(x: Tensor, direction: Tensor, half_width: Tensor) -> float:
    """How far a direction can be followed until a coordinate leaves the box; infinity if it is zero."""
    room = torch.addcmul(half_width, x, direction.sign(), value=-1).clamp_(min=0)
    return float(room.div_(direction.abs()).nan_to_num_(nan=inf, posinf=inf).min())


def clipped(x: Tensor, half_width: Tensor) -> Tensor:
    """The nearest point of the box."""
    return torch.clamp(x, -half_width, half_width)


def onto_bounds(x: Tensor, half_width: Tensor) -> Tensor:
    """The nearest point of the box, on the bound where only rounding keeps a coordinate from it."""
    close = 1 - 4 * torch.finfo(x.dtype).eps
    return torch.where(x.abs() < close * half_width, x, torch.copysign(half_width, x))
