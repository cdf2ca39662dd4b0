"""Training curves: accuracy and loss after each epoch, train and test (the paper's Figure 2).

The small and the large batch have a figure of their own; a study's other regimes share a second one.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flatmin.figures.bands import band_note, draw_band
from flatmin.figures.captions import counted, footer, non_finite_note
from flatmin.figures.legends import heading, regime_handles, split_handles, stroke
from flatmin.figures.style import LOSS, PAGE_WIDTH, REGIMES, blank, looks_of, regimes_of, select, splits_of, styled
from flatmin.results import Tables


@styled
def training_curves(tables: Tables, *, network: str, data: str, variations: bool = False) -> Figure:
    """Draw accuracy and loss against epochs: the mean over seeds in a band from the lowest to the highest.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        variations: Draw the study's other regimes instead of the small and the large batch.

    Returns:
        The figure: accuracy on the left, loss on a logarithmic axis on the right.

    Raises:
        ResultsError: If there are no such curves.
    """
    rows = select(curve_rows(tables, variations=variations), "curves", network=network, data=data)
    figure = blank(PAGE_WIDTH, 3.0)
    left, right = figure.subplots(1, 2)
    draw_curves(left, rows.assign(accuracy=100 * rows["accuracy"]), "accuracy")
    draw_curves(right, rows[rows["loss"] > 0], "loss")
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0, max(1, rows["epoch"].max())))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    left.set_ylabel("accuracy (%)")
    right.set_yscale("log")
    right.set_ylabel(f"{LOSS}, log axis")
    handles = regime_handles(tables, rows, network, data) + split_handles(splits_of(rows))
    heading(figure, "training curves", network, data, handles)
    footer(
        figure,
        tables,
        "curves",
        rows,
        band_note(rows),
        zeros_note(rows),
        non_finite_note(rows, "loss value", "left out"),
    )
    return figure


def curve_rows(tables: Tables, *, variations: bool) -> pd.DataFrame:
    """Return the curves of the small and the large batch, or those of all other regimes."""
    return tables.curves[tables.curves["regime"].isin(REGIMES) != variations]


def zeros_note(rows: pd.DataFrame) -> str:
    """Return how many losses have no place on a logarithmic axis; empty where all have one."""
    zeros = int((rows["loss"] <= 0).sum())
    return f"{zeros} of {counted(len(rows), 'loss value')} zero, left out" if zeros else ""


def draw_curves(axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw a quantity against epochs for every regime and split."""
    finite = rows[np.isfinite(rows[quantity])]
    for regime, look in looks_of(regimes_of(finite)).items():
        for split in splits_of(finite):
            chosen = finite[(finite["regime"] == regime) & (finite["split"] == split)]
            line = stroke(look.color, look.marker, split, points=chosen["epoch"].nunique(), marks=10)
            draw_band(axes, chosen, "epoch", quantity, **line)
