"""Descents beside the toy network's saddle, with and without momentum."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.studies.toy.figure import landscape
from flatmin.studies.toy.found import METHOD_NAMES

STROKES: dict[str, Any] = {"descent": "-", "momentum": (0, (3, 1))}


@styled
def saddle(tables: Tables) -> Figure:
    """Draw the map with the ways, and the loss along each."""
    rows, asked = tables.frames["momentum_saddle"], tables.experiment["saddle"]
    figure = blank(PAGE_WIDTH, 3.6)
    chart, curves = figure.subplots(1, 2, width_ratios=[1.2, 1])
    landscape(chart)
    colors = looks(rows)
    descents: list[Any] = list(rows.groupby(["perturbation", "method"], sort=False))
    for (moved, method), way in descents:
        stroke = {"color": colors[moved], "linestyle": STROKES[method], "linewidth": 1.3}
        chart.plot(way["w1"], way["w2"], **stroke)
        curves.plot(way["step"], way["loss"].where(way["loss"] > FLOOR), **stroke)
    chart.plot(*asked["start"], "o", markersize=5, color="#111111", markeredgecolor="white", zorder=8)
    curves.set(xlabel="step", ylabel="loss, log axis", yscale="log", title="The loss on the way", ylim=(FLOOR, 4))
    curves.set_xlim(0, 1.1 * float(rows.loc[(rows["loss"] > FLOOR) & (rows["perturbation"] > 0), "step"].max()))
    figure.legend(handles=handles(colors), loc="outside upper left", ncols=3, title=TITLE, alignment="left")
    figure.legends[0].get_title().set(fontsize=9.5, fontweight="bold")
    start = ", ".join(f"{value:g}" for value in asked["start"]).replace("-", "–")
    facts = [
        f"Loss (1 – w₁ w₂)², learning rate {asked['learning_rate']:g}, momentum {asked['momentum']:g}",
        f"Dot: the start, ({start}), moved along (1, 1) by what the colours say, per "
        "coordinate. Arrows: into the saddle and away from it; thick: all minima. Losses below 1e-6 are not drawn",
    ]
    write_footer(figure, facts)
    return figure


FLOOR = 1e-6
TITLE = "Momentum at a saddle: stuck on the line that leads in, sooner out from beside it"


def looks(rows: pd.DataFrame) -> dict[float, Any]:
    """A colour for each perturbation, grey for none."""
    moved = sorted(value for value in rows["perturbation"].unique() if value > 0)
    shades = np.linspace(0.75, 0.1, len(moved))
    return {0.0: "0.45"} | {
        value: to_hex(colormaps["plasma"](shade)) for value, shade in zip(moved, shades, strict=True)
    }


def handles(colors: dict[float, Any]) -> list[Line2D]:
    """What the colours and the strokes are."""
    moved = [
        Line2D([], [], color=color, label=f"moved by {value:g}" if value else "on the line")
        for value, color in colors.items()
    ]
    return [
        *moved,
        *(Line2D([], [], color="0.2", linestyle=STROKES[name], label=METHOD_NAMES[name]) for name in STROKES),
    ]
