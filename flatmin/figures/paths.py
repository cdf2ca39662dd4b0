"""Loss and accuracy along a path: the straight and the curved one between the two minima, and random lines.

The paths follow the paper's Figures 3 and 7: the left axis is the loss, the right one the accuracy, alpha 0 is
the small-batch and alpha 1 the large-batch solution. A random line runs through one minimum along a
filter-normalised direction; both minima share one pair of axes, so their widths can be compared.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from flatmin.figures.captions import footer, non_finite_note
from flatmin.figures.legends import heading, mark_regime, regime_handles, split_handles, stroke
from flatmin.figures.style import (
    ACCURACY_COLOR,
    COLUMN_WIDTH,
    DASHES,
    LOSS_COLOR,
    PAGE_WIDTH,
    REGIMES,
    blank,
    looks_of,
    loss_axis,
    regimes_of,
    select,
    splits_of,
    styled,
)
from flatmin.results import Tables
from flatmin.results.words import counted

KINDS = {"linear": "straight path between the minima", "curved": "curved path between the minima"}
MARKS = 19
ALL = 30
"""Points of a path up to which each has a marker."""
WIDE = 3.5
"""Range of a path on which the names of both minima, each above its own, would run into each other."""
MEDIAN = "Thin: single seeds, thick: the median"


@styled
def path(tables: Tables, *, network: str, data: str, batch_norm: str, kind: str = "linear") -> Figure:
    """Draw loss and accuracy along the path from the small-batch to the large-batch minimum.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.
        kind: ``"linear"`` (the paper's Figure 3) or ``"curved"`` (its Figure 7).

    Returns:
        The figure, with vertical marks at both minima.

    Raises:
        ResultsError: If there is no such path.
    """
    rows = select(tables.lines, "lines", network=network, data=data, batch_norm=batch_norm, kind=kind)
    figure = blank(COLUMN_WIDTH, 3.4)
    draw_path(figure.subplots(), rows)
    heading(figure, KINDS[kind], network, data, path_handles(rows))
    footer(figure, tables, "lines", rows, seeds_note(rows), non_finite_note(rows, "loss value", "gaps in the lines"))
    return figure


@styled
def random_line(tables: Tables, *, network: str, data: str, batch_norm: str) -> Figure:
    """Draw both minima along filter-normalised random directions, on one scale.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: loss, and accuracy beside it where it is known.

    Raises:
        ResultsError: If there are no such lines.
    """
    rows = select(tables.lines, "lines", network=network, data=data, batch_norm=batch_norm, kind="random")
    quantities = ["loss", "accuracy"] if rows["accuracy"].notna().any() else ["loss"]
    width = PAGE_WIDTH if len(quantities) == 2 else COLUMN_WIDTH
    figure = blank(width, 3.2)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    shown = rows.assign(accuracy=100 * rows["accuracy"])
    for axes, quantity in zip(panels, quantities, strict=True):
        for regime, look in looks_of(regimes_of(rows)).items():
            draw_seed_lines(axes, shown[shown["regime"] == regime], quantity, look.color, look.marker)
        axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.set(xlabel="α  (steps of one filter norm)", xlim=(rows["alpha"].min(), rows["alpha"].max()))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    loss_axis(panels[0], rows["loss"])
    if len(quantities) == 2:
        panels[1].set(ylabel="accuracy (%)", ylim=(-2, 102))
    handles = regime_handles(tables, rows, network, data) + split_handles(splits_of(rows))
    heading(figure, "random direction, filter-normalised", network, data, handles)
    footer(figure, tables, "lines", rows, seeds_note(rows), non_finite_note(rows, "loss value", "gaps in the lines"))
    return figure


def draw_path(axes: Axes, rows: pd.DataFrame, *, named: bool = True) -> Axes | None:
    """Draw the loss of one path and its accuracy where known, and mark the minima.

    Args:
        axes: Where to draw.
        rows: The path, all seeds and splits.
        named: Write the names of the minima above their marks.

    Returns:
        The axis of the accuracy, on the right.
    """
    draw_seed_lines(axes, rows, "loss", LOSS_COLOR, "o")
    loss_axis(axes, rows["loss"])
    axes.set(xlabel="α  (0: small batch, 1: large batch)", xlim=(rows["alpha"].min(), rows["alpha"].max()))
    sides = ("right", "left") if np.ptp(rows["alpha"]) > WIDE else ("center", "center")
    for alpha, regime, side in zip((0, 1), REGIMES, sides, strict=True):
        mark_regime(axes, alpha, regime, named=named, side=side)
    return draw_accuracy(axes, rows) if rows["accuracy"].notna().any() else None


def path_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries of a path: its quantities by colour and marker, its splits by dash."""
    names = {"loss": (LOSS_COLOR, "o")}
    if rows["accuracy"].notna().any():
        names["accuracy"] = (ACCURACY_COLOR, "^")
    return [
        Line2D([], [], **stroke(color, marker, split, points=1, marks=1), label=f"{split} {name}")
        for name, (color, marker) in names.items()
        for split in splits_of(rows)
    ]


def draw_seed_lines(axes: Axes, rows: pd.DataFrame, quantity: str, color: str, marker: str) -> None:
    """Draw every seed as a thin line and the median over seeds as a thick one with markers, a dash per split."""
    for split in splits_of(rows):
        lines = rows[rows["split"] == split].pivot(index="alpha", columns="seed", values=quantity)
        values = lines.where(np.isfinite(lines))
        if values.shape[1] > 1:
            axes.plot(values.index, values, color=color, linestyle=DASHES[split], linewidth=0.6, alpha=0.45)
        look = stroke(color, marker, split, points=len(values), marks=MARKS)
        look["markevery"] = evenly(values.index.to_numpy(dtype=float))
        axes.plot(values.index, values.median(axis="columns", skipna=False), **look)


def evenly(alphas: NDArray[np.float64]) -> list[int]:
    """Return which places get a marker: each of few, else some that lie evenly, however fine the path is in places."""
    if len(alphas) <= ALL:
        return [*range(len(alphas))]
    wanted = np.linspace(alphas.min(), alphas.max(), min(MARKS, len(alphas)))
    return sorted({int(np.abs(alphas - place).argmin()) for place in wanted})


def draw_accuracy(axes: Axes, rows: pd.DataFrame) -> Axes:
    """Draw the accuracy on an axis of its own on the right."""
    right = axes.twinx()
    draw_seed_lines(right, rows.assign(accuracy=100 * rows["accuracy"]), "accuracy", ACCURACY_COLOR, "^")
    right.set_ylim(-3, 106)
    right.set_ylabel("accuracy (%)", color=ACCURACY_COLOR)
    right.tick_params(axis="y", colors=ACCURACY_COLOR)
    right.spines["right"].set(visible=True, color=ACCURACY_COLOR)
    return right


def seeds_note(rows: pd.DataFrame) -> str:
    """Return how the seeds are drawn and how many there are, where there are several."""
    seeds = rows["seed"].nunique()
    return f"{MEDIAN} over {counted(seeds, 'seed')}" if seeds > 1 else ""
