r"""Two curves along one line, that of the training and that of the test loss: how one lies beside the other.

With a the place of the lowest training loss, b that of the lowest test loss and h the curvature of the test loss at b,
the shift s = b - a costs :math:`L_{\mathrm{test}}(a) - L_{\mathrm{test}}(b) \approx h s^2 / 2`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

Curve = Callable[[float], float]
Values = NDArray[np.float64]
FINE = 1e-4
"""How well a place is known, as a share of the reach of the line."""
FAR = 1e6
STEP = 0.05
"""Of the second difference, likewise."""


def reach_of(train: Curve, rise: float) -> float:
    """How far to go so that the training loss at both ends is on average ``rise`` above that of the middle, or `FAR`.

    Example:
        >>> round(reach_of(lambda a: 2 * a * a, 0.5), 4)
        0.5
    """
    middle = train(0.0)

    def above(reach: float) -> bool:
        mean = (train(-reach) + train(reach)) / 2
        return not mean - middle < rise  # a loss that is not finite is above

    low = high = 1e-3
    while high < FAR and not above(high):
        low, high = high, 2 * high
    while above(low):
        low, high = low / 2, low
    for _ in range(12):
        half = math.sqrt(low * high)
        low, high = (low, half) if above(half) else (half, high)
    return high


def lowest(curve: Curve, alphas: Values, losses: Values) -> tuple[float, bool]:
    """Where a curve is lowest, downhill from the middle of a grid and then by parabolas, and whether that is inside it.

    Example:
        >>> grid = np.linspace(-1, 1, 11)
        >>> place, inside = lowest(lambda a: (a - 0.13) ** 2, grid, (grid - 0.13) ** 2)
        >>> round(place, 4), inside
        (0.13, True)
    """
    at = len(losses) // 2
    while (near := int(np.nanargmin(losses[max(at - 1, 0) : at + 2])) + max(at - 1, 0)) != at:
        at = near
    bounds = alphas[max(at - 1, 0)], alphas[min(at + 1, len(alphas) - 1)]
    options = {"xatol": FINE * float(np.ptp(alphas)) / 2}
    found = minimize_scalar(curve, bounds=bounds, method="bounded", options=options)
    return float(found.x), 0 < at < len(alphas) - 1


def curvature(curve: Curve, at: float, reach: float) -> float:
    """The second difference of a curve, over a step that is small beside its reach."""
    step = STEP * reach
    return (curve(at + step) - 2 * curve(at) + curve(at - step)) / step**2


@dataclass(frozen=True)
class Alike:
    """How alike two curves are, each less its minimum.

    Attributes:
        correlation: Pearson's.
        residual: Root of the mean square of their difference, over that of the first.
        steepness: By what the first has to be multiplied to come closest to the second.
        scaled_residual: The residual after that, over the second.
    """

    correlation: float
    residual: float
    steepness: float
    scaled_residual: float


def alike(first: Values, second: Values) -> Alike:
    """Compare two curves on the same places.

    Example:
        >>> up = np.array([1.0, 0.0, 1.0])
        >>> found = alike(up, 3 * up + 2)
        >>> round(found.correlation, 6), found.residual, found.steepness, found.scaled_residual
        (1.0, 2.0, 3.0, 0.0)
    """
    first, second = first - first.min(), second - second.min()
    steepness = float(first @ second / (first @ first))
    return Alike(
        correlation=float(np.corrcoef(first, second)[0, 1]),
        residual=float(np.linalg.norm(second - first) / np.linalg.norm(first)),
        steepness=steepness,
        scaled_residual=float(np.linalg.norm(second - steepness * first) / np.linalg.norm(second)),
    )


def aligned(alphas: Values, train: Values, test: Values, shift: float) -> tuple[Values, Values]:
    """Both curves where they overlap once the test curve is moved back by the shift; splines between the points."""
    low, high = max(alphas[0], alphas[0] - shift), min(alphas[-1], alphas[-1] - shift)
    places = np.linspace(low, high, len(alphas))
    return CubicSpline(alphas, train)(places), CubicSpline(alphas, test)(places + shift)
