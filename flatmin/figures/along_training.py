"""Sharpness against the training loss, along the training (the paper's Figure 6)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import footer
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    blank,
    epsilon_strokes,
    few_log_ticks,
    looks_of,
    loss_name,
    regimes_of,
    select,
    styled,
)
from flatmin.results import Tables
from flatmin.results.groups import on_the_way_rows, per_network
from flatmin.results.searches import methods_of, searches_note


@styled
def along_training(tables: Tables, *, network: str, data: str, space: str, batch_norm: str) -> Figure:
    """Draw the sharpness of networks on their way to a minimum against their training loss, a panel per search.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        space: ``"full"`` or ``"random"``.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: both axes logarithmic, the loss decreasing to the right; one curve per regime, epsilon and seed.

    Raises:
        ResultsError: If no network was measured on its way.
    """
    where = {"network": network, "data": data, "space": space, "batch_norm": batch_norm}
    rows = select(on_the_way_rows(tables), "sharpness", **where)
    methods = methods_of(rows)
    figure = blank(PAGE_WIDTH if len(methods) > 1 else COLUMN_WIDTH, 3.0)
    panels = figure.subplots(1, len(methods), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (method, name) in zip(panels, methods.items(), strict=True):
        draw_way(axes, rows[rows["method"] == method])
        axes.set_title(name)
    panels[0].set_ylabel("sharpness (%), log axis")
    loss_to_the_right(panels[0], rows)
    handles = regime_handles(tables, rows, network, data) + epsilon_handles(rows)
    heading(figure, "sharpness along the training", network, data, handles)
    footer(figure, tables, "sharpness", rows, way_note(rows), *searches_note(rows), zero_loss_note(rows))
    return figure


def draw_way(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one search: the networks of each regime, epsilon and seed in the order of their epochs."""
    looks = looks_of(regimes_of(rows))
    strokes = epsilon_strokes(rows["epsilon"])
    networks = per_network(rows, "epoch", "train_loss").sort_values("epoch", kind="stable")
    seen = networks[networks[["sharpness", "train_loss"]].gt(0).all(axis=1) & np.isfinite(networks["sharpness"])]
    width = 1.6 if seen["seed"].nunique() == 1 else 0.8
    for (regime, epsilon, _), way in seen.groupby(["regime", "epsilon", "seed"]):
        look = looks[str(regime)]
        line: dict[str, Any] = {"color": look.color, "marker": look.marker, "markersize": 3.5, "linewidth": width}
        axes.plot(way["train_loss"], way["sharpness"], **line | strokes[float(epsilon)])
    axes.set(xscale="log", yscale="log", xlabel=f"training {loss_name()}, log axis")


def loss_to_the_right(axes: Axes, rows: pd.DataFrame) -> None:
    """Let the loss fall to the right, with a little room at both ends."""
    losses = rows.loc[rows["train_loss"] > 0, "train_loss"]
    if len(losses):
        axes.set_xlim(1.5 * losses.max(), losses.min() / 1.5)
        few_log_ticks(axes.xaxis, crowded=100)


def epsilon_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries that tell the epsilons by their dash."""
    return [
        Line2D([], [], color="0.25", marker="o", markersize=3.5, label=f"ε = {epsilon:g}", **line)
        for epsilon, line in epsilon_strokes(rows["epsilon"]).items()
    ]


def way_note(rows: pd.DataFrame) -> str:
    """Return what a point is, and which epochs were measured."""
    epochs = ", ".join(f"{epoch:g}" for epoch in sorted(rows["epoch"].unique()))
    return f"A point is a network at the end of epoch {epochs}; one line per seed"


def zero_loss_note(rows: pd.DataFrame) -> str:
    """Return how many training losses have no place on a logarithmic axis; empty where all have one."""
    zeros = int((rows["train_loss"] <= 0).sum())
    return f"Training loss 0 in {zeros} of {len(rows):,} searches, left out" if zeros else ""
