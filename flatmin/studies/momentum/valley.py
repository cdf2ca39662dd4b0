"""A loss of one weight: a slope, a plateau, a local minimum, a hump and a deeper minimum behind it."""

import numpy as np
from numpy.typing import NDArray

FORMULA = "L(w) = 2 / (1 + exp(2 (w – 1))) – 0.04 w – 0.4 exp(–(w – 6)²) – 1.4 exp(–(w – 9.5)² / 2) + exp(2 (w – 12.5))"
HUMP = 7.146
"""Where its hump is highest; a ball that ends beyond has crossed."""
Line = NDArray[np.float64]


def loss(w: Line) -> Line:
    """The loss that `FORMULA` says."""
    with np.errstate(over="ignore"):
        slope = 2 / (1 + np.exp(2 * (w - 1))) - 0.04 * w
        dips = 0.4 * np.exp(-((w - 6) ** 2)) + 1.4 * np.exp(-((w - 9.5) ** 2) / 2)
        return np.asarray(slope - dips + np.exp(2 * (w - 12.5)))


def gradient(w: Line) -> Line:
    """Its derivative."""
    with np.errstate(over="ignore"):
        slope = -1 / np.cosh(w - 1) ** 2 - 0.04
        dips = 0.8 * (w - 6) * np.exp(-((w - 6) ** 2)) + 1.4 * (w - 9.5) * np.exp(-((w - 9.5) ** 2) / 2)
        return np.asarray(slope + dips + 2 * np.exp(2 * (w - 12.5)))
