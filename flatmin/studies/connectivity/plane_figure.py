"""The training loss in the plane of a curve, a panel for each pair, with curve, segment and bend drawn in it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from flatmin.figures.captions import write_footer
from flatmin.figures.levels import COLORS, color_scale, log_levels
from flatmin.figures.style import PAGE_WIDTH, blank, few_log_ticks, loss_name, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.connectivity.found import WAYS

PANEL = 2.3
NAMED = ["pair", "first_seed", "second_seed", "way"]
ENDS = {"small": "small", "large": "large"}


@styled
def planes(tables: Tables) -> Figure:
    """Draw a panel for each plane; all share their colours."""
    cells, places = tables.frames["connectivity_planes"], tables.frames["connectivity_places"]
    parts = [(key, part) for key, part in cells.groupby(NAMED, sort=False)]
    figure = blank(min(PAGE_WIDTH, 1.0 + PANEL * len(parts)), PANEL + 0.35)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    levels = log_levels(cells["loss"])
    for axes, (key, part) in zip(panels, parts, strict=True):
        drawn = contours(axes, part, levels)
        curve(axes, places.merge(pd.DataFrame([key], columns=NAMED)), str(key[0]))
        axes.set(title=f"seeds {key[1]} and {key[2]}" if key[1] != key[2] else f"seed {key[1]}")
        axes.set_xlabel("distance along the segment")
    panels[0].set_ylabel("distance from it")
    bar = figure.colorbar(drawn, ax=list(panels), pad=0.01, aspect=25, label=f"training loss,\n{loss_name()}")
    few_log_ticks(bar.ax.yaxis, crowded=100)
    way = str(cells["way"].iloc[0])
    data = str(cells["data"].iloc[0])
    facts = [
        f"{cells['network'].iloc[0]} on {DATA_NAMES.get(data, data)}",
        f"Solid: the {WAYS[way]}; dashed: the segment; cross: the bend; small, large: the batch at an end",
        "Axes have right angles and the unit of the weights, each at a scale of its own",
        "BatchNorm: re-estimated statistics",
        "The first pair of each kind",
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]
    write_footer(figure, facts)
    return figure


def contours(axes: Axes, cells: pd.DataFrame, levels: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> QuadContourSet:
    """Draw the loss as filled contours."""
    grid = cells.pivot(index="beta", columns="alpha", values="loss").clip(levels[0], levels[-1])
    scale = color_scale(float(levels[0]), float(levels[-1]))
    return axes.contourf(grid.columns, grid.index, grid.to_numpy(), levels=levels, norm=scale, cmap=COLORS)


def curve(axes: Axes, places: pd.DataFrame, pair: str) -> None:
    """Draw the curve, the segment, the bend and both ends."""
    along, bend = places[places["t"].notna()], places[places["t"].isna()]
    ends = along.iloc[[0, -1]]
    axes.plot(ends["alpha"], ends["beta"], color="white", linestyle=(0, (4, 2)), linewidth=1)
    axes.plot(along["alpha"], along["beta"], color="white", linewidth=1.6)
    axes.plot(bend["alpha"], bend["beta"], "x", color="white", markersize=5)
    axes.plot(ends["alpha"], ends["beta"], "o", color="white", markeredgecolor="black", markersize=5, clip_on=False)
    for side, (_, end), align in zip(pair.split("_"), ends.iterrows(), ("left", "right"), strict=True):
        axes.annotate(
            ENDS[side], (end["alpha"], end["beta"]), (0, -12), textcoords="offset points", ha=align, color="white",
            fontsize=6.5, path_effects=[withStroke(linewidth=1.6, foreground="black")],
        )  # fmt: skip
