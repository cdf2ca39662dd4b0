"""The sharpness of both minima: every seed a dot, on a logarithmic axis, with the ratio of the means."""

from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.captions import BATCH_NORM_TICKS, footer, seeds_behind
from flatmin.figures.legends import heading, regime_handles
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, REGIMES, blank, select, styled
from flatmin.results import Tables
from flatmin.results.intervals import LEVEL, of_mean
from flatmin.results.searches import TOLD_BY, pair_rows, seed_means
from flatmin.results.words import SEARCH_NAMES, SPACES, counted, significant

CROWDED = 4
OFFSETS = {"small_batch": -0.2, "large_batch": 0.2}


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
    rows = select(pair_rows(tables), "sharpness", network=network, data=data)
    seeds = seed_means(rows)
    spaces = [space for space in SPACES if space in set(seeds["space"])]
    epsilons = sorted(set(seeds["epsilon"]), reverse=True)
    figure = blank(PAGE_WIDTH if len(epsilons) > 1 else COLUMN_WIDTH, 0.6 + 2.3 * len(spaces))
    panels = figure.subplots(len(spaces), len(epsilons), squeeze=False, sharey="row")
    for line, space in zip(panels, spaces, strict=True):
        here = seeds[seeds["space"] == space]
        line[0].set(yscale="log", ylim=limits(here["sharpness"]), ylabel="sharpness (%), log axis")
        for axes, epsilon in zip(line, epsilons, strict=True):
            axes.set_title(f"{SPACES[space]},\nε = {epsilon:g}")
            draw_panel(axes, here[here["epsilon"] == epsilon])
    handles = regime_handles(tables, rows, network, data)
    if not seeds["converged"].all():
        handles.append(not_converged())
    for handle in handles:
        handle.set(linestyle="", markersize=4.5)
    heading(figure, "sharpness of the minima", network, data, handles)
    footer(figure, tables, "sharpness", rows, *sharpness_notes(rows, seeds))
    return figure


def not_converged() -> Line2D:
    """Return the legend entry of searches that did not converge."""
    look: dict[str, Any] = {"linestyle": "", "markersize": 4.5, "markerfacecolor": "white"}
    return Line2D([], [], color="0.25", marker="D", label="not converged", **look)


def limits(sharpness: pd.Series) -> tuple[float, float]:
    """Return the ends of the logarithmic axis, with room for zeros below and the ratios above."""
    shown = sharpness[(sharpness > 0) & np.isfinite(sharpness)]
    low, high = (shown.min(), shown.max()) if len(shown) else (1.0, 1.0)
    return float(low / 4), float(high * 4 * (high / low) ** 0.15)


def draw_panel(axes: Axes, rows: pd.DataFrame, *columns: str) -> None:
    """Draw one pair of columns of dots per setting (and further columns), the bar of the mean and the ratio above."""
    pairs = [pair for _, pair in rows.groupby([*TOLD_BY, *columns], sort=False, dropna=False)]
    crowded = len(pairs) > CROWDED
    for position, pair in enumerate(pairs):
        for regime, dots in pair.groupby("regime"):
            draw_dots(axes, position + OFFSETS[str(regime)], dots, str(regime), size=3.6 if crowded else 4.8)
        ratio = ratio_of(pair)
        if np.isfinite(ratio):
            text = axes.text(position, 0.97, f"×{significant(ratio, 2)}", transform=axes.get_xaxis_transform())
            text.set(ha="center", va="top", fontweight="bold", color="0.2", fontsize=7 if crowded else 8)
    axes.set_xlim(-0.6, len(pairs) - 0.4)
    label_settings(axes, [pair.iloc[0] for pair in pairs], rows, fontsize=6.5 if crowded else 7.5)


def label_settings(axes: Axes, settings: list[Any], rows: pd.DataFrame, fontsize: float) -> None:
    """Name each pair's reading of BatchNorm below it and, once for neighbours that share it, the method below that."""
    names = [tick_name(setting, rows) for setting in settings]
    axes.set_xticks(range(len(names)), names, fontsize=fontsize)
    axes.tick_params(axis="x", length=0)
    below = 3 + 1.35 * fontsize * max((name.count("\n") + 1 for name in names), default=1)
    start = 0
    for method, group in groupby(setting["method"] for setting in settings):
        end = start + len(list(group))
        name = SEARCH_NAMES.get(method, method)
        if start:
            axes.axvline(start - 0.5, color="0.8", linewidth=0.7, zorder=0)
        axes.annotate(
            name.replace(" ", "\n") if end - start == 1 else name,
            ((start + end - 1) / 2, 0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, -below),
            textcoords="offset points",
            ha="center",
            va="top",
        )
        start = end


def draw_dots(axes: Axes, center: float, dots: pd.DataFrame, regime: str, size: float) -> None:
    """Draw the seeds of one regime side by side, their geometric mean with its interval behind them.

    A zero is a triangle at the lower edge, infinity at the upper.
    """
    look = REGIMES[regime]
    edges = axes.get_ylim()
    width = 0.13 if len(dots) > 1 else 0.0
    positions = center + np.linspace(-width, width, len(dots))
    for x, value, converged in zip(positions, dots["sharpness"], dots["converged"], strict=True):
        marker = "v" if value <= 0 else "^" if np.isinf(value) else look.marker
        y = float(np.clip(value, edges[0] * 1.25, edges[1] / 1.25))
        face, edge, extra = (look.color, "white", 0.7) if converged else ("white", look.color, 0.0)
        axes.plot(x, y, marker, color=edge, markerfacecolor=face, markersize=size + extra, markeredgewidth=0.7)
    mean, low, high = geometric(dots["sharpness"])
    if np.isfinite(mean):
        axes.hlines(mean, center - 0.19, center + 0.19, color=look.color, linewidth=1.3, zorder=1)
    if np.isfinite(low):
        axes.vlines(center, *np.clip([low, high], *edges), color=look.color, linewidth=3.2, alpha=0.3, zorder=0)


def geometric(values: "pd.Series[float]") -> tuple[float, float, float]:
    """Return the geometric mean of values and the ends of its interval; NaN for what there is not.

    Args:
        values: One for each seed; a zero or an infinity leaves no mean, a single seed no interval.

    Example:
        >>> round(geometric(pd.Series([2.0, 8.0]))[0], 6), geometric(pd.Series([0.0, 8.0]))[0]
        (4.0, nan)
    """
    known = values.dropna().astype(float)
    with np.errstate(divide="ignore"):
        logs = pd.Series(np.log(known.to_numpy()))
    if logs.empty or not np.isfinite(logs).all():
        return np.nan, np.nan, np.nan
    found = of_mean(logs)
    center, low, high = np.exp([found.center, found.low, found.high])
    return float(center), float(low), float(high)


def ratio_of(pair: pd.DataFrame) -> float:
    """Return the ratio of the geometric means, large over small batch, of the seeds that have both; NaN for none."""
    wide = pair.pivot_table(index="seed", columns="regime", values="sharpness").reindex(columns=list(REGIMES)).dropna()
    small, large = (geometric(wide[regime])[0] for regime in REGIMES)
    return large / small


def tick_name(setting: "pd.Series[Any]", rows: pd.DataFrame) -> str:
    """Return the distribution of A if there is one, else the reading of BatchNorm; what else varies below."""
    parts = [setting.get("distribution", BATCH_NORM_TICKS.get(setting["batch_norm"], setting["batch_norm"]))]
    if rows["subspace_dim"].nunique() > 1:
        parts.append(f"p = {setting['subspace_dim']:g}")
    if rows["examples"].nunique() > 1:
        parts.append(f"{setting['examples']:,.0f} ex.")
    return "\n".join(parts)


def sharpness_notes(rows: pd.DataFrame, seeds: pd.DataFrame) -> list[str]:
    """Return the footer's sentences: what bars and ratio mean, the draws, and searches without a finite value."""
    random = rows[rows["space"] == "random"]
    draws, dims = random["draw"].nunique(), sorted(set(random["subspace_dim"].dropna().astype(int)))
    lost = int((~np.isfinite(rows["sharpness"])).sum())
    return [
        dots_note(seeds),
        "Below the dots: what BatchNorm normalises with" if rows["batch_norm"].nunique() > 1 else "",
        spread_note(rows),
        f"Random subspace: p = {', '.join(map(str, dims))}, mean of {counted(draws, 'draw')}" if dims else "",
        "Triangle at the lower edge: sharpness 0" if (seeds["sharpness"] <= 0).any() else "",
        f"{lost} of {len(rows):,} searches not finite, infinity as a triangle at the upper edge" if lost else "",
    ]


def dots_note(seeds: pd.DataFrame, *columns: str) -> str:
    """Return what dots, bars and numbers mean, over how many seeds, and which interval it is.

    Args:
        seeds: Sharpness by seed.
        *columns: Columns beyond the setting that tell what is drawn apart.
    """
    number = seeds_behind(seeds, "regime", "space", "epsilon", *TOLD_BY, *columns)
    several = seeds["seed"].nunique() > 1
    interval = f"pale: its {100 * LEVEL:g}\u00a0% interval (Student's t on logarithms, cut at the panel's edges)"
    means = f", bar: geometric mean over {number}, {interval}" if several else ""
    hollow = ", open: not converged" if not seeds["converged"].astype(bool).all() else ""
    return f"Dot: one seed{hollow}{means}, ×: ratio of the {'geometric means' if several else 'two'}, large over small"


def spread_note(rows: pd.DataFrame) -> str:
    """Return how far apart the starts of a search ended, at worst; empty where every search has one start."""
    spread = rows["spread"][np.isfinite(rows["spread"])]
    worst = float(spread.max()) if len(spread) else 0.0
    return f"The starts of one search end up to {100 * worst:.2g} % of the rise apart" if worst > 0 else ""
