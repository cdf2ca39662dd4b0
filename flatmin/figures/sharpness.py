"""The sharpness of both minima: every seed a dot, on a logarithmic axis, with the ratio of the means."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import counted, footer
from flatmin.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    REGIMES,
    blank,
    heading,
    regime_handles,
    select,
    styled,
)
from flatmin.results import Tables

SPACES = {"full": "full space", "random": "random subspace"}
READINGS = {"running": "running", "batch": "batch", "reestimate": "re-estimated"}
OFFSETS = {"small_batch": -0.2, "large_batch": 0.2}
SETTING = ["method", "batch_norm", "subspace_dim", "examples"]


@styled
def sharpness_figure(tables: Tables, *, network: str, data: str) -> Figure:
    """Draw the sharpness of both minima for every space, epsilon, method and reading of BatchNorm.

    Args:
        tables: The results.
        network: Name of the network.
        data: Name of the data set.

    Returns:
        The figure: a row per space, a column per epsilon, a pair of columns of dots per method and reading.

    Raises:
        ResultsError: If there is no such measurement.
    """
    rows = select(tables.sharpness, "sharpness", network=network, data=data)
    seeds = per_seed(rows)
    spaces = [space for space in SPACES if space in set(seeds["space"])]
    epsilons = sorted(set(seeds["epsilon"]), reverse=True)
    figure = blank(PAGE_WIDTH if len(epsilons) > 1 else COLUMN_WIDTH, 0.6 + 2.2 * len(spaces))
    panels = figure.subplots(len(spaces), len(epsilons), squeeze=False, sharey="row")
    for line, space in zip(panels, spaces, strict=True):
        here = seeds[seeds["space"] == space]
        line[0].set(yscale="log", ylim=limits(here["sharpness"]), ylabel="sharpness (%), log axis")
        for axes, epsilon in zip(line, epsilons, strict=True):
            axes.set_title(f"{SPACES[space]}, ε = {epsilon:g}")
            draw_panel(axes, here[here["epsilon"] == epsilon])
    handles = regime_handles(tables, rows, network, data)
    if not seeds["converged"].all():
        handles.append(Line2D([], [], color="0.25", marker="D", markerfacecolor="white", label="not converged"))
    for handle in handles:
        handle.set(linestyle="", markersize=4.5)
    heading(figure, "sharpness of the minima", network, data, handles)
    footer(figure, tables, "sharpness", rows, *sharpness_notes(rows, seeds))
    return figure


def per_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per seed: the mean over the draws of a random subspace, converged if all draws are."""
    keys = ["regime", "space", "epsilon", *SETTING, "seed"]
    draws = rows.groupby(keys, sort=False, as_index=False, dropna=False)
    return draws.agg(sharpness=("sharpness", "mean"), converged=("converged", "all"))


def limits(sharpness: pd.Series) -> tuple[float, float]:
    """Return the ends of the logarithmic axis, with room for zeros below and the ratios above."""
    shown = sharpness[(sharpness > 0) & np.isfinite(sharpness)]
    low, high = (shown.min(), shown.max()) if len(shown) else (1.0, 1.0)
    return float(low / 4), float(high * 4 * (high / low) ** 0.15)


def draw_panel(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one pair of columns of dots per setting, with the bar of the mean and the ratio above."""
    names = []
    for position, (_, pair) in enumerate(rows.groupby(SETTING, sort=False, dropna=False)):
        for regime, dots in pair.groupby("regime"):
            draw_dots(axes, position + OFFSETS[str(regime)], dots, str(regime))
        means = pair.groupby("regime")["sharpness"].mean().reindex(list(REGIMES))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = means["large_batch"] / means["small_batch"]
        if np.isfinite(ratio):
            text = axes.text(position, 0.97, f"× {ratio:.3g}", transform=axes.get_xaxis_transform())
            text.set(ha="center", va="top", fontweight="bold", color="0.2")
        names.append(setting_name(pair.iloc[0], rows))
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="x", length=0)


def draw_dots(axes: Axes, center: float, dots: pd.DataFrame, regime: str) -> None:
    """Draw the seeds of one regime side by side; a zero is a triangle at the lower edge, infinity at the upper."""
    look = REGIMES[regime]
    edges = axes.get_ylim()
    width = 0.12 if len(dots) > 1 else 0.0
    positions = center + np.linspace(-width, width, len(dots))
    for x, value, converged in zip(positions, dots["sharpness"], dots["converged"], strict=True):
        marker = "v" if value <= 0 else "^" if np.isinf(value) else look.marker
        y = float(np.clip(value, edges[0] * 1.25, edges[1] / 1.25))
        face = look.color if converged else "white"
        axes.plot(x, y, marker, color=look.color, markerfacecolor=face, markersize=4.5, markeredgewidth=0.9)
    mean = dots["sharpness"].mean()
    if 0 < mean < np.inf:
        axes.hlines(mean, center - 0.17, center + 0.17, color=look.color, linewidth=1.1, zorder=1)


def setting_name(setting: "pd.Series[Any]", rows: pd.DataFrame) -> str:
    """Return the label below a pair of columns; subspace dimension and examples only where they vary."""
    parts = [setting["method"], f"{READINGS.get(setting['batch_norm'], setting['batch_norm'])} BN"]
    if rows["subspace_dim"].nunique() > 1:
        parts.append(f"p = {setting['subspace_dim']:g}")
    if rows["examples"].nunique() > 1:
        parts.append(f"{setting['examples']:,.0f} examples")
    return "\n".join(parts)


def sharpness_notes(rows: pd.DataFrame, seeds: pd.DataFrame) -> list[str]:
    """Return the footer's sentences: what bar and ratio mean, the draws, and searches without a finite value."""
    random = rows[rows["space"] == "random"]
    draws, dims = random["draw"].nunique(), sorted(set(random["subspace_dim"].dropna().astype(int)))
    lost = int((~np.isfinite(rows["sharpness"])).sum())
    return [
        "Dot: one seed, bar: mean, ×: ratio of the means, large over small batch",
        f"Random subspace: p = {', '.join(map(str, dims))}, mean of {counted(draws, 'draw')}" if dims else "",
        "Triangle at the lower edge: sharpness 0" if (seeds["sharpness"] <= 0).any() else "",
        f"{lost} of {len(rows):,} searches not finite, infinity as a triangle at the upper edge" if lost else "",
    ]
