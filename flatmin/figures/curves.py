"""Training curves: accuracy and loss after each epoch, both regimes, train and test (the paper's Figure 2)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatmin.figures.captions import counted, footer, non_finite_note
from flatmin.figures.legends import heading, regime_handles, split_handles, stroke
from flatmin.figures.style import LOSS, PAGE_WIDTH, REGIMES, blank, regimes_of, select, splits_of, styled
from flatmin.results import Tables


@styled
def training_curves(tables: Tables, *, network: str, data: str) -> Figure:
    """Draw accuracy and loss against epochs: the mean over seeds in a band from the lowest to the highest.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.

    Returns:
        The figure: accuracy on the left, loss on a logarithmic axis on the right.

    Raises:
        ResultsError: If there are no such curves.
    """
    rows = select(tables.curves, "curves", network=network, data=data)
    figure = blank(PAGE_WIDTH, 3.0)
    left, right = figure.subplots(1, 2)
    draw_band(left, rows.assign(accuracy=100 * rows["accuracy"]), "accuracy")
    draw_band(right, rows[rows["loss"] > 0], "loss")
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0, max(1, rows["epoch"].max())))
    left.set_ylabel("accuracy (%)")
    right.set_yscale("log")
    right.set_ylabel(f"{LOSS}, log axis")
    handles = regime_handles(tables, rows, network, data) + split_handles(splits_of(rows))
    heading(figure, "training curves", network, data, handles)
    seeds = rows["seed"].nunique()
    spread = "Line: mean over seeds, band: lowest to highest seed" if seeds > 1 else ""
    footer(figure, tables, "curves", rows, spread, zeros_note(rows), non_finite_note(rows, "loss value", "left out"))
    return figure


def zeros_note(rows: pd.DataFrame) -> str:
    """Return how many losses have no place on a logarithmic axis; empty where all have one."""
    zeros = int((rows["loss"] <= 0).sum())
    return f"{zeros} of {counted(len(rows), 'loss value')} zero, left out" if zeros else ""


def draw_band(axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw the mean over seeds and the band from the lowest to the highest seed."""
    finite = rows[np.isfinite(rows[quantity])]
    for regime in regimes_of(finite):
        look = REGIMES[regime]
        for split in splits_of(finite):
            chosen = finite[(finite["regime"] == regime) & (finite["split"] == split)]
            seeds = chosen.groupby("epoch")[quantity].agg(["mean", "min", "max"])
            axes.fill_between(seeds.index, seeds["min"], seeds["max"], color=look.color, alpha=0.2, linewidth=0)
            line = stroke(look.color, look.marker, split, points=len(seeds), marks=10)
            axes.plot(seeds.index, seeds["mean"], **line)
