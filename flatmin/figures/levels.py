"""The scale of colours of slices, and where their contours lie on it."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

from flatmin.figures.style import finite_losses

Grid = NDArray[np.float64]

COLORS = "mako"
LOWEST, HIGHEST = 1e-4, 1e2
LEVELS = 19
CLOSER = 11
"""Levels of a slice whose losses take less than half of the scale."""
HALF = 0.5
FEW = 0.1
"""The share of the highest losses that may not take more than half of the scale."""
SAME = 1e-6
"""Losses that differ by less, as a share, are drawn as one."""


def log_levels(losses: pd.Series) -> Grid:
    """Return the contour levels that all panels of a figure share.

    Args:
        losses: The losses of all panels.

    Returns:
        Levels in equal ratios from the lowest to the highest finite loss, within 1e-4 to 100 nats.

    Raises:
        ResultsError: If no loss is finite.

    Example:
        >>> [float(level) for level in log_levels(pd.Series([1e-9, 5.0, float("inf")]))[[0, -1]]]
        [0.0001, 5.0]
    """
    finite = finite_losses(losses)
    low, high = np.clip([finite.min(), finite.max()], LOWEST, HIGHEST)
    return np.geomspace(low, max(high, 1.01 * low), LEVELS)


def own_levels(losses: pd.Series, limits: tuple[float, float] | None = None) -> Grid:
    """Return the contour levels of planes that are no experiment's, whose losses may have any size and sign.

    Args:
        losses: The losses of all panels.
        limits: Lowest and highest level; ``None`` takes those of the losses, within 1e-4 to 100 where that leaves any,
            and without the highest tenth where that alone takes more than half of the scale.

    Returns:
        Levels in equal ratios where they are positive, else in equal steps.

    Raises:
        ValueError: If the limits are no two rising numbers.
        ResultsError: If no loss is finite.
    """
    finite = finite_losses(losses)
    low, high = float(finite.min()), float(finite.max())
    if limits is not None:
        low, high = map(float, limits)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"`limits` must be a lower and a higher finite number, got {limits!r}.")
    else:
        if low >= 0 and low < HIGHEST and high > LOWEST:
            low, high = np.clip([low, high], LOWEST, HIGHEST)
        most = min(float(finite.quantile(1 - FEW)), high)
        if low < most and share(low, most, (low, high)) < HALF:
            high = most
    return between(low, high, LEVELS)


def between(low: float, high: float, count: int) -> Grid:
    """Return levels in equal ratios where they are positive, else in equal steps."""
    if low > 0:
        return np.geomspace(low, high if high > (1 + SAME) * low else 1.01 * low, count)
    return np.linspace(low, high if high > low else low + 1.0, count)


def share(low: float, high: float, scale: tuple[float, float]) -> float:
    """Return which share of a scale of colours an interval takes.

    Example:
        >>> round(share(0.1, 1.0, (0.01, 100.0)), 9), share(-1.0, 1.0, (-2.0, 2.0))
        (0.25, 0.5)
    """
    ends = np.array([low, high, *scale])
    low, high, start, stop = np.log(ends) if scale[0] > 0 else ends
    return float((high - low) / (stop - start))


def contours_within(losses: pd.Series, levels: Grid) -> Grid:
    """Return where contours lie: at the levels, or closer together where the losses take less than half of them."""
    finite = finite_losses(losses).clip(levels[0], levels[-1])
    low, high = float(finite.min()), float(finite.max())
    if low < high and share(low, high, (levels[0], levels[-1])) < HALF:
        return between(low, high, CLOSER)
    return levels


def color_scale(low: float, high: float) -> Normalize:
    """Return the scale of the colours: logarithmic where it can be."""
    return LogNorm(low, high) if low > 0 else Normalize(low, high)
