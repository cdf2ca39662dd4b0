"""The variance of the gradient against the batch size, and a point where one batch is stuck."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import seeds_fact, write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.intervals import of_ratio
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.gradient_noise.found import WITHIN, products
from flatmin.studies.gradient_noise.steps import HOW

COLORS = ("#0B4F9E", "#1B7F69", "#EE7F2D", "#C23B75", "#6A3D9A")
FACTOR = "(N – B)/(N – 1)"
ASIDE = {HOW[True]: 0.92, HOW[False]: 1.09}
"""By how much dots lie beside their batch size, so that none hides another."""
OWN, OTHER, FULL = "#0B4F9E", "#EE7F2D", "0.45"


@styled
def variances(tables: Tables) -> Figure:
    """Draw the variance against the batch size, and times the batch size.

    Raises:
        ResultsError: If nothing was drawn.
    """
    rows = products(tables)
    if rows.empty:
        raise ResultsError("the table `batch_gradients` is empty, so there is nothing to draw.")
    figure = blank(PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, 2)
    epochs = sorted(rows["epoch"].unique())
    for color, epoch in zip(COLORS * len(epochs), epochs, strict=False):
        mine = rows[rows["epoch"] == epoch]
        spread = mine["spread"].groupby(mine["seed"]).first()
        sizes = sorted(mine["batch_size"].unique())
        level = of_ratio(spread, pd.Series(1.0, index=spread.index)).center
        panels[0].plot(sizes, [level / size for size in sizes], color=color, linewidth=0.8)
        for how in HOW.values():
            part = mine[mine["drawn"] == how]
            look: dict[str, Any] = {"color": color, "markerfacecolor": color if how == HOW[True] else "white"}
            banded(panels[0], part, part["variance"], look, ASIDE[how])
            banded(panels[1], part, part["variance"] * part["batch_size"] / part["spread"], look, ASIDE[how])
    factors = rows[rows["drawn"] == HOW[False]].drop_duplicates("batch_size").sort_values("batch_size")
    panels[1].plot(factors["batch_size"], factors["factor"], color="0.3", linestyle="--", linewidth=0.9, label=FACTOR)
    panels[1].axhspan(1 - WITHIN, 1 + WITHIN, color="0.92", zorder=0)
    panels[0].set(xscale="log", yscale="log", ylabel="E|g – G|²", title="Variance of a batch's gradient")
    panels[1].set(xscale="log", ylabel="variance × B / tr(Σ)", ylim=(0, 1.5), title="Over what 1/B would give")
    for axes in panels:
        axes.set_xlabel("examples in a batch, B, log axis")
        few_log_ticks(axes.xaxis, crowded=100)
    handles = [
        Line2D([], [], color=color, marker="o", linestyle="", label="start" if epoch == 0 else f"after epoch {epoch}")
        for color, epoch in zip(COLORS * len(epochs), epochs, strict=False)
    ]
    filled: dict[bool, str] = {True: "0.3", False: "white"}
    for replacement, how in HOW.items():
        handles.append(
            Line2D([], [], color="0.3", marker="o", linestyle="", markerfacecolor=filled[replacement], label=how)
        )
    handles.append(Line2D([], [], color="0.3", linewidth=0.8, label="tr(Σ)/B"))
    panels[0].legend(handles=handles, loc="lower left", handlelength=1.2)
    panels[1].legend(loc="lower left")
    write_footer(
        figure,
        [
            *trained(tables, rows),
            "g: gradient of a batch, G: of all N examples, Σ: covariance over single ones. Bars: 95 % t intervals over "
            f"seeds; dots lie beside their batch size. Grey: within {100 * WITHIN:g} % of 1",
        ],
    )
    return figure


def banded(axes: Axes, rows: pd.DataFrame, values: "pd.Series[float]", look: dict[str, Any], aside: float) -> None:
    """Draw the geometric mean over the seeds at each batch size, with its interval where there is one."""
    for size in sorted(rows["batch_size"].unique()):
        mine = rows["batch_size"] == size
        by = pd.Series(values[mine].to_numpy(), index=rows.loc[mine, "seed"])
        found = of_ratio(by, pd.Series(1.0, index=by.index))
        place = aside * size
        if found.exists:
            axes.plot([place, place], [found.low, found.high], color=look["color"], linewidth=0.9)
        axes.plot(place, found.center, "o", markersize=4, **look)


@styled
def stuck(tables: Tables) -> Figure:
    """Draw the losses of two batches and of all examples along one line, and gradients against the batch size."""
    points, lines = tables.frames["stuck_points"], tables.frames["stuck_lines"]
    here = points[points["stuck"]]
    shown = (here if len(here) else points).sort_values(["batch_size", "seed"]).iloc[-1 if len(here) == 1 else 0]
    if len(sizes := sorted(here["batch_size"].unique())) > 1:
        shown = here[here["batch_size"] == sizes[len(sizes) // 2 - 1]].sort_values("seed").iloc[0]
    line = lines[(lines["seed"] == shown["seed"]) & (lines["batch_size"] == shown["batch_size"])]
    figure = blank(PAGE_WIDTH, 2.6)
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    titles = {"own": "A batch that is stuck, L₁", "other": "Another batch, L₂"}
    for axes, (name, title) in zip(panels, titles.items(), strict=False):
        axes.plot(line["alpha"], line["full"], color=FULL, linewidth=1.0, label="all examples")
        axes.plot(line["alpha"], line[name], color={"own": OWN, "other": OTHER}[name], label=title.split(", ")[1])
        middle = line.loc[line["alpha"].abs().idxmin()]
        axes.plot(0, middle[name], "o", color="0.1", markersize=5)
        axes.set(title=title.split(", ")[0], xlabel="distance along –∇L₂")
        axes.legend(loc="best")
    panels[0].set_ylabel("cross-entropy (nats)")
    low, high = min(p.get_ylim()[0] for p in panels[:2]), max(p.get_ylim()[1] for p in panels[:2])
    for axes in panels[:2]:
        axes.set_ylim(low, high)
    looks = {
        "gradient_norm": (OWN, "o", "the batch"),
        "full_gradient": (FULL, "^", "all examples"),
        "other_gradient": (OTHER, "s", "other batches"),
    }
    for column, (color, marker, label) in looks.items():
        panels[2].scatter(
            points["batch_size"], points[column], s=14, color=color, marker=marker, label=label, alpha=0.8
        )
    panels[2].axhline(tables.experiment["stuck"]["near"], color="0.6", linewidth=0.8, linestyle=":")
    panels[2].set(xscale="log", yscale="log", xlabel="batch size B, log axis", ylabel="length of the gradient")
    panels[2].set_title("At the stuck points")
    panels[2].legend(loc="center left", bbox_to_anchor=(0, 0.56))
    write_footer(
        figure,
        [
            *trained(tables, points),
            f"Left and middle: B = {shown['batch_size']:.0f}, seed {shown['seed']:.0f}, from the start of training to "
            "where the batch's gradient vanishes; dot: that point. Right: one dot a seed; dotted: up to here a batch "
            "counts as stuck",
        ],
    )
    return figure


def trained(tables: Tables, rows: pd.DataFrame) -> list[str]:
    """What was trained on what, how often, and what was reduced."""
    asked = tables.experiment
    name = asked["data"]["name"]
    return [
        f"Data: {DATA_NAMES.get(name, name)}, tanh network {asked['width']} wide, no BatchNorm",
        seeds_fact(rows),
        *(remark.text for remark in remarks(tables.provenance, "reduced")),
    ]
