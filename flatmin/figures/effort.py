"""What the sharpness found owes to the search: the highest value against the evaluations spent."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import footer, seeds_behind
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, blank, few_log_ticks, looks_of, regimes_of, select, styled
from flatmin.results import Tables, of_minima
from flatmin.results.words import BATCH_NORM_NAMES, SPACES

CLIMBER_NAMES = {"lbfgsb": "L-BFGS-B", "corner_steps": "corner steps", "projected_gradient": "projected gradient"}
START_DASHES: dict[str, Any] = {"centre": "-", "sign": "--", "random": ":"}
START_NAMES = {"centre": "start: centre", "sign": "halfway to the gradient's corner", "random": "random point"}
PUBLISHED, PUBLISHED_END = "lbfgsb", "published end"
SHOWN_SHARE = 0.03


@styled
def effort(tables: Tables, *, network: str, data: str, space: str, epsilon: float) -> Figure:
    """Draw the highest sharpness found against the evaluations spent, from every start, over all seeds.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.
        space: ``"full"`` or ``"random"``.
        epsilon: Half-width of the box.

    Returns:
        The figure: a row per reading of BatchNorm, a column per climber, a colour per regime, a dash per start, a band
        over seeds; both axes logarithmic.

    Raises:
        ResultsError: If there is no such search.
    """
    rows = select(tables.effort, "effort", network=network, data=data, space=space, epsilon=epsilon)
    climbers, readings = climbers_of(rows), list(rows["batch_norm"].unique())
    figure = blank(PAGE_WIDTH if len(climbers) > 1 else COLUMN_WIDTH, 0.7 + 2.1 * len(readings))
    panels = figure.subplots(len(readings), len(climbers), squeeze=False, sharex=True, sharey="row")
    ends = published_end(tables, network, data)
    for line, reading in zip(panels, readings, strict=True):
        for axes, climber in zip(line, climbers, strict=True):
            chosen = rows[(rows["batch_norm"] == reading) & (rows["climber"] == climber)]
            axes.set_visible(len(chosen) > 0)
            draw_climbs(axes, chosen, rows["evaluations"].max())
            mark_published(axes, climber, ends)
        line[0].set_ylim(bottom=lowest_shown(rows[rows["batch_norm"] == reading]))
        line[0].set_ylabel(f"sharpness (%), log axis\n{BATCH_NORM_NAMES.get(reading, reading)}")
    for top, bottom, climber in zip(panels[0], panels[-1], climbers, strict=True):
        top.set_title(CLIMBER_NAMES.get(climber, climber))
        bottom.set_xlabel("evaluations, log axis")
        few_log_ticks(bottom.xaxis, crowded=200, whole=True)
    text = f"sharpness found against effort, {SPACES.get(space, space)}, ε = {epsilon:g}"
    handles = regime_handles(tables, rows, network, data) + start_handles(rows)
    for handle in handles:
        handle.set_marker("")
    heading(figure, text, network, data, handles)
    footer(figure, tables, "effort", rows, *effort_notes(rows, ends))
    return figure


def climbers_of(rows: pd.DataFrame) -> list[str]:
    """Return the climbers that occur in the rows, the published one first."""
    present = list(rows["climber"].unique())
    return sorted(
        present, key=lambda name: list(CLIMBER_NAMES).index(name) if name in CLIMBER_NAMES else len(CLIMBER_NAMES)
    )


def draw_climbs(axes: Axes, rows: pd.DataFrame, end: float) -> None:
    """Draw one climber at one reading: for each regime and start the median over seeds in the band of the seeds.

    Args:
        axes: Where to draw.
        rows: The climbs; a value counts until the next one.
        end: Evaluations to which the last value is drawn.
    """
    axes.set_xscale("log")
    axes.set_yscale("log", nonpositive="clip")
    looks = looks_of(regimes_of(rows))
    for (regime, start), climbs in rows.groupby(["regime", "start"], sort=False):
        steps = climbs.pivot_table(index="evaluations", columns="seed", values="sharpness", aggfunc="max")
        steps = steps.reindex(steps.index.union([end])).ffill().replace(np.inf, np.nan)
        color = looks[str(regime)].color
        if steps.shape[1] > 1:
            band: dict[str, Any] = {"color": color, "alpha": 0.15, "linewidth": 0, "step": "post"}
            axes.fill_between(steps.index, steps.min(axis="columns"), steps.max(axis="columns"), **band)
        median = steps.median(axis="columns", skipna=False)
        shown = median.where(median > 0)
        axes.plot(shown.index, shown, drawstyle="steps-post", color=color, linestyle=START_DASHES.get(str(start), "-."))


def lowest_shown(rows: pd.DataFrame) -> float | None:
    """Return the lower end of the axis: a share of what the least successful climb found; ``None`` if nothing was."""
    found = highest(rows[np.isfinite(rows["sharpness"])])
    return float(SHOWN_SHARE * found[found > 0].min()) if (found > 0).any() else None


def highest(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the highest sharpness of each climb."""
    return rows.groupby(["regime", "seed", "batch_norm", "climber", "start"])["sharpness"].max()


def published_end(tables: Tables, network: str, data: str) -> float:
    """Return after how many evaluations the published search ended, the median over minima; NaN if it was not run."""
    rows = of_minima(tables.sharpness)
    rows = rows[(rows["network"] == network) & (rows["data"] == data) & (rows["method"] == "paper")]
    return float(rows["evaluations"].median())


def mark_published(axes: Axes, climber: str, evaluations: float) -> None:
    """Mark where the published search, the first iterations of L-BFGS-B, ends; nothing where that is not known."""
    if climber == PUBLISHED and np.isfinite(evaluations):
        look: dict[str, Any] = {"color": "0.6", "linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 0}
        axes.axvline(evaluations, gid=PUBLISHED_END, **look)


def start_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend entries that tell the starts by their dash."""
    present = [start for start in START_DASHES if start in set(rows["start"])]
    return [Line2D([], [], color="0.25", linestyle=START_DASHES[start], label=START_NAMES[start]) for start in present]


def climbs_note(rows: pd.DataFrame, *columns: str) -> str:
    """Return over how many seeds line and band are taken; empty where there is one.

    Args:
        rows: The climbs.
        *columns: Columns beyond those of a figure that tell the lines apart.
    """
    if rows["seed"].nunique() < 2:
        return ""
    seeds = seeds_behind(rows, "regime", "batch_norm", "climber", "start", *columns)
    return f"Median over {seeds}, band: lowest to highest seed"


def effort_notes(rows: pd.DataFrame, published: float) -> list[str]:
    """Return what a line and the vertical mark mean, and what a logarithmic axis leaves out."""
    climbs = highest(rows)
    marked = PUBLISHED in set(rows["climber"]) and np.isfinite(published)
    flat, lost = int((climbs <= 0).sum()), int(np.isinf(rows["sharpness"]).sum())
    return [
        "A line: the highest sharpness that a search had found after so many evaluations of loss and gradient",
        climbs_note(rows),
        f"Vertical mark: the published search ends, after {published:g} evaluations" if marked else "",
        f"Not shown: below {SHOWN_SHARE:.0%} of what the least successful search of a row found",
        f"{flat} of {len(climbs):,} searches never left 0 and have no line" if flat else "",
        f"{lost} of {len(rows):,} values infinite, left out" if lost else "",
    ]
