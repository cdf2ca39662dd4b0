"""Loss against minimum ratio, and the loss around a saddle."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.critical_points.found import METHOD_NAMES, points_of

COLORS = {"gradient_norm": "#C23B75", "levenberg_marquardt": "#EE7F2D", "saddle_free_newton": "#0B4F9E"}
MARKERS = "osD^vP"


def data_of(asked: Mapping[str, Any]) -> str:
    """What the data are called."""
    return DATA_NAMES.get(asked["data"]["name"], str(asked["data"]["name"]))


@styled
def minimum_ratio(tables: Tables) -> Figure:
    """Draw the loss against the minimum ratio, and against the ratio without the eigenvalues near zero.

    Raises:
        ResultsError: If there is no network.
    """
    points = points_of(tables)
    if points.empty:
        raise ResultsError("the table `minimum_ratio` is empty, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH, 3.0)
    panels = figure.subplots(1, 3, sharey=True)
    updates = sorted(points["updates"].unique())
    columns = {
        "minimum_ratio": "positive of all\n(the book's minimum ratio)",
        "zero_share": "near zero\nof all",
        "signed_ratio": "positive of those\nnot near zero",
    }
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        for (method, count, critical), rows in points.groupby(["method", "updates", "critical"], sort=False):
            color = COLORS[str(method)]
            look: dict[str, Any] = {"marker": MARKERS[updates.index(count) % len(MARKERS)], "edgecolors": color}
            axes.scatter(rows[column], rows["loss"], s=16, facecolors=color if critical else "none", alpha=0.8, **look)
        axes.set(xlabel=label, xlim=(-0.04, 1.04))
    panels[0].axvspan(0.5, 0.6, color="0.9", zorder=0)
    panels[0].set_ylabel("training loss where the search ended")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=COLORS[method], label=METHOD_NAMES[method])
        for method in dict.fromkeys(points["method"])
    ]
    handles += [
        Line2D([], [], marker=MARKERS[k % len(MARKERS)], linestyle="", color="0.4", label=f"{count:,} updates before")
        for k, count in enumerate(updates)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    asked = tables.provenance["experiment"]
    write_footer(
        figure,
        [
            f"{counted(len(points), 'network')} of {points['size'].iloc[0]:.0f} weights on {data_of(asked)}",
            "Filled: critical points, gradient below what counts as zero; open: a longer gradient",
            f"Zero: up to {asked['tolerances'][0]:g} of the longest eigenvalue. Grey: 0.5 to 0.6, above which the book "
            "sees none",
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


@styled
def saddle(tables: Tables) -> Figure:
    """Draw the loss along two eigenvectors, and in their plane."""
    rows = tables.frames["critical_plane"]
    grid = rows.pivot(index="smallest", columns="largest", values="loss")
    lowest, highest = rows["lowest"].iloc[0], rows["highest"].iloc[0]
    figure = blank(PAGE_WIDTH, 3.1)
    lines, plane = figure.subplots(1, 2, width_ratios=[1, 1.15])
    centre = len(grid) // 2
    steps = grid.columns.to_numpy()
    lines.plot(steps, grid.to_numpy()[centre], color="#0B4F9E", label=f"largest eigenvalue, {highest:.3g}")
    lines.plot(
        grid.index.to_numpy(),
        grid.to_numpy()[:, centre],
        color="#C23B75",
        linestyle="--",
        label=f"smallest eigenvalue, {lowest:.3g}",
    )
    lines.plot(0, grid.to_numpy()[centre, centre], "o", color="0.2", markersize=5)
    lines.set(xlabel="step along the eigenvector", ylabel="loss", title="each direction by itself")
    lines.legend(title="eigenvector of the")
    contours(plane, steps, grid.index.to_numpy(), grid.to_numpy())
    plane.set(xlabel="along the largest", ylabel="along the smallest", title="both")
    first = rows.iloc[0]
    asked = tables.provenance["experiment"]
    write_footer(
        figure,
        [
            f"One network on {data_of(asked)}, seed {first['seed']:.0f}, {first['updates']:.0f} updates, "
            f"{METHOD_NAMES[first['method']]}; steps in units of the weights",
            "Dot: where the search ended"
            + (". A minimum along one eigenvector, a maximum along another: a saddle" if lowest < 0 < highest else ""),
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def contours(axes: Axes, across: Any, up: Any, losses: Any) -> None:
    """Draw a map with lines at equal distances of rank, so that flat and steep parts show."""
    levels = np.unique(np.quantile(losses[np.isfinite(losses)], np.linspace(0, 1, 16)))
    axes.contourf(across, up, losses, levels=levels, cmap="Greys", alpha=0.6)
    drawn = axes.contour(across, up, losses, levels=levels[1:-1], colors="0.35", linewidths=0.5)
    axes.clabel(drawn, levels=levels[2:-1:3], fontsize=6, fmt="%.3g")
    axes.plot(0, 0, "o", color="0.1", markersize=5)
