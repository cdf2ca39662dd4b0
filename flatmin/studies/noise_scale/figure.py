"""Maps of the grid with lines of equal ratio, and what the ratio tells along them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, SERIES_MARKERS, blank, few_log_ticks, plain_tick, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.studies.noise_scale import cost
from flatmin.studies.noise_scale.found import scope
from flatmin.studies.noise_scale.grid import LOST, NETWORKS, READINGS, SCHEDULES
from flatmin.studies.noise_scale.judged import READING_NAMES, best_sizes, cells, networks

MAPPED = {"test_accuracy": "test accuracy (%)", "top_eigenvalue": "largest eigenvalue"}
NOTE = (
    "Bars: standard deviation over seeds. Best batch sizes: one mark a seed, open where a better one may be beyond "
    "the grid or had no time. Noise scale: tr(Σ)/|G|² from the start to where the gradient is not told from 0"
)
SPAN = 4.0
"""Points of accuracy that the colours tell apart, below the best."""
COVERING: dict[str, Any] = {"frameon": True, "framealpha": 0.85, "edgecolor": "none"}
"""A legend over lines that would run through its words."""
SCHEDULE_LOOKS = {
    "constant": ("#5B5B5B", ":", "neither"),
    "decay": ("#0B4F9E", "-", "rate falls"),
    "growth": ("#EE7F2D", "--", "batch grows"),
}


@styled
def maps(tables: Tables) -> Figure:
    """Draw accuracy and sharpness over the grid, at the same loss and after equal epochs.

    Raises:
        ResultsError: If no network was any good.
    """
    rows = cells(tables)
    if rows.empty:
        raise ResultsError("no network of the grid has come to anything, so there is nothing to draw.")
    best, figure = float(rows["test_accuracy"].max()), blank(PAGE_WIDTH, 5.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for panel, reading in zip(panels, READINGS, strict=True):
        for axes, name in zip(panel, MAPPED, strict=True):
            heat(axes, tables, rows[rows["reading"] == reading], name, best)
            axes.set_title(f"{READING_NAMES[reading].capitalize()}")
        panel[0].set_ylabel("batch size B, log axis")
    for axes in panels[1]:
        axes.set_xlabel("learning rate, log axis")
    keys = [
        Line2D([], [], color="0.25", linewidth=0.6, linestyle=(0, (4, 3)), label="equal lr/B"),
        Patch(facecolor="white", edgecolor="0.45", hatch="////", label="every seed no better than a guess"),
        Patch(facecolor="white", edgecolor="0.45", label="loss not reached"),
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=3, columnspacing=1.2, handlelength=1.6)
    figure.suptitle("Learning rate over batch size", x=0.012, ha="left")
    asked = tables.experiment
    said = f"Same loss: {asked['target']:g}, within {asked['epochs']} epochs; equal epochs: {asked['equal_epochs']}"
    write_footer(figure, [*facts(tables), said, "Cells are means over the seeds that got there"])
    return figure


def edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The borders between places on a logarithmic axis."""
    logs = np.log(values)
    half = np.diff(logs) / 2 if len(logs) > 1 else np.array([np.log(2) / 2])
    borders = [logs[0] - half[0], *(logs[:-1] + half[: len(logs) - 1]), logs[-1] + half[-1]]
    found: NDArray[np.float64] = np.exp(borders)
    return found


def heat(axes: Axes, tables: Tables, rows: pd.DataFrame, name: str, best: float) -> None:
    """Draw one quantity over the grid; accuracies of all maps on one scale that ends at the best of them."""
    words = MAPPED[name]
    whole = tables.frames[NETWORKS]
    rates, sizes = (np.sort(whole[column].unique()).astype(float) for column in ("learning_rate", "batch_size"))
    grid = rows.pivot_table(index="batch_size", columns="learning_rate", values=name)
    grid = grid.reindex(index=sizes, columns=rates)
    values = grid.to_numpy(dtype=float) * (100 if name == "test_accuracy" else 1)
    shown = np.log10(values) if name == "top_eigenvalue" else values
    low, high = (100 * best - SPAN, 100 * best) if name == "test_accuracy" else (None, None)
    mesh = axes.pcolormesh(edges(rates), edges(sizes), shown, cmap="viridis", vmin=low, vmax=high)
    axes.set(xscale="log", yscale="log")
    bar = axes.figure.colorbar(mesh, ax=axes, extend="min" if name == "test_accuracy" else "neither", pad=0.02)
    bar.set_label(words + (", log axis" if name == "top_eigenvalue" else ""))
    if name == "top_eigenvalue":
        bar.ax.yaxis.set_major_formatter(lambda value, _: plain_tick(float(f"{10**value:.2g}")))
    bar.outline.set_visible(False)
    lost = whole[(whole["reading"] == rows["reading"].iloc[0]) & (whole["status"] == LOST)] if len(rows) else whole[:0]
    count = whole["seed"].nunique()
    x, y = edges(rates), edges(sizes)
    for _, part in lost.groupby(["learning_rate", "batch_size"]):
        rate, size = part[["learning_rate", "batch_size"]].iloc[0]
        if len(part) == count:
            column, line = int(np.searchsorted(rates, rate)), int(np.searchsorted(sizes, size))
            corners = [x[column], x[column + 1]], [y[line]] * 2, [y[line + 1]] * 2
            axes.fill_between(*corners, facecolor="white", edgecolor="0.6", hatch="////", linewidth=0)
    for ratio in np.unique([float(f"{rate / size:.6g}") for rate in rates for size in sizes]):
        axes.plot(x[[0, -1]], x[[0, -1]] / ratio, color="0.25", linewidth=0.4, linestyle=(0, (4, 3)))
    axes.set(xlim=x[[0, -1]], ylim=y[[0, -1]])
    for axis, places in ((axes.xaxis, rates), (axes.yaxis, sizes)):
        axis.set_major_locator(FixedLocator(list(places)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:g}")


@styled
def along_the_ratio(tables: Tables) -> Figure:
    """Draw six panels: three quantities against lr/B, the best batch size, what batches cost, the swapped schedules.

    Raises:
        ResultsError: If no network was any good.
    """
    if cells(tables).empty:
        raise ResultsError("no network of the grid has come to anything, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH, 5.0)
    (first, second, third), (fourth, fifth, sixth) = figure.subplots(2, 3)
    rates = sorted(tables.frames[NETWORKS]["learning_rate"].unique())
    palette = [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 0.92, len(rates)))]
    looks = {rate: (palette[k], SERIES_MARKERS[k % len(SERIES_MARKERS)]) for k, rate in enumerate(rates)}
    against_ratio(first, tables, "equal_loss", "top_eigenvalue", "largest eigenvalue, log axis", looks)
    against_ratio(second, tables, "equal_loss", "epochs", "epochs to the target, log axis", looks)
    against_ratio(third, tables, "equal_epochs", "test_accuracy", "test accuracy (%)", looks)
    for axes, title in ((first, "Same loss"), (second, "Same loss"), (third, "Equal epochs")):
        axes.set_title(title)
    keys = [
        Line2D([], [], color=color, marker=marker, linestyle="", markersize=4, label=f"{rate:g}")
        for rate, (color, marker) in looks.items()
    ]
    figure.legend(
        handles=keys,
        title="learning rate",
        title_fontsize=7.5,
        loc="outside upper right",
        ncols=len(keys),
        columnspacing=0.8,
        handletextpad=0.1,
    )
    best_batch(fourth, tables)
    what_it_costs(fifth, tables)
    schedules(sixth, tables)
    figure.suptitle("Does lr/B alone count?", x=0.012, ha="left")
    write_footer(figure, [*facts(tables), NOTE])
    return figure


def facts(tables: Tables) -> list[str]:
    """What both figures rest on."""
    seeds = tables.frames[NETWORKS]["seed"].nunique()
    said = scope(tables)
    return [
        f"{said[:1].upper()}{said[1:]}",
        f"{seeds} seeds" if seeds > 1 else "One seed",
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]


def against_ratio(
    axes: Axes, tables: Tables, reading: str, name: str, words: str, looks: dict[float, tuple[str, str]]
) -> None:
    """Draw the mean over seeds of each cell against lr/B, with the standard deviation over seeds."""
    rows = networks(tables, reading)
    scale = 100 if name == "test_accuracy" else 1
    for _, part in rows.groupby(["learning_rate", "batch_size"]):
        color, marker = looks[float(part["learning_rate"].iloc[0])]
        values = scale * part[name].dropna()
        if len(values):
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            axes.errorbar(
                part["ratio"].iloc[0],
                values.mean(),
                yerr=spread,
                color=color,
                marker=marker,
                markersize=4,
                elinewidth=0.6,
            )
    axes.set(xlabel="lr/B, log axis", ylabel=words, xscale="log", yscale="log" if name != "test_accuracy" else "linear")
    few_log_ticks(axes.xaxis, crowded=10)
    if name != "test_accuracy":
        few_log_ticks(axes.yaxis, crowded=20)


def best_batch(axes: Axes, tables: Tables) -> None:
    """Draw the batch size of the best test accuracy against the learning rate; open where it is censored."""
    for reading, color, marker in (("equal_epochs", "#0B4F9E", "o"), ("equal_loss", "#EE7F2D", "s")):
        best = best_sizes(tables, reading)
        for index, (_, part) in enumerate(best.groupby("seed")):
            shift = 1 + 0.05 * (index - 2)
            for censored, some in part.groupby("censored"):
                style: dict[str, Any] = {"markerfacecolor": "white"} if censored else {}
                axes.plot(
                    some["learning_rate"] * shift,
                    some["batch_size"],
                    marker,
                    color=color,
                    markersize=3.5,
                    alpha=0.8,
                    **style,
                )
        axes.plot([], [], marker, color=color, markersize=3.5, label=READING_NAMES[reading])
    sizes = tables.frames[NETWORKS]["batch_size"]
    rates = np.array(sorted(tables.frames[NETWORKS]["learning_rate"].unique()))
    center = best_sizes(tables, "equal_epochs")
    if len(center):
        ratio = float(np.exp(np.median(np.log(center["learning_rate"] / center["batch_size"]))))
        axes.plot(rates, rates / ratio, color="0.4", linewidth=0.8, linestyle="--", label=f"B = lr / {ratio:.2g}")
    axes.set(xscale="log", yscale="log", xlabel="learning rate, log axis", ylabel="best batch size, log axis")
    axes.set_ylim(sizes.min() / 1.5, sizes.max() * 6)
    few_log_ticks(axes.xaxis, crowded=10)
    few_log_ticks(axes.yaxis, crowded=10)
    axes.set_title("Best test accuracy")
    axes.legend(loc="upper left", borderaxespad=0.1)


def what_it_costs(axes: Axes, tables: Tables) -> None:
    """Draw the examples to the target against the batch size, the hyperbola, and where the noise scale lies."""
    best = cost.fastest(tables)
    examples = best.assign(examples=best["updates"] * best["batch_size"])
    axes.plot(
        examples["batch_size"], examples["examples"], "o", color="#0B4F9E", markersize=3, label="best rate, each seed"
    )
    means = best.groupby("batch_size")["updates"].median()
    if len(means) >= 3:
        found = cost.fitted(means.index.to_numpy(dtype=float), means.to_numpy(dtype=float))
        sizes = np.geomspace(means.index.min(), means.index.max(), 100)
        axes.plot(sizes, found.at(sizes) * sizes, color="#0B4F9E", linewidth=1.0, label="$E_{min} + S_{min} B$")
        axes.axvline(found.critical, color="#0B4F9E", linewidth=0.8, linestyle="--", label="$B_{crit}$")
    noise = cost.noise_by_loss(tables)
    noise = noise[noise["told"]]
    if len(noise):
        axes.axvspan(
            noise["noise_scale"].min(),
            noise["noise_scale"].max(),
            color="#EE7F2D",
            alpha=0.2,
            linewidth=0,
            label="noise scale",
        )
    axes.set(xscale="log", yscale="log", xlabel="batch size B, log axis", ylabel="examples to the target, log axis")
    few_log_ticks(axes.xaxis, crowded=10)
    axes.set_title("What a batch costs")
    axes.legend(loc="upper left", borderaxespad=0.1, **COVERING)
    if len(best):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 6)
    few_log_ticks(axes.yaxis, crowded=10)


def schedules(axes: Axes, tables: Tables) -> None:
    """Draw the test loss of the three schedules, the mean over seeds in a band of all."""
    rows = tables.frames[SCHEDULES]
    for schedule, part in rows.groupby("schedule"):
        color, dash, words = SCHEDULE_LOOKS[str(schedule)]
        seeds = part.groupby("epoch")["test_loss"]
        epochs = np.array(sorted(part["epoch"].unique()))
        axes.fill_between(epochs, seeds.min(), seeds.max(), color=color, alpha=0.15, linewidth=0)
        axes.plot(epochs, seeds.mean(), color=color, linestyle=dash, label=words)
    swap = tables.experiment.get("swap")
    if len(rows) and swap:
        late = rows[rows["epoch"] >= 1]["test_loss"]
        axes.set_ylim(
            0.9 * late.min(), 1.6 * min(late.max(), rows[rows["epoch"] == rows["epoch"].max()]["test_loss"].max())
        )
        for epoch in swap["at"]:
            axes.axvline(epoch, color="0.7", linewidth=0.6, zorder=0)
        axes.set_title(f"Rate / {swap['factor']:g} or B × {swap['factor']:g}")
    axes.set(xlabel="epoch", ylabel="test loss")
    axes.legend(loc="upper center", borderaxespad=0.1, **COVERING)
