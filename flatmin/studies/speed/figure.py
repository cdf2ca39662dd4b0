"""Times of an update and of an epoch against the batch size, with what each limit alone would cost."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, plain_tick, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, significant
from flatmin.studies.speed import book
from flatmin.studies.speed.found import disturbed, where
from flatmin.studies.speed.steps import TIMES
from flatmin.studies.speed.summary import Rows, per_size

INK = "#2B2B2B"
STROKES: dict[str, tuple[str, Any, str]] = {
    "overhead": ("#6A3D9A", (0, (5, 1.5)), "overhead alone"),
    "memory": ("#0B4F9E", (0, (1, 1)), "memory traffic alone"),
    "arithmetic": ("#EE7F2D", (0, (5, 1, 1, 1)), "arithmetic alone"),
    "input": ("#1B7F69", (0, (2.5, 1)), "taking the batch"),
}
BOOK: dict[str, Any] = {
    "color": "0.45",
    "linestyle": "",
    "marker": "x",
    "markersize": 5,
    "markeredgewidth": 1.1,
    "zorder": 2,
}


@styled
def speed(tables: Tables) -> Figure:
    """Draw both panels.

    Raises:
        ResultsError: If nothing was timed.
    """
    if tables.frames[TIMES].empty:
        raise ResultsError(f"the table `{TIMES}` is empty, so there is nothing to draw.")
    rows = per_size(tables)
    figure = blank(PAGE_WIDTH, 3.6)
    update, epoch = figure.subplots(1, 2)
    figure.suptitle(f"Time against batch size, {where(tables).replace('cpu', 'CPU')}", x=0.012, ha="left")
    updates(update, rows)
    epochs(epoch, rows)
    for axes in (update, epoch):
        axes.set(xscale="log", yscale="log", xlabel="batch size B, log axis")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(10, numticks=12))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: plain_tick(value)))
    write_footer(figure, facts(tables, rows))
    return figure


def updates(axes: Axes, rows: Rows) -> None:
    """The time of an update and its limits."""
    sizes = rows["batch_size"]
    for name, (color, dashes, label) in STROKES.items():
        axes.plot(sizes, rows[name], color=color, linestyle=dashes, linewidth=1.3, label=label)
    axes.fill_between(sizes, rows["low"], rows["high"], color=INK, alpha=0.25, linewidth=0)
    axes.plot(sizes, rows["update"], color=INK, marker="o", markersize=4, label="an update", zorder=4)
    axes.plot([*book.UPDATE], [*book.UPDATE.values()], label="the book, V100", **BOOK)
    axes.set(ylabel="seconds of an update, log axis", title="One update")
    axes.legend(loc="upper left", handlelength=2.6, labelspacing=0.3)


def epochs(axes: Axes, rows: Rows) -> None:
    """The time of an epoch."""
    sizes = rows["batch_size"]
    low, high = (rows["updates"] * (rows[name] + rows["input"]) for name in ("low", "high"))
    axes.fill_between(sizes, low, high, color=INK, alpha=0.25, linewidth=0)
    axes.plot(sizes, rows["epoch"], color=INK, marker="o", markersize=4, label="updates × time of one", zorder=4)
    if rows["whole"].notna().any():
        ring: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 8, "markerfacecolor": "none"}
        axes.plot(sizes, rows["whole"], color="#C23B75", label="timed whole", zorder=5, **ring)
    if rows["examples"].iloc[0] == max(book.EPOCH):
        axes.plot([*book.EPOCH], [*book.EPOCH.values()], label="the book, V100", **BOOK)
    axes.set(ylabel="seconds of an epoch, log axis", title="One epoch")
    axes.legend(loc="upper right")


def facts(tables: Tables, rows: Rows) -> list[str]:
    """What the times rest on."""
    asked, made = tables.experiment, tables.provenance.get("made_with", {})
    data, examples = asked["data"]["name"], rows["examples"].iloc[0]
    return [
        f"{examples:,.0f} examples of {DATA_NAMES.get(data, data)}, {asked['depth']} hidden layers of "
        f"{asked['width']:,} ReLU, Adam, float32",
        *(f"Processor: {name}" for name in made.get("processor", ()) if name),
        f"Medians of {rows['repeats'].min():g} visits in random order, each of {asked['visit']:g} s or more, after one "
        "that does not count; bands: quartiles",
        "Overhead: the update of a network as deep with one unit a layer on one example. Memory traffic: what all "
        "kernels read and write, over the bandwidth of a copy as large as what they touch "
        f"({span(rows['bandwidth'], 1e9)} GB/s). Arithmetic: products of matrices, at the rate of a large one "
        f"({significant(rows['peak'].iloc[0] / 1e9)} GFLOP/s)",
        "An epoch is the product of updates and of the times of an update and of taking its batch; crosses: read off "
        "Figs. 3.9 and 3.10, whose network is not named",
        disturbed(rows),
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]


def span(values: "pd.Series[float]", unit: float) -> str:
    """From the lowest to the highest."""
    low, high = values.min() / unit, values.max() / unit
    return f"{significant(low, 2)} to {significant(high, 2)}"
