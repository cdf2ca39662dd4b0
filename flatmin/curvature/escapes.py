"""The way out of a saddle: along the eigenvector of a negative eigenvalue, both ways."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.errors import NotFinite
from flatmin.core.result import Measured
from flatmin.core.vectors import dot, norm
from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.curvature.protocols import Graded, curved, point_of, product_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 21


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Escape(Measured):
    r"""What :func:`escape` found.

    Attributes:
        lengths: Of the steps along the unit vector, (points,), float64.
        loss: There, (points,), float64.
        model: Of the quadratic model, :math:`f + s\, g^\top u + \tfrac12 s^2\, u^\top H u`, (points,), float64.
        eigenvalue: :math:`u^\top H u`.
        slope: :math:`g^\top u`.
        base_loss: f where the steps begin.
        lowest_loss: The lowest on the way.
        theta: Where that is, (size,).
        direction: u, (size,).
        converged: Whether u is an eigenvector as well as was asked.
        products: Products with the Hessian.
    """

    long = ("theta", "direction")

    lengths: Tensor
    loss: Tensor
    model: Tensor
    eigenvalue: float
    slope: float
    base_loss: float
    lowest_loss: float
    theta: Tensor
    direction: Tensor
    converged: bool
    products: int

    def rows(self) -> dict[str, Any]:
        """One row a step."""
        return {"length": self.lengths.tolist(), "loss": self.loss.tolist(), "model": self.model.tolist()}

    def words(self) -> Iterator[str]:
        """How far the loss falls, and what the model said."""
        if self.eigenvalue >= 0:
            yield f"NO WAY OUT BY CURVATURE: the smallest eigenvalue is {self.eigenvalue:.3g}"
        best = int(self.loss.nan_to_num(math.inf).argmin())
        fall = self.base_loss - self.lowest_loss
        yield f"loss {self.base_loss:.5g} falls by {fall:.3g} at length {float(self.lengths[best]):.3g}"
        yield f"the model said {self.base_loss - float(self.model[best]):.3g}"
        yield f"eigenvalue {self.eigenvalue:.4g}, slope {self.slope:.2g}"
        if not self.converged:
            yield "NOT CONVERGED: the direction is no eigenvector yet"
        yield from self.grounds()

    def plot(self, *, ax: "Axes | None" = None, label: str | None = None) -> "Axes":
        """Draw the loss along the direction, and the quadratic model.

        Args:
            ax: Axes to draw on; new ones by default.
            label: For a legend.

        Returns:
            The axes.
        """
        from flatmin.figures.spectra import escape_drawn

        return escape_drawn(self.to_frame(), ax, label)


def escape(
    objective: Graded,
    lengths: Sequence[float] | Tensor | None = None,
    *,
    direction: Tensor | None = None,
    theta: Tensor | None = None,
    seed: int = 0,
) -> Escape:
    r"""Steps along the eigenvector of the smallest eigenvalue, both ways, beside the quadratic model.

    At a saddle, where :math:`g = 0` and :math:`\lambda < 0`, a step of length s lowers the loss by
    :math:`|\lambda| s^2 / 2` to second order, whichever way it goes.

    Args:
        objective: ``theta``, ``size``, ``value``, ``value_and_gradient`` and ``hvp``.
        lengths: Of the steps, with signs; by default 21 up to where the model reaches a loss of zero.
        direction: Another direction, (size,), such as :attr:`CriticalPoint.downhill`, which saves the search.
        theta: Where to begin; the point at which the objective stands by default.
        seed: Of the search for the eigenvector.

    Returns:
        The losses, the model, and the best point.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If ``direction`` is 0 or of another shape, or there is no length.
        NotFinite: If loss, gradient or products are not finite.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import FunctionObjective
        >>> toy = FunctionObjective(lambda w: (1 - w[0] * w[1]) ** 2, torch.zeros(2, dtype=torch.float64))
        >>> out = escape(toy, [-0.5, 1.0])
        >>> [round(loss, 6) for loss in out.loss.tolist()], round(float(out.model[0]), 6)
        ([0.765625, 0.25], 0.75)
    """
    curved(objective)
    at = point_of(objective, theta)
    loss, gradient = objective.value_and_gradient(at)
    if not math.isfinite(float(loss) + norm(gradient)):
        raise NotFinite(f"loss and gradient must be finite where it begins, got {float(loss)} and {norm(gradient)}.")
    converged, products = True, 1
    if direction is None:
        found = top_eigenvalues(objective, which="smallest", theta=at, seed=seed)
        direction, converged, products = found.vectors[0], found.converged, found.products + 1
    direction = torch.as_tensor(direction)
    if direction.shape != at.shape or not 0 < norm(direction) < math.inf:
        raise ValueError(
            f"`direction` must be a finite vector of shape ({at.numel()},) other than 0, got one of shape "
            f"{tuple(direction.shape)} and length {norm(direction):g}."
        )
    unit = direction.to(at) / norm(direction)
    bend, slope = dot(unit, product_of(objective, at)(unit)), dot(gradient, unit)
    if lengths is None:
        reach = math.sqrt(2 * abs(float(loss)) / abs(bend)) if bend and float(loss) else 1.0
        lengths = torch.linspace(-reach, reach, POINTS, dtype=torch.float64)
    steps = torch.as_tensor(lengths, dtype=torch.float64).flatten()
    if not len(steps) or not steps.isfinite().all():
        raise ValueError(f"`lengths` must hold at least one length, all finite, got {steps.tolist()}.")
    points = [torch.add(at, unit, alpha=float(step)) for step in steps]
    losses = torch.tensor([float(objective.value(point)) for point in points], dtype=torch.float64)
    best = int(losses.nan_to_num(math.inf).argmin())
    return Escape(
        lengths=steps,
        loss=losses,
        model=float(loss) + slope * steps + bend * steps.square() / 2,
        eigenvalue=bend,
        slope=slope,
        base_loss=float(loss),
        lowest_loss=float(losses[best]),
        theta=points[best],
        direction=unit,
        converged=converged,
        products=products,
        **Measured.ground(objective),
    )
