"""The distance from the start against the updates, and how well two laws describe it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import seeds_fact, write_footer
from flatmin.figures.style import PAGE_WIDTH, SERIES_MARKERS, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.weight_distance.found import GOOD, RULES, before, fits, lasting, left_out, line, square
from flatmin.studies.weight_distance.steps import TABLE

LAW_LOOKS: dict[str, tuple[str, Any]] = {"log": ("R², log t", "full"), "sqrt": ("R², √t", "none")}
TITLES = {"same": "One learning rate", "sqrt": "Rate by √B", "linear": "Rate by B"}
ASIDE = 1.06
"""By how much markers lie left of their batch size with one learning rate, and right of it with another rule."""


@styled
def weight_distance(tables: Tables) -> Figure:
    """Draw a panel for each rule, and one of R².

    Raises:
        ResultsError: If nothing was trained.
    """
    rows = tables.frames[TABLE]
    if rows.empty:
        raise ResultsError(f"the table `{TABLE}` is empty, so there is nothing to draw.")
    rules = [rule for rule in RULES if rule in set(rows["rule"])]
    looks = looks_of(rows)
    figure = blank(PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, len(rules) + 1)
    for axes, rule in zip(panels, rules, strict=False):
        reference = (rows["rule"] == "same") & (rows["batch_size"] == rows["batch_size"].min())
        mine = rows[(rows["rule"] == rule) | reference]
        for size, (color, marker) in looks.items():
            trained(axes, mine[mine["batch_size"] == size], color, marker)
        axes.set(xscale="log", xlabel="update t, log axis", title=TITLES[rule])
        few_log_ticks(axes.xaxis, crowded=10)
    top = lasting(rows)["distance"].max()
    for axes in panels[:-1]:
        axes.set_ylim(0, 1.05 * top if top > 0 else None)
    panels[0].set_ylabel("distance from the start")
    squares(panels[-1], rows, looks)
    handles: list[Any] = [
        Line2D([], [], color=color, marker=marker, markersize=4, label=f"B = {size:,.0f}")
        for size, (color, marker) in looks.items()
    ]
    handles.append(Line2D([], [], color="0.2", linestyle=":", label="line in log t"))
    handles += [
        Line2D([], [], color="0.3", marker="o", linestyle="", fillstyle=fill, markersize=4, label=label)
        for label, fill in LAW_LOOKS.values()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=1.8)
    asked = tables.experiment
    name = asked["data"]["name"]
    write_footer(
        figure,
        [
            f"{network_of(asked['network'])} on {DATA_NAMES.get(name, name)}, SGD with momentum {asked['momentum']:g}, "
            f"learning rate {asked['learning_rate']:g} for the smallest batch, never lowered",
            seeds_fact(rows),
            "Lines: one a seed; marker and end of the dotted line: all training examples are right (batch statistics). "
            f"Right: R² until there, of points about evenly spaced in log t, mean over seeds, bars: 95 % t intervals, "
            f"dashed: {GOOD:g}, which R4 asks for; left of a batch size: one learning rate",
            *(sentence.removesuffix(".") for sentence in left_out(rows)),
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def network_of(network: dict[str, Any]) -> str:
    """Its name, and its width where one was asked for."""
    return str(network["name"]) + (f", {network['width']:,} wide," if network.get("width") else "")


def looks_of(rows: pd.DataFrame) -> dict[float, tuple[str, str]]:
    """Colour and marker of each batch size."""
    sizes = sorted(rows["batch_size"].unique())
    shades = [to_hex(colormaps["viridis"](0.85 * place / max(len(sizes) - 1, 1))) for place in range(len(sizes))]
    markers = (SERIES_MARKERS * len(sizes))[: len(sizes)]
    return dict(zip(sizes, zip(shades, markers, strict=True), strict=True))


def trained(axes: Axes, rows: pd.DataFrame, color: str, marker: str) -> None:
    """Draw the trainings of one batch size, and the line in the logarithm of the first."""
    for place, (_, training) in enumerate(rows.groupby("seed")):
        seen = before(training)
        axes.plot(training["update"], training["distance"], color=color, linewidth=0.9)
        if seen["accuracy"].iloc[-1] >= 1:
            axes.plot(seen["update"].iloc[-1], seen["distance"].iloc[-1], marker, color=color, markersize=4.5)
        if place == 0 and len(seen) > 2 and seen["distance"].nunique() > 1 and len(lasting(training)):
            offset, slope, _ = line(seen["update"], seen["distance"], "log")
            ends = seen["update"].to_numpy()[[0, -1]]
            axes.plot(ends, offset + slope * np.log(ends), color="0.2", linestyle=":", linewidth=1.1, zorder=3)


def squares(axes: Axes, rows: pd.DataFrame, looks: dict[float, tuple[str, str]]) -> None:
    """Draw R² of both laws against the batch size, for the part until all examples are right."""
    found = fits(rows)
    found = found[(found["part"] == "before") & (found["counting"] == "looks")]
    sizes: Any = found.groupby(["rule", "batch_size"])
    for (rule, size), mine in sizes:
        color, marker = looks[size]
        place = size * (ASIDE if rule != "same" else 1 / ASIDE)
        for law, (_, fill) in LAW_LOOKS.items():
            one = square(mine.set_index("seed")[law])
            if one.exists:
                axes.plot([place, place], [one.low, one.high], color=color, linewidth=0.9)
            axes.plot(place, one.center, marker, color=color, markersize=4.5, fillstyle=fill)
    axes.axhline(GOOD, color="0.5", linestyle="--", linewidth=0.8)
    axes.set(xscale="log", xlabel="batch size B, log axis", ylabel="R²", title="Which law?")
    few_log_ticks(axes.xaxis, crowded=10)
