"""From anywhere to a point where the gradient is zero: of whatever kind it is, or a minimum."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flatmin.core.checks import one_of, positive, whole
from flatmin.core.errors import NotFinite
from flatmin.core.progress import Advance, steps_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.curvature.protocols import Graded, curved, point_of, product_of
from flatmin.curvature.spectra import hessian

METHODS = ("gradient_norm", "levenberg_marquardt", "saddle_free_newton")
LARGEST = 2000


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Stationary(Measured):
    r"""What :func:`find_critical_point` found.

    Attributes:
        theta: The point, (size,).
        gradient_norm: There.
        loss: There.
        gradient_norms: Along the way, one for each step and the start, (steps + 1,), float64.
        losses: Along the way, (steps + 1,), float64.
        distance: From the start.
        method: As asked.
        tolerance: As asked.
        converged: Whether the gradient is as short as that.
        gradients: Gradients computed.
        products: Products with the Hessian computed.
    """

    long = ("theta",)

    theta: Tensor
    gradient_norm: float
    loss: float
    gradient_norms: Tensor
    losses: Tensor
    distance: float
    method: str
    tolerance: float
    converged: bool
    gradients: int
    products: int

    def rows(self) -> dict[str, Any]:
        """One row a step."""
        steps = list(range(len(self.losses)))
        return {"step": steps, "gradient_norm": self.gradient_norms.tolist(), "loss": self.losses.tolist()}

    def words(self) -> Iterator[str]:
        """How short the gradient is, what it cost."""
        yield f"gradient {float(self.gradient_norms[0]):.2g} to {self.gradient_norm:.2g}"
        yield f"loss {float(self.losses[0]):.4g} to {self.loss:.4g}"
        if not self.converged:
            yield f"NOT CONVERGED to {self.tolerance:g}: no critical point was reached"
        yield f"{len(self.losses) - 1} steps, {self.gradients:,} gradients and {self.products:,} products"
        yield from self.grounds()


def find_critical_point(
    objective: Graded,
    *,
    method: str = "gradient_norm",
    tolerance: float = 1e-9,
    steps: int = 1000,
    theta: Tensor | None = None,
    progress: bool = False,
) -> Stationary:
    r"""Go to where the gradient is zero.

    Two methods make :math:`\tfrac12 \|g\|^2` small, and end at a minimum, a maximum or a saddle, whichever is near.
    ``"gradient_norm"`` is L-BFGS on it, whose gradient is :math:`H g`: a gradient and a product a step.
    ``"levenberg_marquardt"`` takes steps :math:`-(H^2 + \mu I)^{-1} H g`, Newton's where :math:`\mu` is small, which
    shrinks as long as the gradient does; it writes the Hessian out at each step, and needs few where that is far from
    singular. Where :math:`H g = 0` and g is not, both stop at a point that is no critical one, and networks are full of
    such places (Frye et al., 2021); the result says so. ``"saddle_free_newton"`` makes the loss small, by steps
    :math:`-(|H| + \mu I)^{-1} g`, which leave saddles (Dauphin et al., 2014), and ends at a minimum, if there is one:
    cross-entropy on examples that a network can tell apart has none.

    Args:
        objective: ``theta``, ``size``, ``value_and_gradient`` and ``hvp``; in float64, or the gradient stays as long as
            the rounding of the arithmetic.
        method: See above.
        tolerance: Length of the gradient at which to stop.
        steps: At most so many.
        theta: Where to begin; the point at which the objective stands by default.
        progress: Show a bar in the terminal.

    Returns:
        The point, with the way and its cost; ``critical_point(objective, theta=found.theta)`` says what kind it is.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or there are too many weights for the matrix.
        NotFinite: If gradient or products are not finite at the start.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import FunctionObjective
        >>> start = torch.tensor([0.3, -0.2], dtype=torch.float64)
        >>> found = find_critical_point(FunctionObjective(lambda w: (1 - w[0] * w[1]) ** 2, start))
        >>> found.converged, bool(found.theta.norm() < 1e-6)
        (True, True)
    """
    curved(objective)
    one_of("method", method, METHODS)
    positive("tolerance", tolerance)
    whole("steps", steps, minimum=1)
    at = point_of(objective, theta).clone()
    way = _Way(objective, tolerance)
    way.begin(at)
    with steps_shown("critical point", steps, shown=progress) as advance:
        if method == "gradient_norm":
            end = _gradient_norm(way, at, steps, advance)
        else:
            end = _damped(way, at, steps, advance, downhill=method == "saddle_free_newton")
    return Stationary(
        theta=end,
        gradient_norm=way.slopes[-1],
        loss=way.losses[-1],
        gradient_norms=torch.tensor(way.slopes, dtype=torch.float64),
        losses=torch.tensor(way.losses, dtype=torch.float64),
        distance=norm(end - at),
        method=method,
        tolerance=float(tolerance),
        converged=way.slopes[-1] <= tolerance,
        gradients=way.gradients,
        products=way.products,
        **Measured.ground(objective),
    )


class _Way:
    """What has been computed, and the points that were accepted."""

    def __init__(self, objective: Graded, tolerance: float) -> None:
        self.objective, self.tolerance = objective, tolerance
        self.slopes, self.losses = list[float](), list[float]()
        self.gradients = self.products = 0

    def at(self, theta: Tensor) -> tuple[float, Tensor, float]:
        """Loss, gradient, and its length, infinite where that is not finite."""
        loss, gradient = self.objective.value_and_gradient(theta)
        self.gradients += 1
        slope = norm(gradient)
        return float(loss), gradient, slope if math.isfinite(slope) else math.inf

    def begin(self, theta: Tensor) -> None:
        """Look at the start.

        Raises:
            NotFinite: If there is no gradient.
        """
        loss, _, slope = self.at(theta)
        if not math.isfinite(slope):
            raise NotFinite("the gradient must be finite where the search begins, and is not.")
        self.accept(loss, slope)

    def accept(self, loss: float, slope: float) -> None:
        """Take a point."""
        self.losses.append(loss)
        self.slopes.append(slope)

    @property
    def arrived(self) -> bool:
        """Whether the gradient is short enough."""
        return self.slopes[-1] <= self.tolerance


def _damped(way: _Way, theta: Tensor, steps: int, advance: Advance, *, downhill: bool) -> Tensor:
    """Steps in the eigenvectors of the Hessian, damped until what is to fall falls: the loss, or the gradient."""
    damping = 1e-3
    for _ in range(steps):
        if way.arrived:
            break
        matrix = hessian(way.objective, theta=theta, limit=LARGEST)
        way.products += len(matrix)
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        before, gradient, slope = way.at(theta)
        along, scale = vectors.T @ gradient.double().cpu(), float(values.abs().max())
        for _ in range(40):
            if downhill:
                step = along / (values.abs() + damping * scale + 1e-300)
            else:
                step = values * along / (values.square() + damping * scale**2 + 1e-300)
            ahead = theta - (vectors @ step).to(theta)
            loss, _, shorter = way.at(ahead)
            if (loss < before or (loss == before and shorter < slope)) if downhill else shorter < slope:
                damping = max(damping / 10, 1e-30)
                break
            damping *= 4
        else:
            break
        theta = ahead
        way.accept(loss, shorter)
        advance()
    return theta


def _gradient_norm(way: _Way, theta: Tensor, steps: int, advance: Advance) -> Tensor:
    from scipy.optimize import minimize

    start = theta.double().cpu().numpy()
    seen: dict[bytes, tuple[float, float]] = {}

    def half_square(point: "np.ndarray[Any, Any]") -> "tuple[float, np.ndarray[Any, Any]]":
        at = torch.as_tensor(point).to(theta)
        loss, gradient, slope = way.at(at)
        seen[point.tobytes()] = loss, slope
        way.products += 1
        return slope**2 / 2, product_of(way.objective, at)(gradient.detach()).double().cpu().numpy()

    def stepped(point: "np.ndarray[Any, Any]") -> None:
        loss, slope = seen[point.tobytes()]
        seen.clear()
        way.accept(loss, slope)
        advance()
        if way.arrived:
            raise StopIteration

    options = {"maxiter": steps, "maxfun": 20 * steps, "ftol": 0.0, "gtol": 0.0, "maxcor": 20}
    found = minimize(half_square, start, jac=True, method="L-BFGS-B", callback=stepped, options=options)
    return torch.as_tensor(found.x).to(theta)
