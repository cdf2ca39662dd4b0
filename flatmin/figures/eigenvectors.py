"""What the sharpest directions make of the box: along each, at the corners of the first few, and without these."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from flatmin.figures.alone import canvas, grounds, in_house, note
from flatmin.figures.captions import footer, seeds_behind
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.style import LOSS_COLOR, PAGE_WIDTH, blank, looks_of, regimes_of, select, styled
from flatmin.results import Tables, of_minima
from flatmin.results.words import counted

WHAT: dict[str, dict[str, Any]] = {
    "the loss": {"linestyle": "-", "markersize": 3.5},
    "its quadratic model": {"linestyle": "--", "marker": "none"},
    "worst point of the box": {"linestyle": ":", "marker": "none"},
}
PANELS: dict[str, tuple[str, str | None]] = {
    "along one, to the\nedge of the box": ("up", "model"),
    "at the corner that the\nfirst ones point to": ("corner_rise", "corner_model"),
    "at the worst point\nwithout the first ones": ("without", None),
}
"""What each panel shows, with the columns of the loss and of its model."""


@styled
def eigenvectors(tables: Tables, *, network: str, data: str, batch_norm: str, epsilon: float) -> Figure:
    """Draw how the loss rises along each eigenvector, at corners of the first few, and at the worst point without them.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.
        epsilon: Half-width of the box.

    Returns:
        The figure: a line for the mean over seeds and a dot for each, the quadratic model dashed where it says
        something; a logarithmic axis that all panels share.

    Raises:
        ResultsError: If it was not measured.
    """
    where = {"network": network, "data": data, "batch_norm": batch_norm, "epsilon": epsilon}
    rows = select(of_minima(tables.frames["explained"]), "explained", **where)
    rows = rows.assign(up=np.maximum(rows["uphill"], rows["downhill"]), model=rows["uphill_model"])
    figure = blank(PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    lost = 0
    for regime, look in looks_of(regimes_of(rows)).items():
        mine = rows[rows["regime"] == regime]
        style = {"color": look.color, "marker": look.marker}
        for axes, (loss, model) in zip(panels, PANELS.values(), strict=True):
            lost += _drawn(axes, mine, loss, model, style)
            axes.axhline(mine["worst_rise"].mean(), color=look.color, linestyle=":", linewidth=1.2)
    panels[0].set_ylabel("rise of the loss, log axis")
    for axes, title in zip(panels, PANELS, strict=True):
        axes.set(title=title, xlabel="eigenvectors" if axes is not panels[0] else "number of the eigenvector")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    keys = [Line2D([], [], color="0.3", **({"marker": "o"} | look), label=label) for label, look in WHAT.items()]
    handles = [*regime_handles(tables, rows, network, data), *keys]
    heading(figure, f"the box along the sharpest directions, ε = {epsilon:g}", network, data, handles)
    seeds = seeds_behind(rows, "regime")
    hidden = f"{counted(lost, 'value')} not above 0, or not finite, left out" if lost else ""
    footer(figure, tables, "explained", rows, f"Lines: mean over seeds, dot: a seed ({seeds})" if seeds else "", hidden)
    return figure


def _drawn(axes: Axes, rows: pd.DataFrame, loss: str, model: str | None, style: dict[str, Any]) -> int:
    """Draw one regime, and return how many values a logarithmic axis cannot show."""
    shown = rows[(rows[loss] > 0) & np.isfinite(rows[loss])]
    axes.plot(shown["number"], shown[loss], **style, markersize=2.5, alpha=0.4, linestyle="none")
    mean = shown.groupby("number")[loss].mean()
    axes.plot(mean.index, mean, **style, **WHAT["the loss"])
    if model:
        mean = rows[rows[model] > 0].groupby("number")[model].mean()
        axes.plot(mean.index, mean, color=style["color"], **WHAT["its quadratic model"])
    return len(rows) - len(shown)


@in_house
def rises_drawn(rows: pd.DataFrame, ax: Axes | None, title: str) -> Axes:
    """Draw the rise along each eigenvector, both ways, beside the quadratic model's.

    Args:
        rows: Of one network: the table of :class:`~flatmin.sharpness.Explained`.
        ax: Where to draw.
        title: What stands above it.

    Returns:
        The axis.
    """
    axes = canvas(ax, 2.9)
    for name, marker in (("uphill", "^"), ("downhill", "v")):
        (line,) = axes.plot(rows["number"], rows[name], marker, markersize=4, label=name)
        axes.plot(rows["number"], rows[f"{name}_model"], "--", color=line.get_color(), label=f"{name}, model")
    axes.axhline(float(rows["worst_rise"].iloc[0]), color=LOSS_COLOR, linestyle=":", label="worst point of the box")
    axes.set(xlabel="number of the eigenvector", ylabel="rise of the loss", title=title)
    if (rows[["uphill", "downhill"]] > 0).all(axis=None):
        axes.set(yscale="log", ylabel="rise of the loss, log axis")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend()
    note(axes, [f"Longest steps in the box of ε = {float(rows['epsilon'].iloc[0]):g}", *grounds(rows)], None)
    return axes
