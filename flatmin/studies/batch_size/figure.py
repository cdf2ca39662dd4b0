"""Accuracy against batch size: a row for each data set, a column for what is equal."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import DASHES, PAGE_WIDTH, blank, plain_tick, styled
from flatmin.results import Tables
from flatmin.results.intervals import PERCENT, of_mean
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.batch_size import book
from flatmin.studies.batch_size.found import SPLITS, scores
from flatmin.studies.batch_size.steps import EQUAL, TABLE

COLORS = {"train": "#EE7F2D", "test": "#0B4F9E"}
MARKERS = {"train": "s", "test": "o"}


@styled
def batch_size(tables: Tables) -> Figure:
    """Draw a panel for each data set and each thing that is equal.

    Raises:
        ResultsError: If nothing was trained.
    """
    rows, asked = tables.frames[TABLE], tables.experiment
    if rows.empty:
        raise ResultsError(f"the table `{TABLE}` is empty, so there is nothing to draw.")
    data = list(dict.fromkeys(rows["data"]))
    figure = blank(PAGE_WIDTH, 0.9 + 1.75 * len(data))
    panels = figure.subplots(len(data), len(EQUAL), squeeze=False, sharex=True, sharey="row")
    titles = {"epochs": counted(asked["epochs"], "epoch"), "updates": counted(asked["updates"], "update")}
    titles["seconds"] = f"{asked['seconds']:g} s of training"
    for line, name in zip(panels, data, strict=True):
        for axes, equal in zip(line, EQUAL, strict=True):
            panel(axes, rows[(rows["data"] == name) & (rows["equal"] == equal)], name, book_too=equal == "epochs")
        line[0].set_ylabel(f"{DATA_NAMES[name]}\naccuracy (%)")
    for top, bottom, equal in zip(panels[0], panels[-1], EQUAL, strict=True):
        top.set_title(f"After {titles[equal]}")
        bottom.set_xlabel("batch size B, log axis")
    keys: list[Any] = [
        Line2D([], [], color=COLORS[split], marker=MARKERS[split], linestyle=DASHES[split], markersize=4, label=words)
        for split, words in SPLITS.items()
    ]
    keys.append(
        Line2D([], [], color="0.4", marker="x", linestyle="", markersize=4, label="the book, read off, on all examples")
    )
    figure.legend(handles=keys, loc="outside upper left", ncols=3)
    write_footer(
        figure,
        [
            f"{asked['depth']} hidden layers of {asked['width']:,} ReLU, Adam with learning rate "
            f"{asked['learning_rate']:g} for all batch sizes",
            f"Lines: means over {counted(rows['seed'].nunique(), 'seed')}, bands: 95 % t intervals",
            "Crosses: read off Fig. 3.11, all examples, epochs and network not named, test is its validation set",
            "The time depends on the machine",
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def panel(axes: Axes, rows: pd.DataFrame, data: str, *, book_too: bool) -> None:
    """Draw training and test accuracy, and the book's."""
    sizes = sorted(rows["batch_size"].unique())
    for split in SPLITS:
        found = [of_mean(scores(rows, size, split), bounds=PERCENT) for size in sizes]
        color = COLORS[split]
        low, high = [one.low for one in found], [one.high for one in found]
        axes.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)
        line: dict[str, Any] = {"color": color, "linestyle": DASHES[split], "marker": MARKERS[split], "markersize": 3.5}
        axes.plot(sizes, [one.center for one in found], **line)
        if book_too and data in book.ACCURACY:
            drawn = book.ACCURACY[data][split]
            axes.plot([*drawn], [100 * value for value in drawn.values()], "x", color=color, markersize=3.5, alpha=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=4))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain_tick(value)))
