"""Fig. 3.8: the ways of a full batch and of single examples on the loss of all examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, REGIMES, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import counted

FLOOR = 1e-6
TITLE = "Full batch and single examples on one loss"


@styled
def small_sample(tables: Tables) -> Figure:
    """Draw the map of each batch size, and what is left of the loss after epochs and after updates."""
    rows, asked = tables.frames["small_sample"], tables.experiment
    looks = colors(rows)
    first = rows[rows["seed"] == asked["seeds"][0]]
    figure = blank(PAGE_WIDTH, 5.4)
    grid = figure.add_gridspec(2, 2 * len(looks), height_ratios=[1.35, 1])
    maps = [figure.add_subplot(grid[0, 2 * place : 2 * place + 2]) for place in range(len(looks))]
    for axes, size in zip(maps, looks, strict=True):
        landscape(axes, tables)
        way = first[(first["batch_size"] == size) & (first["epoch"] <= asked["epochs"])]
        axes.plot(way["w1"], way["w2"], "-o", color=looks[size], linewidth=0.9, markersize=1.8)
        axes.plot(*asked["start"], "o", color=looks[size], markersize=6, markeredgecolor="white")
        axes.set_title(heading(size, len(way) - 1, asked))
    curves = [figure.add_subplot(grid[1, side * len(looks) : (side + 1) * len(looks)]) for side in (0, 1)]
    for size, color in looks.items():
        part = rows[rows["batch_size"] == size]
        per = len(part[(part["seed"] == asked["seeds"][0]) & (part["epoch"] == 1)])
        for axes, share, until in ((curves[0], 1 / per, asked["epochs"]), (curves[1], 1.0, part["update"].max())):
            for _, way in part.groupby("seed"):
                axes.plot(way["update"] * share, seen(way["excess"]), color=color, linewidth=0.4, alpha=0.35)
            middle = part.groupby("update")["excess"].median()
            axes.plot(middle.index * share, seen(middle), color=color, linewidth=1.6, label=f"batches of {size}")
            axes.set_xlim(0, until)
    curves[0].set(xlabel="epoch", title="At equal epochs")
    curves[1].set(xlabel="update", title="At equal updates")
    for axes in curves:
        axes.set(ylabel="loss above the least, log axis", yscale="log", ylim=(FLOOR, 3 * rows["excess"].max()))
        few_log_ticks(axes.yaxis, crowded=10)
    curves[0].legend(loc="lower left")
    figure.suptitle(TITLE, x=0.012, ha="left")
    facts = [
        f"Linear regression with two weights on {asked['examples']} examples, learning rate {asked['learning_rate']:g}",
        f"Above: seed {asked['seeds'][0]}, {asked['epochs']} epochs, a dot an update; grey: the loss over all "
        f"examples, cross: where it is least. Below: {counted(rows['seed'].nunique(), 'seed')} and their median; below "
        f"{FLOOR:g} nothing is drawn",
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]
    write_footer(figure, facts)
    return figure


def colors(rows: pd.DataFrame) -> dict[int, str]:
    """A colour for each batch size, from the largest on."""
    sizes = sorted((int(size) for size in rows["batch_size"].unique()), reverse=True)
    ends = REGIMES["large_batch"].color, REGIMES["small_batch"].color
    between = [to_hex(colormaps["viridis"](shade)) for shade in np.linspace(0.5, 0.7, max(len(sizes) - 2, 0))]
    return dict(zip(sizes, [ends[0], *between, ends[1]] if len(sizes) > 1 else [ends[0]], strict=True))


def seen(losses: "pd.Series[float]") -> "pd.Series[float]":
    """The losses above the floor."""
    return losses.where(losses > FLOOR)


def heading(size: int, updates: int, asked: Mapping[str, Any]) -> str:
    """What a map shows."""
    name = "Full batch" if size == asked["examples"] else "Single examples" if size == 1 else f"Batches of {size}"
    return f"{name}: {counted(updates, 'update')} in {counted(asked['epochs'], 'epoch')}"


def landscape(axes: Axes, tables: Tables) -> None:
    """Draw the loss over all examples with its least place."""
    rows = tables.frames["small_sample_surface"]
    wide = rows.pivot(index="w2", columns="w1", values="loss")
    low, high = float(rows["loss"].min()), float(rows["loss"].max())
    levels = low + (high - low) * np.linspace(0.06, 1, 12) ** 2
    axes.contourf(wide.columns, wide.index, wide, levels=[low, *levels], cmap="Greys", alpha=0.4)
    axes.contour(wide.columns, wide.index, wide, levels=levels, colors="0.55", linewidths=0.5)
    axes.plot(rows["least_w1"].iloc[0], rows["least_w2"].iloc[0], "x", color="#6A3D9A", markersize=8, zorder=5)
    axes.set(xlim=(wide.columns.min(), wide.columns.max()), ylim=(wide.index.min(), wide.index.max()), aspect="equal")
    axes.set(xlabel="w₁", ylabel="w₂")
