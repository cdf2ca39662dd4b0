"""A spectrum of the Hessian, drawn from the table that a result gives of itself."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from flatmin.figures.alone import canvas, grounds, in_house, note
from flatmin.figures.style import LOSS_COLOR

POINTS = 2000
SHARPEST = 150
"""A point of the spectrum is drawn as wide as the range over so much, unless it is said."""


@in_house
def spectrum_drawn(rows: pd.DataFrame, width: float | None, ax: Axes | None, label: str | None) -> Axes:
    """Draw a density on a logarithmic axis, each point widened to a Gaussian, and the points as ticks below.

    Args:
        rows: Columns ``probe``, ``node``, ``weight``, ``size``, ``batch_norm`` and ``examples``.
        width: Standard deviation of the Gaussians; by default a share of the range.
        ax: Axes to draw on.
        label: For a legend.

    Returns:
        The axes.
    """
    low, high = float(rows["node"].min()), float(rows["node"].max())
    reach = high - low or 1.0
    sigma = width or reach / SHARPEST
    at = np.linspace(low - 0.04 * reach - 3 * sigma, high + 0.04 * reach + 3 * sigma, POINTS)
    curves = np.stack([density(at, part, sigma) for _, part in rows.groupby("probe")])
    axes = canvas(ax, 2.9)
    mean = curves.mean(0)
    smallest = 1 / float(rows["size"].iloc[0]) / sigma / 20
    (line,) = axes.plot(at, np.maximum(mean, smallest / 10), label=label, color=None if label else LOSS_COLOR)
    if len(curves) > 1:
        error = curves.std(0, ddof=1) / math.sqrt(len(curves))
        below, above = np.maximum(mean - error, smallest / 10), np.maximum(mean + error, smallest / 10)
        axes.fill_between(at, below, above, color=line.get_color(), alpha=0.25, linewidth=0)
    seen = rows.loc[rows["weight"] > 0.05 / rows["size"], "node"]
    axes.plot(seen, np.zeros(len(seen)), "|", transform=axes.get_xaxis_transform(), color=line.get_color(), alpha=0.6)
    axes.set(xlabel="eigenvalue λ", ylabel="density, log axis", yscale="log")
    axes.set_ylim(bottom=smallest)
    if label:
        axes.legend()
    band = f"band: one standard error over {len(curves)} probes" if len(curves) > 1 else ""
    note(axes, [f"Points widened to σ = {sigma:.2g}; ticks: the points", band, *grounds(rows)], label)
    return axes


def density(at: NDArray[np.float64], rows: pd.DataFrame, sigma: float) -> NDArray[np.float64]:
    """The density of one probe."""
    apart = (at[:, None] - rows["node"].to_numpy()[None]) / sigma
    found = (np.exp(-(apart**2) / 2) @ rows["weight"].to_numpy()) / (sigma * math.sqrt(2 * math.pi))
    return np.asarray(found)


@in_house
def escape_drawn(rows: pd.DataFrame, ax: Axes | None, label: str | None) -> Axes:
    """Draw the loss along an eigenvector with the quadratic model.

    Args:
        rows: Columns ``length``, ``loss``, ``model``, ``eigenvalue``, ``batch_norm`` and ``examples``.
        ax: Axes to draw on.
        label: For a legend.

    Returns:
        The axes.
    """
    axes = canvas(ax, 2.9)
    rows = rows.sort_values("length")
    (line,) = axes.plot(rows["length"], rows["loss"], "o-", markersize=3, label=label or "loss")
    axes.plot(rows["length"], rows["model"], "--", color=line.get_color(), label="quadratic model")
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set(xlabel="length of the step along the eigenvector", ylabel="loss")
    axes.legend()
    note(axes, [f"Eigenvalue {float(rows['eigenvalue'].iloc[0]):.3g}", *grounds(rows)], label)
    return axes
