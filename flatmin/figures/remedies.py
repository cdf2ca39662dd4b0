"""Remedies for large batches beside the plain pair: accuracy and sharpness (the paper's Tables 6 and 7 and E.3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import footer, seeds_behind
from flatmin.figures.legends import heading, regime_name
from flatmin.figures.style import PAGE_WIDTH, Look, blank, few_log_ticks, looks_of, regimes_of, select, styled
from flatmin.results import Tables
from flatmin.results.groups import averages_note, per_network, remedy_rows
from flatmin.results.searches import methods_of, searches_note
from flatmin.results.words import label_of

ROW_HEIGHT = 0.27
GAP = 0.24


@styled
def remedies(tables: Tables, *, network: str, data: str, space: str, batch_norm: str) -> Figure:
    """Draw test accuracy and sharpness of every way of training, each seed a dot.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        space: ``"full"`` or ``"random"``.
        batch_norm: The reading of BatchNorm.

    Returns:
        The figure: a line per regime, the accuracy in the first panel, the sharpness of each search in the next ones.

    Raises:
        ResultsError: If there is no remedy in the tables.
    """
    where = {"network": network, "data": data, "space": space, "batch_norm": batch_norm}
    rows = select(remedy_rows(tables), "sharpness", **where)
    methods = methods_of(rows)
    figure = blank(PAGE_WIDTH, 0.9 + ROW_HEIGHT * rows["regime"].nunique())
    panels = figure.subplots(1, 1 + len(methods), squeeze=False, sharey=True)[0]
    draw_remedies(panels, rows)
    panels[0].set_yticklabels([regime_name(tables, regime, network, data) for regime in regimes_of(rows)])
    heading(figure, "remedies for large batches", network, data, epsilon_handles(rows))
    footer(figure, tables, "sharpness", rows, remedies_note(rows), averages_note(tables), *searches_note(rows))
    return figure


def draw_remedies(panels: Sequence[Axes], rows: pd.DataFrame) -> None:
    """Draw the accuracy in the first panel and the sharpness of each search in the next ones, a line per regime."""
    regimes = regimes_of(rows)
    networks = per_network(rows, "test_accuracy")
    once = networks.drop_duplicates(["regime", "seed"])
    draw_remedy_dots(panels[0], once.assign(test_accuracy=100 * once["test_accuracy"]), "test_accuracy")
    panels[0].set(title="test accuracy", xlabel="test accuracy (%)")
    for axes, (method, name) in zip(panels[1:], methods_of(rows).items(), strict=True):
        draw_sharpness(axes, networks[networks["method"] == method], regimes)
        axes.set(title=name, xlabel="sharpness (%), log axis", xscale="log")
        few_log_ticks(axes.xaxis, crowded=30)
    panels[0].set_yticks(range(len(regimes)), [label_of(regime) for regime in regimes])
    panels[0].set_ylim(len(regimes) - 0.5, -0.5)


def draw_sharpness(axes: Axes, rows: pd.DataFrame, regimes: list[str]) -> None:
    """Draw the sharpness for each epsilon, the largest above with full dots."""
    epsilons = sorted(rows["epsilon"].unique(), reverse=True)
    for epsilon, shift in zip(epsilons, shifts(len(epsilons)), strict=True):
        seen = rows[(rows["epsilon"] == epsilon) & (rows["sharpness"] > 0) & np.isfinite(rows["sharpness"])]
        draw_remedy_dots(axes, seen, "sharpness", shift=float(shift), full=epsilon == epsilons[0], order=regimes)


def draw_remedy_dots(
    axes: Axes,
    rows: pd.DataFrame,
    quantity: str,
    *,
    shift: float = 0.0,
    full: bool = True,
    order: list[str] | None = None,
) -> None:
    """Draw each regime's seeds on its line with a bar at their mean.

    Args:
        axes: Where to draw.
        rows: One row per regime and seed.
        quantity: Column to draw.
        shift: How far below its line, in lines.
        full: Full dots, or open ones.
        order: The regimes from top to bottom, if not as in ``rows``.
    """
    for place, (regime, look) in enumerate(looks_in_order(order or regimes_of(rows))):
        values = rows.loc[rows["regime"] == regime, quantity].dropna()
        face = look.color if full else "white"
        heights = np.full(len(values), place + shift)
        (dots,) = axes.plot(values, heights, look.marker, color=look.color, markerfacecolor=face)
        dots.set(markersize=4.2, markeredgewidth=0.8, alpha=0.9)
        if len(values) > 1:
            axes.vlines(values.mean(), place + shift - 0.16, place + shift + 0.16, color=look.ink, linewidth=1.4)
        axes.axhline(place + 0.5, color="0.9", linewidth=0.6, zorder=0)


def way_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries that tell the ways of training by colour and marker."""
    return [
        Line2D([], [], linestyle="", marker=look.marker, color=look.color, markersize=4.2, label=look.label)
        for _, look in looks_in_order(regimes_of(rows))
    ]


def remedies_note(rows: pd.DataFrame) -> str:
    """Return what a dot is, and over how many seeds the bar is taken."""
    several = f", bar: mean over {seeds_behind(rows, 'regime')}" if rows["seed"].nunique() > 1 else ""
    return f"Dot: one seed{several}"


def looks_in_order(regimes: list[str]) -> list[tuple[str, Look]]:
    """Return each regime with its look, in the order given."""
    looks = looks_of(regimes)
    return [(regime, looks[regime]) for regime in regimes]


def shifts(count: int) -> np.ndarray:
    """Return where the epsilons lie about a regime's line, in lines."""
    return np.linspace(-GAP, GAP, count) if count > 1 else np.zeros(1)


def epsilon_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries that tell the epsilons by full and open dots."""
    epsilons = sorted(rows["epsilon"].unique(), reverse=True)
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "color": "0.25", "markersize": 4.2}
    faces = ["0.25", *["white"] * (len(epsilons) - 1)]
    return [
        Line2D([], [], **look, markerfacecolor=face, label=f"ε = {epsilon:g}")
        for epsilon, face in zip(epsilons, faces, strict=True)
    ]
