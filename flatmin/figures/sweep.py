"""Accuracy and sharpness against the batch size (the paper's Figure 4)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.bands import band_note, draw_band
from flatmin.figures.captions import footer
from flatmin.figures.groups import per_network, sweep_rows
from flatmin.figures.legends import heading, mark_regime
from flatmin.figures.searches import methods_of, searches_note
from flatmin.figures.style import (
    ACCURACY_COLOR,
    COLUMN_WIDTH,
    PAGE_WIDTH,
    REGIMES,
    SHARPNESS_COLOR,
    blank,
    epsilon_strokes,
    few_log_ticks,
    select,
    styled,
)
from flatmin.results import Tables


@styled
def sweep(tables: Tables, *, network: str, data: str, series: str, space: str, batch_norm: str) -> Figure:
    """Draw test accuracy and sharpness against the batch size, a panel per search.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        series: Name of the sweep, such as ``"sweep"``.
        space: ``"full"`` or ``"random"``.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: accuracy on the left axis, sharpness on a logarithmic right axis.

    Raises:
        ResultsError: If there is no such sweep.
    """
    where = {"network": network, "data": data, "series": series, "space": space, "batch_norm": batch_norm}
    rows = select(sweep_rows(tables), "sharpness", **where)
    methods = methods_of(rows)
    figure = blank(PAGE_WIDTH if len(methods) > 1 else COLUMN_WIDTH, 3.0)
    panels = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, (method, name) in zip(panels, methods.items(), strict=True):
        draw_sweep(axes, rows[rows["method"] == method], limits(rows["sharpness"]))
        axes.set_title(name, pad=14)
    heading(figure, "accuracy and sharpness against batch size", network, data, sweep_handles(rows))
    footer(figure, tables, "sharpness", rows, band_note(rows), *searches_note(rows))
    return figure


def draw_sweep(axes: Axes, rows: pd.DataFrame, ends: tuple[float, float]) -> Axes:
    """Draw one search: the accuracy on the left, the sharpness for each epsilon on the right axis, which is returned.

    Args:
        axes: Where to draw.
        rows: The searches of the sweep by one method.
        ends: Of the axis of the sharpness.
    """
    networks = per_network(rows, "batch_size", "test_accuracy")
    once = networks.drop_duplicates(["regime", "seed"])
    accuracy = once.assign(test_accuracy=100 * once["test_accuracy"])
    draw_band(axes, accuracy, "batch_size", "test_accuracy", color=ACCURACY_COLOR, marker="^", markersize=3.5)
    right = axes.twinx()
    for epsilon, line in epsilon_strokes(networks["epsilon"]).items():
        seen = networks[(networks["epsilon"] == epsilon) & (networks["sharpness"] > 0)]
        draw_band(right, seen, "batch_size", "sharpness", color=SHARPNESS_COLOR, marker="o", markersize=3.5, **line)
    size_axis(axes)
    axes.set_ylabel("test accuracy (%)", color=ACCURACY_COLOR)
    axes.tick_params(axis="y", colors=ACCURACY_COLOR)
    right.set(yscale="log", ylim=ends)
    right.set_ylabel("sharpness (%), log axis", color=SHARPNESS_COLOR)
    right.tick_params(axis="y", which="both", colors=SHARPNESS_COLOR)
    right.spines["right"].set(visible=True, color=SHARPNESS_COLOR)
    mark_pair(axes, rows)
    return right


def limits(sharpness: "pd.Series[float]") -> tuple[float, float]:
    """Return the ends of a logarithmic axis for these values, with a little room."""
    shown = sharpness[(sharpness > 0) & np.isfinite(sharpness)]
    return (float(shown.min() / 1.6), float(shown.max() * 1.6)) if len(shown) else (0.1, 10.0)


def size_axis(axes: Axes) -> None:
    """Scale the axis of batch sizes logarithmically, and name it."""
    axes.set(xscale="log", xlabel="batch size, log axis")
    axes.margins(x=0.12)
    few_log_ticks(axes.xaxis, crowded=200)


def mark_pair(axes: Axes, rows: pd.DataFrame) -> None:
    """Mark the batch sizes of the small and the large batch by vertical lines with their names above."""
    for regime in REGIMES:
        for size in rows.loc[rows["regime"] == regime, "batch_size"].unique():
            mark_regime(axes, size, regime)


def sweep_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries: accuracy, and sharpness for each epsilon."""
    look: dict[str, Any] = {"marker": "o", "markersize": 4, "color": SHARPNESS_COLOR}
    return [
        Line2D([], [], color=ACCURACY_COLOR, marker="^", markersize=4, label="test accuracy"),
        *(
            Line2D([], [], **look | line, label=f"sharpness, ε = {epsilon:g}")
            for epsilon, line in epsilon_strokes(rows["epsilon"]).items()
        ),
    ]
