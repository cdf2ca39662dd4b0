"""Accuracy and sharpness against the batch size (the paper's Figure 4)."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.bands import band_note, draw_band
from flatmin.figures.captions import footer
from flatmin.figures.legends import heading, mark_handles, mark_regime
from flatmin.figures.style import (
    ACCURACY_COLOR,
    COLUMN_WIDTH,
    REGIMES,
    SEARCH_LOOKS,
    blank,
    epsilon_strokes,
    few_log_ticks,
    select,
    styled,
)
from flatmin.results import Tables
from flatmin.results.groups import averages_note, per_network, sweep_minima, sweep_rows
from flatmin.results.searches import methods_of, searches_note


@styled
def sweep(tables: Tables, *, network: str, data: str, series: str, space: str, batch_norm: str) -> Figure:
    """Draw test accuracy and sharpness against the batch size in two panels that share its axis.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        series: Name of the sweep, such as ``"sweep"``.
        space: ``"full"`` or ``"random"``.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: accuracy above, the sharpness of every search and epsilon on a logarithmic axis below.

    Raises:
        ResultsError: If there is no such sweep.
    """
    where = {"network": network, "data": data, "series": series, "space": space, "batch_norm": batch_norm}
    rows = select(sweep_rows(tables), "sharpness", **where)
    figure = blank(COLUMN_WIDTH, 4.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    minima = sweep_minima(tables)
    same = (minima["network"] == network) & (minima["data"] == data) & (minima["series"] == series)
    draw_sweep(top, bottom, rows, minima[same])
    top.set_ylabel("test accuracy (%)")
    bottom.set(ylabel="sharpness (%), log axis", xlabel="batch size, log axis", ylim=sweep_limits(rows["sharpness"]))
    pair = [regime for regime in REGIMES if regime in set(rows["regime"])]
    handles = sweep_handles(rows) + mark_handles(tables, pair, network, data)
    heading(figure, "accuracy and sharpness by batch size", network, data, handles)
    footer(
        figure, tables, "sharpness", rows, band_note(rows, "batch_size"), averages_note(tables), *searches_note(rows)
    )
    return figure


def draw_sweep(top: Axes, bottom: Axes, rows: pd.DataFrame, minima: pd.DataFrame) -> None:
    """Draw the accuracy above and the sharpness of every search and epsilon below.

    Args:
        top: For the accuracy.
        bottom: For the sharpness; shares the axis of batch sizes.
        rows: The searches of the sweep.
        minima: Its networks, measured or not.
    """
    networks = per_network(rows, "batch_size", "test_accuracy")
    accuracy = minima.assign(test_accuracy=100 * minima["test_accuracy"]).dropna(subset=["test_accuracy"])
    draw_band(top, accuracy, "batch_size", "test_accuracy", color=ACCURACY_COLOR, marker="^", markersize=3.5)
    strokes = epsilon_strokes(networks["epsilon"])
    for method, (epsilon, line) in product(methods_of(networks), strokes.items()):
        found = networks[(networks["method"] == method) & (networks["epsilon"] == epsilon)]
        seen = found[found["sharpness"] > 0]
        if len(seen):
            draw_band(bottom, seen, "batch_size", "sharpness", **search_look(method) | line)
    bottom.set_yscale("log")
    for axes in (top, bottom):
        size_axis(axes)
        mark_pair(axes, rows)


def search_look(method: str) -> dict[str, Any]:
    """Return how the sharpness found by a search is drawn."""
    color, marker = SEARCH_LOOKS.get(method, SEARCH_LOOKS["strong"])
    return {"color": color, "marker": marker, "markersize": 3.5}


def sweep_limits(sharpness: "pd.Series[float]") -> tuple[float, float]:
    """Return the ends of a logarithmic axis for these values, with a little room."""
    shown = sharpness[(sharpness > 0) & np.isfinite(sharpness)]
    return (float(shown.min() / 1.6), float(shown.max() * 1.6)) if len(shown) else (0.1, 10.0)


def size_axis(axes: Axes, *, narrow: bool = False) -> None:
    """Scale the axis of batch sizes logarithmically, with fewer ticks where there is little room."""
    axes.set(xscale="log")
    axes.margins(x=0.12)
    few_log_ticks(axes.xaxis, crowded=20 if narrow else 200)


def mark_pair(axes: Axes, rows: pd.DataFrame) -> None:
    """Mark the batch sizes of the small and the large batch by vertical lines, which the legend names."""
    for regime in REGIMES:
        for size in rows.loc[rows["regime"] == regime, "batch_size"].unique():
            mark_regime(axes, size, regime, named=False)


def sweep_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries: accuracy, and the sharpness of each search and epsilon."""
    accuracy = Line2D([], [], color=ACCURACY_COLOR, marker="^", markersize=4, label="test accuracy")
    return [
        accuracy,
        *(
            Line2D([], [], **search_look(method) | line, label=f"{name}, ε = {epsilon:g}")
            for method, name in methods_of(rows).items()
            for epsilon, line in epsilon_strokes(rows["epsilon"]).items()
        ),
    ]
