"""The training loss and the test error along each path, and the barriers, a column for each kind of pair."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, blank, few_log_ticks, loss_name, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES, counted
from flatmin.studies.connectivity.found import BARRIER, PAIRS, READINGS, WAYS, judged, left_out, spread, strictest

LOOKS: dict[str, tuple[str, Any]] = {
    "segment": ("#2B2B2B", "-"),
    "matched_weights": ("#C23B75", (0, (5, 1.5))),
    "matched_activations": ("#8C6BB1", (0, (3, 1, 1, 1))),
    "bezier": ("#0B4F9E", (0, (7, 1.2, 1.5, 1.2))),
    "polychain": ("#EE7F2D", (0, (1.4, 1))),
}
MARKERS = {"interpolated": "^", "batch": "s", "reestimate": "o"}
SHORT = {"small_large": "small – large, one seed", "small_small": "small – small", "large_large": "large – large"}
FLOOR = 1e-4
"""Below it a barrier is drawn at the edge."""


@styled
def connectivity(tables: Tables) -> Figure:
    """Draw a column of three panels for each kind of pair.

    Raises:
        ResultsError: If no path was looked at.
    """
    rows, hills = tables.frames["connectivity_lines"], judged(tables)
    if hills.empty:
        hills = tables.frames["connectivity_barriers"]
    if rows.empty:
        raise ResultsError("the table `connectivity_lines` is empty, so there is nothing to draw.")
    shown = [pair for pair in PAIRS if (hills["pair"] == pair).any()]
    ways = [way for way in WAYS if (hills["way"] == way).any()]
    reading = strictest(hills)
    kept = rows.merge(hills[["pair", "first_seed", "second_seed"]].drop_duplicates())
    figure = blank(PAGE_WIDTH if len(shown) > 1 else COLUMN_WIDTH, 6.2)
    panels = figure.subplots(3, len(shown), squeeze=False, height_ratios=[1.25, 1, 0.24 * len(ways) + 0.25])
    for row in range(3):
        for column in range(1, len(shown)):
            panels[row][column].sharex(panels[row][0])
            panels[row][column].sharey(panels[row][0])
            panels[row][column].tick_params(labelleft=False)
    for column, pair in enumerate(shown):
        mine = kept[(kept["pair"] == pair) & (kept["batch_norm"] == reading)]
        losses, errors, barriers = (panels[row][column] for row in range(3))
        losses.set_title(SHORT[pair])
        for way in ways:
            part = mine[mine["way"] == way]
            line(losses, part, "train_loss", way)
            line(errors, part.assign(test_error=100 * (1 - part["test_accuracy"])), "test_error", way)
        losses.tick_params(labelbottom=False)
        errors.set(xlabel="place t on the path")
        dots(barriers, hills[hills["pair"] == pair], ways)
    panels[0][0].set_ylabel(f"training loss,\n{loss_name()}, log axis")
    panels[1][0].set_ylabel("test error in %,\nlog axis")
    for axes in (panels[0][0], panels[1][0]):
        axes.set(yscale="log", xlim=(0, 1))
        few_log_ticks(axes.yaxis, crowded=100)
    panels[2][0].set_yticks(range(len(ways)), [WAYS[way].replace(", ", ",\n") for way in ways], fontsize=6.5)
    panels[2][0].set_ylim(len(ways) - 0.5, -0.5)
    panels[2][len(shown) // 2].set_xlabel("barrier: highest training loss above the higher end (nats), log axis")
    handles: list[Any] = [Line2D([], [], color=LOOKS[w][0], linestyle=LOOKS[w][1], label=WAYS[w]) for w in ways]
    handles += [
        Line2D([], [], color="0.35", marker=MARKERS[name], markersize=4, linewidth=0, label=READINGS[name])
        for name in MARKERS
        if (hills["batch_norm"] == name).any()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3 if len(shown) > 1 else 2)
    write_footer(figure, facts(tables, hills, reading))
    return figure


def line(axes: Axes, rows: pd.DataFrame, column: str, way: str) -> None:
    """Draw the mean over pairs of one path, in a band from the lowest to the highest pair."""
    values = rows[np.isfinite(rows[column])]
    seen = values.groupby("t")[column].agg(["mean", "min", "max"])
    color, dash = LOOKS[way]
    least = values.loc[values[column] > 0, column].min()
    low = seen["min"].clip(lower=least)
    axes.fill_between(seen.index, low, seen["max"], color=color, alpha=0.18, linewidth=0)
    axes.plot(seen.index, seen["mean"].clip(lower=least), color=color, linestyle=dash, linewidth=1.4)


def dots(axes: Axes, hills: pd.DataFrame, ways: list[str]) -> None:
    """Draw the barrier of each path under each reading, with its interval."""
    axes.axvline(BARRIER, color="0.6", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    shifts = np.linspace(-0.24, 0.24, len(MARKERS))
    for place, way in enumerate(ways):
        for (name, marker), shift in zip(MARKERS.items(), shifts, strict=True):
            mine = hills[(hills["way"] == way) & (hills["batch_norm"] == name)]
            found = spread(mine)
            if not len(found.values):
                continue
            color, at = LOOKS[way][0], place + shift
            if found.exists:
                axes.hlines(at, max(found.low, FLOOR), max(found.high, FLOOR), color=color, linewidth=1)
            face = color if found.center > FLOOR else "white"
            axes.scatter(
                max(found.center, FLOOR), at, s=13, marker=marker, facecolors=face, edgecolors=color, linewidths=0.8,
                zorder=3, clip_on=False,
            )  # fmt: skip
    axes.set(xscale="log")
    axes.set_xlim(FLOOR, max(axes.get_xlim()[1], 3.0))
    few_log_ticks(axes.xaxis, crowded=1)
    axes.tick_params(axis="y", length=0)


def facts(tables: Tables, hills: pd.DataFrame, reading: str) -> list[str]:
    """What the figure rests on, a sentence each."""
    network, data = str(hills["network"].iloc[0]), str(hills["data"].iloc[0])
    counts = hills.drop_duplicates(["pair", "first_seed", "second_seed"]).groupby("pair").size()
    return [
        f"{network} on {DATA_NAMES.get(data, data)}",
        f"Line: mean over pairs, band: lowest to highest pair ({counted(int(counts.max()), 'pair')} a column), "
        f"{READINGS[reading]}",
        "Re-estimated: BatchNorm's means and variances over the training data, found anew at every point",
        "Barriers: mean over pairs with 95 % t interval",
        f"Open at the edge: {FLOOR:g} or less; dashed: {BARRIER:g} nats, more is a barrier",
        *left_out(tables, judged(tables)),
        "Pairs of one regime join each seed's minimum to the next seed's, in a ring, so that they share ends",
        *(remark.text for remark in remarks(tables.provenance, "reduced", "cautions")),
    ]
