"""A line or a plane of a network by itself: what `flatmin slice --figure` draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flatmin.figures.captions import write_footer
from flatmin.figures.legends import MARK
from flatmin.figures.levels import log_levels
from flatmin.figures.slices import draw_plane, loss_bar, mark, plane_notes
from flatmin.figures.style import ACCURACY_COLOR, COLUMN_WIDTH, LOSS_COLOR, blank, loss_axis, styled
from flatmin.results.words import LOSS

NETWORK_COLOR = "0.55"
NAMED: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": "0.25", "fontsize": 7}


@styled
def line_figure(rows: pd.DataFrame, facts: list[str], loss: str, networks: Mapping[str, float]) -> Figure:
    """Draw loss and accuracy along a line.

    Args:
        rows: Columns ``alpha``, ``loss`` and ``accuracy``.
        facts: Sentences below the figure.
        loss: What the losses are.
        networks: Where networks stand on it, by their names.

    Raises:
        ResultsError: If no loss is finite.
    """
    figure = blank(COLUMN_WIDTH, 3.0)
    axes = figure.subplots()
    axes.plot(rows["alpha"], rows["loss"], "o-", color=LOSS_COLOR, markersize=3)
    loss_axis(axes, rows["loss"])
    axes.set_ylabel(axes.get_ylabel().replace(LOSS, loss))
    axes.set_xlabel("α")
    for name, alpha in networks.items():
        axes.axvline(alpha, color=NETWORK_COLOR, **MARK, zorder=0)
        axes.annotate(name, (alpha, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3), **NAMED)
    if np.isfinite(rows["accuracy"]).any():
        right = axes.twinx()
        right.plot(rows["alpha"], 100 * rows["accuracy"], "--", color=ACCURACY_COLOR)
        right.set_ylabel("accuracy (%)", color=ACCURACY_COLOR)
        right.set_ylim(-2, 102)
    lost = int((~np.isfinite(rows["loss"])).sum())
    write_footer(figure, [f"{len(rows)} points", f"{lost} not finite" if lost else "", *facts])
    return figure


@styled
def plane_figure(rows: pd.DataFrame, facts: list[str], loss: str) -> Figure:
    """Draw a plane as contours on a logarithmic colour scale.

    Args:
        rows: Columns ``alpha``, ``beta`` and ``loss``.
        facts: Sentences below the figure.
        loss: What the losses are.

    Raises:
        ResultsError: If no loss is finite.
    """
    levels = log_levels(rows["loss"])
    figure = blank(COLUMN_WIDTH, 3.6, compress=True)
    axes = figure.subplots()
    filled = draw_plane(axes, rows, levels)
    mark(axes, 0.0, 0.0, "the network")
    axes.set(xlabel="α  (first direction)", ylabel="β  (second direction)")
    loss_bar(figure, [axes], filled).set_label(f"{loss}, log scale")
    write_footer(figure, [*plane_notes(rows, levels), *facts])
    return figure
