"""Large batches that go out from the iterates of small-batch training (the paper's Figure 5)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from flatmin.figures.bands import band_note, draw_band
from flatmin.figures.captions import footer
from flatmin.figures.legends import heading, regime_name
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, REGIMES, blank, epsilon_strokes, looks_of, select, styled
from flatmin.results import Tables
from flatmin.results.groups import averages_note, origin_of, per_network, recorded, warm_start_rows
from flatmin.results.searches import methods_of, searches_note
from flatmin.results.words import counted

SOLUTION: dict[str, Any] = {
    "color": REGIMES["large_batch"].color,
    "marker": REGIMES["large_batch"].marker,
    "markersize": 4,
}


@styled
def warm_start(tables: Tables, *, network: str, data: str, series: str, space: str, batch_norm: str) -> Figure:
    """Draw accuracy and sharpness of large-batch solutions against the epoch of the iterate they start from.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        series: Name of the warm start, such as ``"warm_start"``.
        space: ``"full"`` or ``"random"``.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: a column per search, the test accuracies above, from a little below those of the solutions, and
        the sharpness on a logarithmic axis below.

    Raises:
        ResultsError: If there is no such warm start.
    """
    where = {"network": network, "data": data, "series": series, "space": space, "batch_norm": batch_norm}
    rows = select(warm_start_rows(tables), "sharpness", **where)
    iterates = iterates_of(tables, rows)
    methods = methods_of(rows)
    figure = blank(PAGE_WIDTH if len(methods) > 1 else COLUMN_WIDTH, 4.2)
    panels = figure.subplots(2, len(methods), squeeze=False, sharex=True, sharey="row")
    for (top, bottom), (method, name) in zip(panels.T, methods.items(), strict=True):
        searched = rows[rows["method"] == method]
        draw_accuracy(top, searched, iterates)
        draw_sharpness(bottom, searched)
        top.set_title(name)
    panels[0, 0].set_ylabel("test accuracy (%)")
    panels[1, 0].set_ylabel("sharpness (%), log axis")
    origin = regime_name(tables, origin_of(tables, series), network, data)
    heading(figure, f"large batch from iterates of the {origin}", network, data, warm_start_handles(tables, rows))
    notes = [band_note(rows, "start_epoch"), cold_note(rows), below_note(panels[0, 0], iterates)]
    footer(figure, tables, "sharpness", rows, *notes, averages_note(tables), *searches_note(rows))
    return figure


def iterates_of(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the test accuracy, epoch by epoch, of the training that the warm start goes out from."""
    first = rows.iloc[0]
    curves = recorded(tables.curves, "accuracy")
    same = (curves["network"] == first["network"]) & (curves["data"] == first["data"]) & (curves["split"] == "test")
    origin = curves["regime"] == origin_of(tables, str(first["series"]))
    found: pd.DataFrame = curves[same & origin & curves["seed"].isin(rows["seed"])]
    return found


def draw_accuracy(axes: Axes, rows: pd.DataFrame, iterates: pd.DataFrame) -> None:
    """Draw the test accuracy of the iterates and of the solutions reached from them."""
    for regime, look in looks_of(list(iterates["regime"].unique())).items():
        line: dict[str, Any] = {"color": look.color, "marker": look.marker, "markersize": 3, "markevery": 5}
        path = iterates[iterates["regime"] == regime]
        draw_band(axes, path.assign(accuracy=100 * path["accuracy"]), "epoch", "accuracy", **line)
    once = rows.drop_duplicates(["regime", "seed"])
    solutions = once.assign(test_accuracy=100 * once["test_accuracy"])
    draw_band(axes, solutions, "start_epoch", "test_accuracy", **SOLUTION)
    low, high = solutions["test_accuracy"].min(), 100 * iterates["accuracy"].max()
    if np.isfinite(low) and np.isfinite(high):
        axes.set_ylim(bottom=low - max(2.0, high - low))


def below_note(axes: Axes, iterates: pd.DataFrame) -> str:
    """Return how many iterates lie below the axis of accuracies, and how low; empty where all are in range."""
    means = 100 * iterates.groupby("epoch")["accuracy"].mean()
    below = means[means < axes.get_ylim()[0]]
    if below.empty:
        return ""
    return f"{len(below)} of {counted(len(means), 'iterate')} below the axis, the lowest at {below.min():.1f} %"


def draw_sharpness(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the sharpness of the solutions for each epsilon."""
    networks = per_network(rows, "start_epoch")
    for epsilon, line in epsilon_strokes(networks["epsilon"]).items():
        seen = networks[(networks["epsilon"] == epsilon) & (networks["sharpness"] > 0)]
        draw_band(axes, seen, "start_epoch", "sharpness", **SOLUTION, **line)
    first, last = networks["start_epoch"].min(), networks["start_epoch"].max()
    margin = 0.05 * (last - first) or 0.5
    axes.set(yscale="log", xlabel="epoch of the iterate", xlim=(first - margin, last + margin))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def zeros_note(rows: pd.DataFrame) -> str:
    """Return how many searches found no rise at all, which a logarithmic axis cannot show."""
    zeros, of = int((rows["sharpness"] <= 0).sum()), counted(len(rows), "search")
    return f"Sharpness 0 in {zeros} of {of}, not drawn" if zeros else ""


def warm_start_handles(tables: Tables, rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries: iterate, solution, and the dash of each epsilon."""
    origin = origin_of(tables, rows["series"].iloc[0])
    start = looks_of([origin])[origin]
    return [
        Line2D([], [], color=start.color, marker=start.marker, markersize=3, label="iterate"),
        Line2D([], [], **SOLUTION, label="large batch from there"),
        *(
            Line2D([], [], color="0.25", label=f"sharpness, ε = {epsilon:g}", marker="s", markersize=4, **line)
            for epsilon, line in epsilon_strokes(rows["epsilon"]).items()
        ),
    ]


def cold_note(rows: pd.DataFrame) -> str:
    """Return what epoch 0 is; empty where no solution starts there."""
    return "Epoch 0: large batch from the start of the seed" if (rows["start_epoch"] == 0).any() else ""
