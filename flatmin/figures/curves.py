"""Training curves: error and loss after each epoch, train and test (the paper's Figure 2).

Both axes are logarithmic, so that the last per cent is seen. Thick lines are taken with BatchNorm's batch statistics,
as in the authors' code, thin ones with its running averages. The small and the large batch share a figure; each of a
study's other regimes has a panel of its own.
"""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flatmin.figures.bands import band_note, draw_band
from flatmin.figures.captions import footer, non_finite_note
from flatmin.figures.legends import heading, regime_handles, regime_name, split_handles, stroke
from flatmin.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    REGIMES,
    Look,
    blank,
    few_log_ticks,
    looks_of,
    loss_name,
    plain_tick,
    regimes_of,
    select,
    splits_of,
    styled,
)
from flatmin.results import Tables
from flatmin.results.words import BATCH_NORM_NAMES, counted

CURVE_QUANTITIES = ("error", "loss")
PANEL_COLUMNS = 4
LONGER = 4
"""So many times as long as the others a training is shown on a logarithmic axis."""
READING_STROKES = {"": ("batch", 1.6), "running_": ("running", 0.6)}
OTHERS_GREY = "0.82"
TITLE_WIDTH = 26
"""Letters of the title of a panel."""


@styled
def training_curves(tables: Tables, *, network: str, data: str) -> Figure:
    """Draw error and loss of the small and the large batch against epochs: the mean over seeds in their band.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.

    Returns:
        The figure: error on the left (not for real targets), loss on the right, both on logarithmic axes.

    Raises:
        ResultsError: If there are no such curves.
    """
    rows = with_errors(select(curve_rows(tables, variations=False), "curves", network=network, data=data))
    quantities = [quantity for quantity in CURVE_QUANTITIES if rows[quantity].notna().any()]
    figure = blank(PAGE_WIDTH if len(quantities) > 1 else COLUMN_WIDTH, 3.0)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        draw_curves(axes, rows, quantity)
        epoch_axis(axes, rows)
        axes.set_ylabel(axis_label(quantity))
    handles = regime_handles(tables, rows, network, data) + split_handles(splits_of(rows)) + reading_handles(rows)
    heading(figure, "training curves", network, data, handles)
    footer(figure, tables, "curves", rows, *curve_notes(rows, *quantities))
    return figure


@styled
def variation_curves(tables: Tables, *, network: str, data: str, quantity: str = "error") -> Figure:
    """Draw error or loss of a study's other regimes against epochs, a panel for each, the others in grey behind it.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        quantity: ``"error"`` or ``"loss"``.

    Returns:
        The figure: panels in the order of `regimes_of`, on one pair of axes.

    Raises:
        ResultsError: If there are no such curves.
    """
    rows = with_errors(select(curve_rows(tables, variations=True), "curves", network=network, data=data))
    regimes = regimes_of(rows)
    columns = min(len(regimes), PANEL_COLUMNS)
    lines = -(-len(regimes) // PANEL_COLUMNS)
    width = PAGE_WIDTH if columns > 2 else COLUMN_WIDTH
    figure = blank(width, 0.9 + 1.5 * lines)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(regimes) :]:
        axes.remove()
    for place, (axes, regime) in enumerate(zip(panels.flat, regimes, strict=False)):
        draw_others(axes, rows[rows["regime"] != regime], quantity)
        draw_curves(axes, rows[rows["regime"] == regime], quantity, looks=looks_of(regimes))
        axes.set(ylim=ends(rows, quantity))
        axes.set_title(fill(regime_name(tables, regime, network, data), TITLE_WIDTH), fontsize=7.5)
        epoch_axis(axes, rows)
        below = place + columns >= len(regimes)
        axes.set(xlabel=axes.get_xlabel() if below else "")
        axes.tick_params(labelbottom=below)
    figure.supylabel(axis_label(quantity), fontsize=8)
    handles = [*split_handles(splits_of(rows)), *reading_handles(rows)]
    if len(regimes) > 1:
        handles.append(Line2D([], [], color=OTHERS_GREY, label="test in the other panels"))
    heading(figure, f"training curves, {quantity}", network, data, handles)
    footer(figure, tables, "curves", rows, *curve_notes(rows, quantity))
    return figure


def axis_label(quantity: str) -> str:
    """Return the words at the axis of ``"error"`` or ``"loss"``."""
    return "error (%), log axis" if quantity == "error" else f"{loss_name()}, log axis"


def curve_rows(tables: Tables, *, variations: bool) -> pd.DataFrame:
    """Return the curves of the small and the large batch, or those of all other regimes."""
    return tables.curves[tables.curves["regime"].isin(REGIMES) != variations]


def with_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the curves with the `error` in per cent in both readings of BatchNorm."""
    errors = {f"{prefix}error": 100 * (1 - rows[f"{prefix}accuracy"].astype(float)) for prefix in READING_STROKES}
    return rows.assign(**errors)


def draw_curves(axes: Axes, rows: pd.DataFrame, quantity: str, looks: dict[str, Look] | None = None) -> None:
    """Draw a quantity against epochs for every regime and split, batch statistics thick and running averages thin.

    Args:
        axes: Where to draw; their vertical axis becomes logarithmic.
        rows: The curves, `with_errors`.
        quantity: ``"error"`` or ``"loss"``.
        looks: How the regimes are drawn, if not as in a figure of theirs alone.
    """
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(*ends(rows, quantity))
    for regime, look in (looks or looks_of(regimes_of(rows))).items():
        for split in splits_of(rows):
            chosen = rows[(rows["regime"] == regime) & (rows["split"] == split)]
            if chosen.empty:
                continue
            line = stroke(look.color, look.marker, split, points=chosen["epoch"].nunique(), marks=10)
            thin = {"color": look.color, "linestyle": line["linestyle"], "linewidth": READING_STROKES["running_"][1]}
            if has_running(chosen, quantity):
                seeds = finite(chosen, f"running_{quantity}").groupby("epoch")[f"running_{quantity}"].mean()
                axes.plot(seeds.index, seeds, **thin)
            draw_band(axes, chosen, "epoch", quantity, **line)


def draw_others(axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw the test curves of other panels in grey, the means over seeds."""
    tested = finite(rows[rows["split"] == "test"], quantity)
    for _, curve in tested.groupby("regime"):
        seeds = curve.groupby("epoch")[quantity].mean()
        axes.plot(seeds.index, seeds, color=OTHERS_GREY, linewidth=0.6, linestyle="--", zorder=0)


def finite(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the rows with a finite value of the quantity."""
    return rows[np.isfinite(rows[quantity].astype(float))]


def ends(rows: pd.DataFrame, quantity: str) -> tuple[float, float]:
    """Return the ends of a logarithmic axis that holds every positive value in either reading, with a little room."""
    values = pd.concat([rows[f"{prefix}{quantity}"].astype(float) for prefix in READING_STROKES])
    shown = values[(values > 0) & np.isfinite(values)]
    return (float(shown.min() / 1.4), float(shown.max() * 1.4)) if len(shown) else (0.1, 10.0)


def has_running(rows: pd.DataFrame, quantity: str) -> bool:
    """Return whether running averages were recorded and differ from batch statistics anywhere."""
    running = rows[f"running_{quantity}"]
    return bool((running.notna() & (running != rows[quantity])).any())


def epoch_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Scale the axes: of epochs, logarithmic from 1 on where some train for much longer, and of error or loss."""
    lengths = rows.groupby("regime")["epoch"].max()
    axes.set(xlabel="epoch", xlim=(0, max(1, lengths.max())))
    if lengths.max() > LONGER * lengths.median():
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="epoch, log axis")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain_tick(value)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    few_log_ticks(axes.yaxis, crowded=30)


def reading_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries that tell the readings of BatchNorm by their width; none where there is one."""
    if not any(has_running(rows, quantity) for quantity in CURVE_QUANTITIES):
        return []
    return [
        Line2D([], [], color="0.25", linewidth=width, label=BATCH_NORM_NAMES[name])
        for name, width in READING_STROKES.values()
    ]


def curve_notes(rows: pd.DataFrame, *quantities: str) -> list[str]:
    """Return the footer's sentences: the reading of BatchNorm, line and band, and what has no place on the axes."""
    thin = any(has_running(rows, quantity) for quantity in quantities)
    return [
        f"Evaluated with BatchNorm's batch statistics{', thin lines with its running averages' if thin else ''}",
        band_note(rows, "regime", "split", "epoch"),
        *(zeros_note(rows, quantity) for quantity in quantities),
        non_finite_note(rows[rows["loss"].notna()], "loss value", "left out"),
        unrecorded_note(rows),
    ]


def unrecorded_note(rows: pd.DataFrame) -> str:
    """Return in how many rows nothing was recorded with batch statistics; empty where all was."""
    lacking = int((rows["loss"].isna() & rows["running_loss"].notna()).sum())
    return (
        f"Not recorded with batch statistics: {lacking:,} of {len(rows):,}; thin lines are running averages"
        if lacking
        else ""
    )


def zeros_note(rows: pd.DataFrame, quantity: str) -> str:
    """Return how many values have no place on a logarithmic axis; empty where all have one."""
    zeros, noun = int((rows[quantity] <= 0).sum()), {"error": "error", "loss": "loss value"}[quantity]
    return f"{zeros:,} of {counted(len(rows), noun)} zero, below the axis" if zeros else ""
