"""Two-dimensional slices as surfaces in space: both minima side by side under one height and one colour scale.

The height is linear, so that a basin looks wide and a canyon narrow. Where losses exceed 10 nats the surfaces end
in a flat top at that height, and the footer says so. Non-finite cells are holes. The same losses lie below the surface
as filled contours, so that no wall hides the floor of a canyon.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D

from flatmin.figures.captions import batch_norm_fact, footer
from flatmin.figures.interactive import surface_page
from flatmin.figures.legends import heading, regime_name
from flatmin.figures.levels import COLORS, LEVELS, Grid, color_scale, log_levels
from flatmin.figures.slices import plane_grid
from flatmin.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    blank,
    looks_of,
    loss_name,
    loss_unit,
    regimes_of,
    select,
    styled,
)
from flatmin.results import Tables
from flatmin.results.words import DATA_NAMES, LOSS, counted

CUT = 10.0
DEPTH = 0.5
"""How far the contours lie below the surface, as a share of its height."""
NEAR_ZERO = 0.1
"""The share of the highest loss below which the height starts at 0."""
CORNER = 0.1
"""The share of a horizontal axis that has no ticks where both axes meet, lest their labels run into each other."""


@styled
def random_surface(
    tables: Tables, *, network: str, data: str, batch_norm: str, seed: int = 0, split: str = "train"
) -> Figure:
    """Draw the random planes of `random_plane` as surfaces.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.
        seed: Seed of the run.
        split: ``"train"`` or ``"test"``.

    Returns:
        The figure: one surface per regime, same height and colours.

    Raises:
        ResultsError: If there is no such plane, or none of its losses is finite.
    """
    where = {"network": network, "data": data, "batch_norm": batch_norm, "seed": seed, "split": split}
    rows = select(tables.planes, "planes", kind="random", **where)
    regimes = regimes_of(rows)
    looks = looks_of(regimes)
    low, top = surface_levels(rows["loss"])[[0, -1]]
    figure = blank(PAGE_WIDTH if len(regimes) == 2 else COLUMN_WIDTH, 4.0, right=0.96)
    panels = figure.subplots(1, len(regimes), squeeze=False, subplot_kw={"projection": "3d"})[0]
    for axes, regime in zip(panels, regimes, strict=True):
        draw_surface(axes, rows[rows["regime"] == regime], low, top)
        axes.set_title(regime_name(tables, regime, network, data), color=looks[regime].ink)
    heading(figure, f"random plane, {split} loss", network, data)
    footer(figure, tables, "planes", rows, *surface_notes(rows, top))
    return figure


def interactive_random_surface(
    tables: Tables, *, network: str, data: str, batch_norm: str, seed: int = 0, split: str = "train"
) -> bytes:
    """The same surfaces as a page of HTML in which they can be turned; takes what `random_surface` takes.

    Raises:
        ResultsError: If there is no such plane, or none of its losses is finite.
        FlatminError: If plotly is not installed.
    """
    where = {"network": network, "data": data, "batch_norm": batch_norm, "seed": seed, "split": split}
    rows = select(tables.planes, "planes", kind="random", **where)
    levels = surface_levels(rows["loss"])
    panels = {regime_name(tables, name, network, data): rows[rows["regime"] == name] for name in regimes_of(rows)}
    title = f"{network} on {DATA_NAMES.get(data, data)}: random plane, {split} loss"
    facts = [
        batch_norm_fact(rows),
        *surface_notes(rows, levels[-1], loss_unit(tables.provenance.get("loss")), floor=False),
    ]
    return surface_page(panels, levels, loss=tables.provenance.get("loss") or LOSS, title=title, facts=facts)


def surface_levels(losses: "pd.Series[float]") -> Grid:
    """Return levels of the colours up to where the surfaces end.

    Raises:
        ResultsError: If no loss is finite.
    """
    levels = log_levels(losses)
    return np.geomspace(levels[0], min(levels[-1], CUT) if levels[0] < CUT else levels[-1], LEVELS)


def draw_surface(axes: Axes3D, rows: pd.DataFrame, low: float, top: float) -> None:
    """Draw one slice as a surface that ends flat at ``top``; ``low`` starts the colour scale."""
    alphas, betas, losses = plane_grid(rows)
    ground = 0.0 if 0.0 < low < NEAR_ZERO * top else low
    depth = DEPTH * (top - ground)
    heights = np.where(np.isfinite(losses), np.minimum(losses, top), np.nan)
    x, y = np.meshgrid(alphas, betas)
    colors: dict[str, Any] = {"cmap": COLORS, "norm": color_scale(low, top)}
    wires: dict[str, Any] = {"rstride": 1, "cstride": 1, "linewidth": 0.2, "edgecolor": (0, 0, 0, 0.3)}
    axes.plot_surface(x, y, heights, **colors, **wires)
    levels = np.geomspace(low, top, LEVELS) if low > 0 else np.linspace(low, top, LEVELS)
    floor = np.ma.masked_invalid(np.maximum(heights, low))
    axes.contourf(x, y, floor, levels=levels, zdir="z", offset=ground - depth, **colors)
    axes.set(xlabel="α", ylabel="β", zlim=(ground - depth, top))
    axes.set_box_aspect((1, 1, 1.05), zoom=0.93)
    axes.view_init(elev=27, azim=-55)
    free = CORNER * np.ptp(alphas), CORNER * np.ptp(betas)
    axes.set_xticks(ticks(4, alphas[0], alphas[-1] - free[0]))
    axes.set_yticks(ticks(4, betas[0] + free[1], betas[-1]))
    axes.set_zticks(ticks(3, ground, top))
    axes.set(zlim=(ground - depth, top), zlabel=loss_name())
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
    axes.zaxis.labelpad = -1
    axes.tick_params(pad=-1)


def ticks(most: int, low: float, high: float) -> Grid:
    """Return some round numbers from one to the other."""
    found: Grid = np.asarray(MaxNLocator(most, steps=(1, 2, 2.5, 5, 10)).tick_values(low, high))
    room = 1e-9 * (high - low)
    return found[(found >= low - room) & (found <= high + room)]


def surface_notes(
    rows: pd.DataFrame, top: float, unit: str | None = None, log: bool = True, floor: bool = True
) -> list[str]:
    """Return the footer's sentences on the surfaces: grid, cut cells, colours and lost cells.

    Args:
        rows: The losses.
        top: Where the surfaces end.
        unit: Of the loss; empty where it is not known, ``None`` for that of the figure at hand.
        log: Whether the colours are on a log scale.
        floor: Whether contours lie below the surfaces.
    """
    unit = loss_unit() if unit is None else unit
    losses = rows["loss"]
    finite = np.isfinite(losses)
    cut, lost = int((losses[finite] > top).sum()), int((~finite).sum())
    return [
        f"{rows['alpha'].nunique()} × {rows['beta'].nunique()} points",
        f"{cut:,} of {counted(len(rows), 'cell')} cut at {top:.3g}{f' {unit}s' if unit else ''}" if cut else "",
        f"Colour: the same loss{' on a log scale' if log else ''}{', below the surface as contours' if floor else ''}",
        f"{lost:,} of {counted(len(rows), 'cell')} not finite, left open" if lost else "",
    ]
