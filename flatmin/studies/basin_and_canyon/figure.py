"""Basin and canyon: training and test loss at both minima, put on each other, and what the shift costs."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import seeds_fact, write_footer
from flatmin.figures.style import DASHES, PAGE_WIDTH, REGIMES, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.basin_and_canyon.found import DIRECTIONS, judged
from flatmin.studies.basin_and_canyon.shifts import aligned

MARKERS = {"random": "o", "steepest": "^", "between": "D", "downhill": "s"}
SHORT = {"random": "random", "steepest": "steepest", "between": "to the other", "downhill": "down the test loss"}
PREFERRED = ("steepest", "random", "downhill", "between")


@styled
def basin_and_canyon(tables: Tables) -> Figure:
    """Draw both minima along one line each, their curves put on each other, and cost against prediction.

    Raises:
        ResultsError: If there is no line.
    """
    rows = judged(tables)
    lines = rows if len(rows) else tables.frames["shifted_lines"]
    if lines.empty:
        raise ResultsError("the table `shifted_lines` is empty, so there is nothing to draw.")
    name = next(name for name in PREFERRED if name in set(lines["direction"]))
    shown = lines[(lines["direction"] == name)].sort_values(["seed", "number"])
    shown = shown[shown["seed"] == shown["seed"].iloc[0]].drop_duplicates("regime")
    figure = blank(PAGE_WIDTH, 4.9)
    panels = figure.subplots(2, 2)
    for axes, look in zip(panels[0], REGIMES, strict=True):
        for line in shown[shown["regime"] == look].to_dict("records"):
            valley(axes, tables.frames["shifted_curves"], line)
        axes.set(
            title=f"{REGIMES[look].label.replace(' ', '-').capitalize()} minimum", xlabel="distance along the line"
        )
    reach = max(axes.get_xlim()[1] for axes in panels[0])
    top = max(axes.get_ylim()[1] for axes in panels[0])
    for axes in panels[0]:
        axes.set(xlim=(-reach, reach), ylim=(-0.04 * top, top))
    panels[0][0].set_ylabel("cross-entropy (nats)")
    handles = [
        Line2D([], [], color="0.2", linestyle=DASHES[split], label=words)
        for split, words in (("train", "training loss"), ("test", "test loss"))
    ]
    handles.append(Line2D([], [], color="0.2", marker="o", linestyle="", markersize=4, label="lowest point"))
    panels[0][0].legend(handles=handles, loc="upper center", frameon=True, edgecolor="none", framealpha=1)
    for line in shown.to_dict("records"):
        together(panels[1][0], tables.frames["shifted_curves"], line)
    panels[1][0].set(
        title="Minima put on each other",
        xlabel="from the lowest point, in half-widths",
        ylabel="loss above its least (nats)",
    )
    panels[1][0].legend(handles=handles[:2], loc="upper center")
    costs(panels[1][1], lines)
    asked = tables.experiment
    data = asked["data"]["name"]
    write_footer(
        figure,
        [
            f"Data: {DATA_NAMES.get(data, data)}, ReLU network {asked['width']} wide, SGD {asked['learning_rate']:g} "
            f"to a training loss of {asked['target']:g}",
            seeds_fact(lines),
            f"Curves: seed {shown['seed'].iloc[0]}, {DIRECTIONS[name]}; a half-width is where the training loss has "
            f"risen by {asked['rise']:g} nats on average. Lower right: a mark a line, of all seeds; s: distance "
            "of the two lowest points, h: curvature of the test loss, grey: equal",
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def curve_of(curves: pd.DataFrame, line: Any) -> pd.DataFrame:
    """The points of one line."""
    same = np.logical_and.reduce([curves[name] == line[name] for name in ("regime", "seed", "direction", "number")])
    return curves[same].sort_values("alpha")


def valley(axes: Axes, curves: pd.DataFrame, line: Any) -> None:
    """Draw training and test loss along a line, with their lowest points."""
    curve, color = curve_of(curves, line), REGIMES[str(line["regime"])].color
    for split in ("train", "test"):
        axes.plot(curve["alpha"], curve[split], color=color, linestyle=DASHES[split])
        axes.plot(line[f"{split}_argmin"], line[f"{split}_min"], "o", color="0.1", markersize=4)
        axes.vlines(
            line[f"{split}_argmin"], 0, line["test_min"], color="0.6", linestyle=DASHES[split], linewidth=0.6, zorder=0
        )


def together(axes: Axes, curves: pd.DataFrame, line: Any) -> None:
    """Draw both curves less their minima, the test curve moved back by the shift."""
    curve, color = curve_of(curves, line), REGIMES[str(line["regime"])].color
    alphas, shift, reach = curve["alpha"].to_numpy(), line["shift"], line["reach"]
    both = aligned(alphas, curve["train"].to_numpy(), curve["test"].to_numpy(), shift)
    low, high = max(alphas[0], alphas[0] - shift), min(alphas[-1], alphas[-1] - shift)
    places = np.linspace(low, high, len(alphas)) - line["train_argmin"]
    for split, values in zip(("train", "test"), both, strict=True):
        axes.plot(places / reach, values - values.min(), color=color, linestyle=DASHES[split], linewidth=1.3)


def costs(axes: Axes, lines: pd.DataFrame) -> None:
    """Draw what the shift costs against h s^2 / 2."""
    known = lines[(lines["cost"] > 0) & (lines["predicted"] > 0)]
    for (regime, direction), part in known.groupby(["regime", "direction"], sort=False):
        look = REGIMES[str(regime)]
        axes.scatter(
            part["predicted"],
            part["cost"],
            s=15,
            marker=MARKERS[str(direction)],
            color=look.color,
            alpha=0.75,
            linewidths=0,
        )
    ends = [known[["predicted", "cost"]].min().min(), known[["predicted", "cost"]].max().max()]
    axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="h s² / 2 (nats)",
        ylabel="cost of the shift (nats)",
        title="Every line: what the shift costs",
    )
    for axis in (axes.xaxis, axes.yaxis):
        few_log_ticks(axis, crowded=10)
    kinds = [
        Line2D([], [], color="0.3", marker=MARKERS[name], linestyle="", markersize=4, label=words)
        for name, words in SHORT.items()
        if name in set(lines["direction"])
    ]
    sizes = [
        Line2D([], [], color=look.color, marker="o", linestyle="", markersize=4, label=look.label)
        for look in REGIMES.values()
    ]
    key: dict[str, Any] = {"handlelength": 1.0, "borderaxespad": 0.2}
    axes.add_artist(axes.legend(handles=kinds, loc="upper left", **key))
    axes.legend(handles=sizes, loc="lower right", **key)
