"""Two figures of sharpness and training loss: both along every way of training, and the ways at equal training loss."""

import math
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.along_training import loss_to_the_right
from flatmin.figures.style import PAGE_WIDTH, REGIMES, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.words import label_of
from flatmin.studies.remedies.equal_loss import LOSS, along, at_equal_loss
from flatmin.studies.remedies.figure import CUT, OTHER, ROW_HEIGHT, dots, finish, within_sight
from flatmin.studies.remedies.judged import KESKARS, LARGE, SMALL, ways

COLUMNS = 4
PANEL = 1.15
LETTERS = 18
"""Letters of an axis label beside a panel."""
POINTS = (
    "A line for each seed, in its way of training and in the large batch; a point is a network after one of the "
    "epochs kept, the large one where training ended; an average of weights has its end alone. "
    "The loss falls to the right"
)
EQUAL = (
    "At equal loss: where way and large batch had both come to the lowest training loss that both reached, between the "
    "networks kept by a straight line of logarithms. Bar: 95 % t interval over seeds, on the logarithm; dot: a seed; "
    f"{CUT}"
)
LINE = "Upright line: the large batch; all axes are logarithmic"


@styled
def against_loss(tables: Tables, what: str) -> Figure:
    """Draw a panel for each way of training: one sharpness against the training loss, over the large batch's.

    Args:
        tables: The results.
        what: Which sharpness, as :func:`~flatmin.studies.remedies.equal_loss.along` calls it.
    """
    networks = with_logarithms(along(tables), what)
    names = [name for name in tables.minima["regime"].unique() if name != LARGE and name in set(networks["regime"])]
    rows = math.ceil(len(names) / COLUMNS)
    figure = blank(PAGE_WIDTH, 0.9 + PANEL * rows)
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for name, axes in zip(names, panels, strict=False):
        for regime, order in ((LARGE, 1), (name, 2)):
            look = REGIMES.get(regime, OTHER)
            style: dict[str, Any] = {"color": look.color, "linewidth": 0.8, "markersize": 2.4, "zorder": order}
            for _, way in networks[networks["regime"] == regime].groupby("seed"):
                axes.plot(way[LOSS], way[what], marker=look.marker, **style)
                axes.plot(way[LOSS].iloc[-1:], way[what].iloc[-1:], look.marker, **style | {"markersize": 4.5})
        axes.set_title(fill(label_of(str(name)), 24), fontsize=8)
        axes.set(xscale="log", yscale="log")
        axes.margins(y=0.1)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes in panels[max(len(names) - COLUMNS, 0) : len(names)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("training loss, log axis", fontsize=8)
    loss_to_the_right(panels[0], networks)
    few_log_ticks(panels[0].yaxis, crowded=100)
    unit = " (%)" if what == KESKARS else ""
    figure.supylabel(fill(f"{what}{unit}, log axis", LETTERS * rows, break_on_hyphens=False), fontsize=8)
    looks = [(label_of(name), REGIMES[name]) for name in (SMALL, LARGE) if name in {LARGE, *names}]
    looks += [("the way of training", OTHER)]
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, markersize=3, linewidth=0.8, label=label)
        for label, look in looks
    ]
    finish(figure, tables, f"{what} against the training loss", POINTS, handles=handles)
    return figure


def with_logarithms(networks: pd.DataFrame, what: str) -> pd.DataFrame:
    """The networks whose training loss and whose sharpness have a place on logarithmic axes."""
    both = networks[[LOSS, what]]
    return networks[(both.gt(0) & both.lt(math.inf)).all(axis="columns")]


@styled
def equal_loss(tables: Tables) -> Figure:
    """Draw a line for each way of training: every sharpness over the large batch's, at equal loss and at the end."""
    found = {one.name: one for one in at_equal_loss(tables)}
    ended = {way.name: way for way in ways(tables) if way.name in found}
    measured = list(dict.fromkeys(what for one in found.values() for what in one.flatness))
    figure = blank(PAGE_WIDTH, 1.5 + ROW_HEIGHT * len(found))
    panels = figure.subplots(1, 1 + len(measured), sharey=True, width_ratios=[0.7, *[1] * len(measured)], squeeze=False)
    for place, name in enumerate(found):
        look = REGIMES.get(name, OTHER)
        dots(panels[0, 0], found[name].loss, place, look)
        for axes, what in zip(panels[0, 1:], measured, strict=True):
            if what in ended[name].flatness:
                axes.plot(ended[name].flatness[what].center, place, "o", color="0.72", markersize=6, zorder=1)
            dots(axes, found[name].flatness[what], place, look)
    within_sight(panels[0, 0], [one.loss for one in found.values()], scale="log")
    panels[0, 0].set_title("training loss\ncompared at", fontsize=8)
    panels[0, 0].set_xlabel("× large's last", fontsize=8)
    for axes, what in zip(panels[0, 1:], measured, strict=True):
        there = [way[name].flatness[what] for way in (found, ended) for name in found if what in way[name].flatness]
        within_sight(axes, there, scale="log")
        axes.set_title(fill(what, 22), fontsize=8)
        axes.set_xlabel("× large's", fontsize=8)
        axes.axvline(1, color=REGIMES[LARGE].color, linewidth=0.9, zorder=0)
    panels[0, 0].set_yticks(range(len(found)), [ended[name].label for name in found])
    panels[0, 0].set_ylim(len(found) - 0.5, -0.5)
    for axes in panels.flat:
        axes.tick_params(axis="y", length=0)
        for place in range(len(found) - 1):
            axes.axhline(place + 0.5, color="0.92", linewidth=0.6, zorder=0)
    handles = [
        Line2D([], [], marker=OTHER.marker, linestyle="-", color=OTHER.color, markersize=3.2, label="at equal loss"),
        Line2D([], [], marker="o", linestyle="", color="0.72", markersize=6, label="where each ended"),
    ]
    finish(figure, tables, "sharpness at equal training loss", EQUAL, LINE, handles=handles)
    return figure
