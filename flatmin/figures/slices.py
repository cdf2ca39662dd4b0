"""Two-dimensional slices of the loss as contours: random planes of both minima, and the plane through three points.

Panels that stand side by side share one logarithmic colour scale, so that a wide basin and a narrow canyon look
as different as they are. Losses below 1e-4 or above 100 nats take the end colours of the scale; the footer says
so. A cell whose loss is not finite is hatched and counted, never filled in.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator
from numpy.typing import NDArray

from flatmin.figures.captions import footer
from flatmin.figures.legends import heading, regime_name
from flatmin.figures.levels import COLORS, HIGHEST, LOWEST, Grid, color_scale, log_levels
from flatmin.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    REGIMES,
    blank,
    few_log_ticks,
    looks_of,
    loss_name,
    loss_unit,
    regimes_of,
    select,
    styled,
)
from flatmin.results import Tables
from flatmin.results.words import counted

SHORT_SCALE = 300.0
"""The ratio of its ends below which a colour bar has ticks between the powers of ten."""
NAME_WIDTH, NAME_HEIGHT = 0.3, 0.1
"""Room for the name of a point, as shares of the axes."""
RIM = 1.0
EDGE = [patheffects.withStroke(linewidth=2.8, foreground="0.15")]
HALO = [patheffects.withStroke(linewidth=2.2, foreground="white")]


@styled
def random_plane(
    tables: Tables, *, network: str, data: str, batch_norm: str, seed: int = 0, split: str = "train"
) -> Figure:
    """Draw the plane of two random filter-normalised directions through each minimum.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.
        seed: Seed of the run.
        split: ``"train"`` or ``"test"``.

    Returns:
        The figure: one panel per regime on one colour scale, the trained network in the middle.

    Raises:
        ResultsError: If there is no such plane, or none of its losses is finite.
    """
    where = {"network": network, "data": data, "batch_norm": batch_norm, "seed": seed, "split": split}
    rows = select(tables.planes, "planes", kind="random", **where)
    regimes = regimes_of(rows)
    looks = looks_of(regimes)
    levels = log_levels(rows["loss"])
    figure = blank(PAGE_WIDTH if len(regimes) == 2 else COLUMN_WIDTH, 3.5, compress=True)
    panels = figure.subplots(1, len(regimes), squeeze=False, sharex=True, sharey=True)[0]
    for axes, regime in zip(panels, regimes, strict=True):
        filled = draw_plane(axes, rows[rows["regime"] == regime], levels)
        mark(axes, 0.0, 0.0, regime)
        axes.set_title(regime_name(tables, regime, network, data), color=looks[regime].ink)
        axes.set_xlabel("α  (first direction)")
    panels[0].set_ylabel("β  (second direction)")
    loss_bar(figure, list(panels), filled)
    heading(figure, f"random plane, {split} loss", network, data)
    footer(figure, tables, "planes", rows, *plane_notes(rows, levels))
    return figure


@styled
def three_point_plane(
    tables: Tables, *, network: str, data: str, batch_norm: str, seed: int = 0, split: str = "train"
) -> Figure:
    """Draw the plane through the common start and both minima.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.
        seed: Seed of the run.
        split: ``"train"`` or ``"test"``.

    Returns:
        The figure; its axes are distances in the space of parameters.

    Raises:
        ResultsError: If there is no such plane, or none of its losses is finite.
    """
    where = {"network": network, "data": data, "seed": seed, "kind": "three_points"}
    rows = select(tables.planes, "planes", batch_norm=batch_norm, split=split, **where)
    points = select(tables.points, "points", **where)
    levels = log_levels(rows["loss"])
    ratio = np.ptp(rows["beta"]) / np.ptp(rows["alpha"])
    figure = blank(COLUMN_WIDTH, 1.0 + 3.2 * min(ratio, 1.5), compress=True)
    axes = figure.subplots()
    filled = draw_plane(axes, rows, levels)
    mark_named(
        axes, rows, {label: (a, b) for label, a, b in points[["label", "alpha", "beta"]].itertuples(index=False)}
    )
    axes.set(xlabel="α  (distance in parameter space)", ylabel="β  (distance)")
    loss_bar(figure, [axes], filled)
    heading(figure, f"start and both minima, {split} loss", network, data)
    footer(figure, tables, "planes", rows, *plane_notes(rows, levels))
    return figure


def plane_grid(rows: pd.DataFrame) -> tuple[Grid, Grid, Grid]:
    """Return the coordinates alpha and beta and the losses with one row per beta; absent cells are NaN."""
    grid = rows.pivot(index="beta", columns="alpha", values="loss")
    return grid.columns.to_numpy(float), grid.index.to_numpy(float), grid.to_numpy(float)


def draw_plane(axes: Axes, rows: pd.DataFrame, levels: Grid, contours: Grid | None = None) -> QuadContourSet:
    """Draw one slice: filled contours, a white line at one nat, and hatched cells where it is not finite.

    Args:
        axes: Where to draw.
        rows: The slice.
        levels: Those of the scale of colours.
        contours: Where contours lie, if not at all of these.
    """
    contours = levels if contours is None else contours
    alphas, betas, losses = plane_grid(rows)
    lost = ~np.isfinite(losses)
    inside = np.ma.masked_array(np.clip(losses, levels[0], levels[-1]), lost)
    norm = color_scale(levels[0], levels[-1])
    if lost.any():
        axes.pcolormesh(alphas, betas, inside, norm=norm, cmap=COLORS, shading="nearest")
        hatch_cells(axes, alphas, betas, lost)
    filled = axes.contourf(alphas, betas, inside, levels=contours, norm=norm, cmap=COLORS, corner_mask=False)
    axes.contour(alphas, betas, inside, levels=contours[1:-1:2], colors="white", linewidths=0.3, alpha=0.5)
    if levels[0] < RIM < levels[-1]:
        rim = axes.contour(alphas, betas, inside, levels=[RIM], colors="white", linewidths=1.6)
        rim.set(path_effects=EDGE)
    axes.set(aspect="equal", xlim=(alphas[0], alphas[-1]), ylim=(betas[0], betas[-1]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
    axes.spines[["top", "right"]].set_visible(True)
    return filled


def hatch_cells(axes: Axes, alphas: Grid, betas: Grid, lost: NDArray[np.bool_]) -> None:
    """Hatch the cells without a finite loss; a cell reaches halfway to its neighbours."""
    edges = [np.concatenate([c[:1], (c[1:] + c[:-1]) / 2, c[-1:]]) for c in (alphas, betas)]
    for row, column in np.argwhere(lost):
        (left, right), (bottom, top) = edges[0][column : column + 2], edges[1][row : row + 2]
        cell = Rectangle((left, bottom), right - left, top - bottom, linewidth=0)
        cell.set(facecolor="0.85", edgecolor="0.45", hatch="//////")
        axes.add_patch(cell)


def runs_into(place: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two names above points run into each other; places are shares of the axes."""
    return abs(place[0] - other[0]) < NAME_WIDTH and abs(place[1] - other[1]) < NAME_HEIGHT


def mark_named(axes: Axes, rows: pd.DataFrame, places: Mapping[str, tuple[float, float]]) -> None:
    """Mark points of a slice with their names, so that these do not run into each other."""
    named: list[tuple[float, float]] = []
    for label, (alpha, beta) in places.items():
        place = alpha / np.ptp(rows["alpha"]), beta / np.ptp(rows["beta"])
        mark(axes, alpha, beta, label, named=True, below=any(runs_into(place, other) for other in named))
        named.append(place)


def mark(axes: Axes, alpha: float, beta: float, label: str, *, named: bool = False, below: bool = False) -> None:
    """Mark the start or a minimum, with its name above or below it where asked."""
    look = REGIMES.get(label)
    color, marker, name = (look.color, look.marker, look.label) if look else ("black", "X", label)
    axes.plot(alpha, beta, marker, color=color, markersize=6.5, markeredgecolor="white", zorder=5)
    if named:
        away: dict[str, Any] = {"xytext": (0, -8), "va": "top"} if below else {"xytext": (0, 8)}
        text = axes.annotate(name, (alpha, beta), textcoords="offset points", ha="center", **away)
        text.set(color=look.ink if look else color, fontweight="bold", path_effects=HALO, zorder=6)


def loss_bar(figure: Figure | SubFigure, panels: list[Axes], filled: Any) -> Colorbar:
    """Add the colour bar that all panels share, with its unit."""
    bar = figure.colorbar(filled, ax=panels, aspect=24, pad=0.02)
    low, high = bar.ax.get_ylim()
    bar.set_label(f"{loss_name()}, log scale" if low > 0 else loss_name())
    if low <= 0:
        bar.ax.yaxis.set_major_locator(MaxNLocator(7))
        return bar
    if high < SHORT_SCALE * low:
        few_log_ticks(bar.ax.yaxis, crowded=SHORT_SCALE / 10)
    else:
        bar.ax.yaxis.set_major_locator(LogLocator(10))
        bar.ax.yaxis.set_major_formatter(LogFormatterSciNotation())
    return bar


def plane_notes(rows: pd.DataFrame, levels: Grid, unit: str | None = None) -> list[str]:
    """Return the footer's sentences on a slice: grid, the white line, end colours and lost cells.

    Args:
        rows: The slice.
        levels: Its contour levels.
        unit: Of the loss; empty where it is not known, ``None`` for that of the figure at hand.
    """
    unit = loss_unit() if unit is None else unit
    losses = rows["loss"]
    lost = int((~np.isfinite(losses)).sum())
    ends = int((losses < levels[0]).sum() + ((losses > levels[-1]) & np.isfinite(losses)).sum())
    grid = f"{rows['alpha'].nunique()} × {rows['beta'].nunique()} points"
    low, high = (LOWEST, HIGHEST) if unit else (levels[0], levels[-1])
    beyond = f"below {low:.3g} or above {high:.3g}{f' {unit}s' if unit else ''}"
    return [
        grid,
        f"White line: {counted(1, unit) if unit else 'loss 1'}" if levels[0] < RIM < levels[-1] else "",
        f"{counted(ends, 'cell')} {beyond} in the end colours" if ends else "",
        f"{lost:,} of {counted(len(rows), 'cell')} not finite, hatched" if lost else "",
    ]
