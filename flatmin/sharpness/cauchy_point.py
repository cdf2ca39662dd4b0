r"""The generalised Cauchy point: Byrd, Lu, Nocedal and Zhu (1995), section 4.

Along the projected gradient path :math:`x(t) = P(x - t g)` the quadratic model

.. math:: m(t) = g^\top z + \tfrac12 z^\top B z, \qquad z = x(t) - x,

is quadratic between breakpoints, at each of which a coordinate reaches its bound and stays there. The Cauchy point is
the first local minimiser. Up to :data:`WALKED` breakpoints are walked one by one, by prefix sums; where more lie before
the minimiser, an interval in which the slope of m turns positive is first narrowed until it holds no more.
"""

from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from flatmin.sharpness.limited_memory import LimitedMemory

WALKED = 1 << 15


@dataclass(frozen=True)
class CauchyPoint:
    """The point, shape (n,), and V'z for its distance z from x, (2m,) float64 on the CPU."""

    x: Tensor
    products: Tensor


@dataclass(frozen=True)
class States:
    """The path just after some breakpoints, float64.

    Attributes:
        t: Where, (k,).
        rate: V' of minus the gradient of the free coordinates, the derivative of V'z, (k, 2m).
        fixed: V' of the fixed coordinates' part of z, (k, 2m).
        squares: Sums of the squared gradient over the free coordinates, (k,).
    """

    t: Tensor
    rate: Tensor
    fixed: Tensor
    squares: Tensor

    def __getitem__(self, k: int) -> "States":
        one = slice(k, k + 1 or None)
        return States(self.t[one], self.rate[one], self.fixed[one], self.squares[one])

    @property
    def products(self) -> Tensor:
        """V'z, (k, 2m)."""
        return self.t[:, None] * self.rate + self.fixed


def cauchy_point(x: Tensor, gradient: Tensor, half_width: Tensor, memory: LimitedMemory) -> CauchyPoint | None:
    """The first local minimiser of the model along the projected gradient path.

    Args:
        x: A point of the box, (n,).
        gradient: The gradient there.
        half_width: The box is -half_width to half_width.
        memory: The matrix B of the model.

    Returns:
        The Cauchy point; ``None`` if no coordinate can go down, or the squares of the gradient overflow.
    """
    path = Path(x, gradient, half_width, memory)
    if not 0 < path.start.squares.item() < inf:
        return None
    t, products = path.first_minimiser() if len(memory) else (1.0, torch.zeros_like(memory.kernel[0]))
    return CauchyPoint(torch.clamp(x - t * gradient, -half_width, half_width), products)


class Path:
    """The projected gradient path from x and the model along it."""

    def __init__(self, x: Tensor, gradient: Tensor, half_width: Tensor, memory: LimitedMemory) -> None:
        self.gradient, self.memory = gradient, memory
        room = torch.addcmul(half_width, x, gradient.sign()).clamp_(min=0)
        self.breakpoints = room.div_(gradient.abs()).nan_to_num_(nan=inf, posinf=inf)
        self.kernel = memory.kernel.to(x.device)
        self.start = self.after(0.0)

    def first_minimiser(self) -> tuple[float, Tensor]:
        """Where the model has its first local minimum, and V'z there."""
        low, latest = self.start, float(self.breakpoints[self.breakpoints < inf].max())
        while low.t.item() < latest:
            high = min(max(self.minimisers(low).item(), 2 * low.t.item()), latest)
            if self._between(low.t.item(), high).sum() > WALKED:
                ahead = self.after(high)
                if self.slopes(ahead).item() < 0:
                    low = ahead
                    continue
                low, high = self._narrowed(low, ahead)
            found, low = self._walked(low, high)
            if found:
                break
        return low.t.item(), low.products[0].cpu()

    def slopes(self, states: States) -> Tensor:
        """The slope of the model just after each state."""
        bent = ((states.rate @ self.kernel) * states.products).sum(1)
        return (self.memory.theta * states.t - 1) * states.squares - bent

    def minimisers(self, states: States) -> Tensor:
        """Where the piece of the model that starts at each state is lowest, in the dtype of the variables."""
        curvature = self.memory.theta * states.squares - ((states.rate @ self.kernel) * states.rate).sum(1)
        least = torch.finfo(torch.float64).eps * self.memory.theta * self.start.squares
        ahead = -self.slopes(states) / curvature.clamp(min=least)
        return (states.t + ahead.clamp(min=0)).to(self.breakpoints.dtype)

    def after(self, t: float) -> States:
        """The state just after t, from one pass over all coordinates."""

        def parts(rows: slice) -> Tensor:
            gradient, when = self.gradient[rows], self.breakpoints[rows]
            moves = when > t
            return torch.stack([torch.where(moves, -gradient, 0), torch.where(moves, 0, -when * gradient)])

        rate, fixed = self.memory.summed(parts)
        moving = (parts(rows)[0] for rows in self.memory.blocks())
        squares = torch.stack([part.double().square().sum() for part in moving]).sum()
        return States(squares.new_tensor([t]), rate.to(squares)[None], fixed.to(squares)[None], squares[None])

    def _between(self, low: float, high: float) -> Tensor:
        return (self.breakpoints > low) & (self.breakpoints <= high)

    def _narrowed(self, low: States, high: States) -> tuple[States, float]:
        """An interval over which the slope turns, and that holds few breakpoints, or is as short as numbers allow."""
        while self._between(low.t.item(), high.t.item()).sum() > WALKED:
            below, above = self.slopes(low).item(), self.slopes(high).item()
            share = min(max(below / (below - above), 0.1), 0.9)
            between = torch.lerp(low.t, high.t, share).to(self.breakpoints).item()
            if not low.t.item() < between < high.t.item():
                break
            middle = self.after(between)
            low, high = (middle, high) if self.slopes(middle).item() < 0 else (low, middle)
        return low, high.t.item()

    def _walked(self, low: States, high: float) -> tuple[bool, States]:
        """The first minimiser from ``low`` to ``high``; the last state before ``high`` if there is none."""
        index = self._between(low.t.item(), high).nonzero()[:, 0]
        when, order = self.breakpoints[index].sort()
        index = index[order]
        columns, gradient, t = self.memory.columns[index].double(), self.gradient[index].double(), when.double()
        leaving = gradient[:, None] * columns
        states = States(
            torch.cat([low.t, t]),
            torch.cat([low.rate, low.rate + leaving.cumsum(0)]),
            torch.cat([low.fixed, low.fixed - (t[:, None] * leaving).cumsum(0)]),
            torch.cat([low.squares, (low.squares - gradient.square().cumsum(0)).clamp(min=0)]),
        )
        minimisers = self.minimisers(states)
        stops = (minimisers <= torch.cat([when, when.new_tensor([high])])).nonzero()
        if not len(stops):
            return False, states[-1]
        stop = int(stops[0])
        return True, replace(states[stop], t=minimisers[stop : stop + 1].double())
