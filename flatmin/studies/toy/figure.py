"""One picture of the toy network: its loss as a map with the ways down, and the loss along each."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.studies.toy.found import METHOD_NAMES

REACH = 2.0
CONTOURS = (0.01, 0.1, 0.3, 0.6, 1.0, 2.0, 4.0, 9.0, 16.0)
LABELLED = [(sign * x, sign * y) for sign in (1, -1) for x, y in ((1.7, 0.77), (1.7, 1.18), (-0.6, 1.67), (-1.2, 1.67))]
"""Where contours of 0.1, 1, 4 and 9 have their label: beside the paths, and not cut by the frame."""
WAY_COLORS = ("#0B4F9E", "#EE7F2D", "#1B7F69", "#C23B75")
WAY_STROKES: dict[str, dict[str, Any]] = {
    "descent": {"linewidth": 4.5, "alpha": 0.4, "solid_capstyle": "butt"},
    "momentum": {"linewidth": 1.2},
}


@styled
def toy(tables: Tables) -> Figure:
    """Draw the map and the descents.

    Raises:
        ResultsError: If nothing went down.
    """
    ways: list[Any] = list(tables.frames["descents"].groupby(["start_w1", "start_w2", "method"], sort=False))
    if not ways:
        raise ResultsError("the table `descents` is empty, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH, 3.9)
    chart, curves = figure.subplots(1, 2, width_ratios=[1.35, 1])
    landscape(chart)
    starts = list(dict.fromkeys((one, other) for (one, other, _), _ in ways))
    handles = []
    for (one, other, method), way in ways:
        line = {"color": WAY_COLORS[starts.index((one, other)) % len(WAY_COLORS)], **WAY_STROKES[method]}
        chart.plot(way["w1"], way["w2"], **line)
        chart.plot(one, other, marker="o", markersize=5, color=line["color"], markeredgecolor="white", zorder=6)
        curves.plot(way["step"], way["loss"], **line)
        handles.append(Line2D([], [], label=f"{METHOD_NAMES[method]} from ({one:g}, {other:g})", **line))
    curves.set(xlabel="step", ylabel="loss, log axis", yscale="log", title="The loss on the way")
    curves.set_xlim(0, longest([way for _, way in ways]))
    curves.set_ylim(bottom=FLOOR)
    figure.legend(handles=handles, loc="outside upper left", ncols=2, title=TITLE, alignment="left").get_title().set(
        fontsize=9.5, fontweight="bold"
    )
    write_footer(figure, [NOTE, *(remark.text for remark in remarks(tables.provenance, "reduced"))])
    return figure


FLOOR = 1e-8
TITLE = "y = w₁ w₂ x, loss (1 – w₁ w₂)²: a saddle between two valleys"
NOTE = (
    "Dark curves: all minima, w₁ w₂ = 1, each with a flat direction along the curve. Cross: the saddle at the origin, "
    "from which the loss falls along (1, 1) (eigenvalue –2; arrows away from it) and rises along (1, –1) (eigenvalue "
    "2; arrows towards it). Dots: starts. Losses below 1e-8 are not drawn"
)


def landscape(axes: Axes) -> None:
    """Draw the contours, the minima and the saddle with its two eigenvectors."""
    axis = np.linspace(-REACH, REACH, 241)
    first, second = np.meshgrid(axis, axis)
    axes.contourf(first, second, (1 - first * second) ** 2, levels=[0, *CONTOURS, 26], cmap="Greys", alpha=0.55)
    contours = axes.contour(first, second, (1 - first * second) ** 2, levels=CONTOURS, colors="0.45", linewidths=0.5)
    axes.clabel(contours, manual=LABELLED, fontsize=6, fmt="%g")
    for sign in (1, -1):
        valley = sign * np.linspace(1 / REACH, REACH, 100)
        axes.plot(valley, 1 / valley, color="#2B2B2B", linewidth=2.2)
    arrow: dict[str, Any] = {"arrowstyle": "->", "linewidth": 1.1, "color": "#1B7F69", "shrinkA": 0, "shrinkB": 0}
    for sign in (1, -1):
        axes.annotate("", (-0.75 * sign, -0.75 * sign), (-0.15 * sign, -0.15 * sign), arrowprops=arrow)
        axes.annotate("", (0.7 * sign, -0.7 * sign), (1.4 * sign, -1.4 * sign), arrowprops=arrow)
    axes.plot(0, 0, marker="x", markersize=10, markeredgewidth=2, color="#6A3D9A", zorder=7)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xlabel="w₁", ylabel="w₂", aspect="equal", title="The loss")


def longest(ways: list[pd.DataFrame]) -> float:
    """How many steps are worth drawing: until the slowest has nearly ended."""
    ends = [way.loc[abs(way["loss"] - way["loss"].iloc[-1]) > 1e-9, "step"].max() for way in ways]
    return float(np.nanmax([*ends, 1.0]))
