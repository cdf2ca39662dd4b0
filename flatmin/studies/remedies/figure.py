"""Two figures of the remedies: each beside the others, and what closes the gap against what flattens."""

import math
from collections.abc import Sequence
from itertools import combinations
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import ScaledTranslation

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import write_footer
from flatmin.figures.legends import heading
from flatmin.figures.style import PAGE_WIDTH, REGIMES, Look, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.groups import variation_named
from flatmin.results.intervals import Interval
from flatmin.results.remarks import remarks
from flatmin.results.words import signed
from flatmin.studies.remedies.found import features
from flatmin.studies.remedies.judged import LARGE, SMALL, Way, ways
from flatmin.studies.remedies.trainings import TUNING

ROW_HEIGHT = 0.26
CIRCLE = 9
CUT = "bars that end at the frame reach further"
INTERVAL = "Bar: 95 % t interval over seeds, of a ratio on its logarithm"
BAR, BARS = f"{INTERVAL}; {CUT}", f"{INTERVAL}; dot: a seed; {CUT}"
LEGEND = (
    "Dashed line: small batch, solid line: large batch; all axes but the first are logarithmic; "
    "gradients: of single examples, in training"
)
AT_THE_FRAME = 0.025
"""How far from the end of an axis, in its lengths, what lies beyond it is told."""
TOWARDS = {"left": "<", "right": ">"}
FAR = ("A number at the frame: the mean of a way that lies beyond it",)
NUDGED = "A circle that would hide another stands beside its place, where its bars cross"
SHARING = {
    "linear_scaling": "scaled rates",
    "sqrt_scaling": "scaled rates",
    "regime_adaptation": "regime adaptation",
    "growing_batch": "growing batches",
    "start": "warm starts",
}
"""What has the small batch's learning rate, as the large batch has, by what a variation has."""
LINES: dict[str, Any] = {SMALL: (0, (4, 2)), LARGE: "-"}
OTHER = Look("", "#4A4A4A", "#1E1E1E", "D")


@styled
def side_by_side(tables: Tables) -> Figure:
    """Draw a line for each way of training: test accuracy, every sharpness over the large batch's, and the work.

    Raises:
        ResultsError: If no large batch left a minimum.
    """
    found = present(tables)
    large = large_of(found)
    looks = {way.name: REGIMES.get(way.name, OTHER) for way in found}
    measured = list(dict.fromkeys(what for way in found for what in way.compared))
    figure = blank(PAGE_WIDTH, 1.3 + ROW_HEIGHT * len(found))
    panels = figure.subplots(1, 2 + len(measured), sharey=True, width_ratios=[1.4, *[1] * len(measured), 0.7])
    for place, way in enumerate(found):
        look = looks[way.name]
        dots(panels[0], way.accuracy, place, look)
        for axes, what in zip(panels[1:], measured, strict=False):
            if what in way.compared and way.name != LARGE:
                dots(axes, way.compared[what], place, look)
        panels[-1].plot(way.gradients / large.gradients, place, look.marker, color=look.color, markersize=4)
        if way.name in REGIMES:
            panels[0].axvline(way.accuracy.center, color=look.color, linewidth=0.9, linestyle=LINES[way.name], zorder=0)
    far = far_off(panels[0], [way.accuracy for way in found])
    for place, (x, side) in far.items():
        look = looks[found[place].name]
        panels[0].plot(x, place, TOWARDS[side], color=look.color, markersize=4)
        name_far(panels[0], (x, place), found[place].accuracy.center, side)
    if not large.accuracy.values:
        words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": "0.45"}
        panels[0].text(0.5, 0.5, "none: the targets\nare real numbers", transform=panels[0].transAxes, **words)
    panels[0].set_title("test accuracy", fontsize=8)
    panels[0].set_xlabel("per cent", fontsize=8)
    panels[0].tick_params(axis="x", labelbottom=bool(large.accuracy.values))
    panels[0].set_yticks(range(len(found)), [way.label for way in found])
    panels[0].set_ylim(len(found) - 0.5, -0.5)
    for axes, what in zip(panels[1:], measured, strict=False):
        axes.set_title(fill(what, 14), fontsize=8)
        axes.set_xlabel("× large's", fontsize=8)
        axes.axvline(1, color=looks[LARGE].color, linewidth=0.9, zorder=0)
        within_sight(axes, [way.compared[what] for way in found if what in way.compared], scale="log")
    panels[-1].set(xscale="log")
    panels[-1].margins(x=0.12)
    panels[-1].set_title("gradients", fontsize=8)
    panels[-1].set_xlabel("× large's", fontsize=8)
    few_log_ticks(panels[-1].xaxis, crowded=8)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        for place in range(len(found) - 1):
            axes.axhline(place + 0.5, color="0.92", linewidth=0.6, zorder=0)
    finish(figure, tables, "remedies for large batches", BARS, LEGEND, *FAR[: len(far)])
    return figure


@styled
def two_effects(tables: Tables, what: str) -> Figure:
    """Draw the gain in test accuracy of each way against what is left of one sharpness.

    Args:
        tables: The results.
        what: Which sharpness, as :class:`~flatmin.studies.remedies.judged.Way` calls it.

    Raises:
        ResultsError: If no large batch left a minimum.
    """
    found = [way for way in present(tables) if what in way.flatness]
    figure = blank(PAGE_WIDTH, max(4.2, 0.75 + 0.15 * len(found)))  # as high as its legend
    axes = figure.subplots()
    far = far_off(axes, [way.gain for way in found])
    handles, places = [], []
    for number, way in enumerate(found, start=1):
        look = REGIMES.get(way.name, OTHER)
        x, side = far.get(number - 1, (way.gain.center, ""))
        y = 1.0 if way.name == LARGE else way.flatness[what].center
        reach: dict[str, Any] = {"color": look.color, "linewidth": 0.7, "alpha": 0.35, "zorder": 1}
        if way.name != LARGE and way.gain.exists:
            axes.plot([way.gain.low, way.gain.high], [y, y], **reach)
        if way.name != LARGE and way.flatness[what].exists:
            axes.plot([x, x], [way.flatness[what].low, way.flatness[what].high], **reach)
        axes.plot(x, y, ".", color=look.color, markersize=4, zorder=3)
        if side:
            name_far(axes, (x, y), way.gain.center, side)
        places.append((x, y))
        handles.append(Line2D([], [], marker="o", linestyle="", color=look.color, label=f"{number}  {way.label}"))
    axes.axhline(1, color="0.6", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlabel("← widens the gap     test accuracy less the large batch's (points)     narrows the gap →")
    axes.set_ylabel(f"{what}\n← flatter     over the large batch's, log axis     sharper →")
    within_sight(axes, [way.flatness[what] for way in found], scale="log", side="y", most=6)
    figure.legend(handles=handles, loc="outside right upper", fontsize=7, handletextpad=0.2)
    finish(figure, tables, "what narrows the gap, and what flattens", BAR, *FAR[: len(far)], NUDGED)
    number_circles(figure, axes, places, [handle.get_color() for handle in handles])
    return figure


def far_off(axes: Axes, intervals: Sequence[Interval]) -> dict[int, tuple[float, str]]:
    """Set a linear axis to what the seeds span, without the few that would take more than half of it for themselves.

    Returns:
        For each of these, at most a fifth of all, by its number: where on the axis it is told, and at which end.
    """
    centers = {number: each.center for number, each in enumerate(intervals) if np.isfinite(each.center)}
    near = dict(centers)
    for _ in range(len(centers) // 5):
        ends = min(near, key=near.__getitem__), max(near, key=near.__getitem__)
        spans = {end: np.ptp([value for number, value in near.items() if number != end]) for end in ends}
        end = min(spans, key=spans.__getitem__)
        if 2 * spans[end] >= np.ptp([*near.values()]):
            break
        del near[end]
    within_sight(axes, [intervals[number] for number in near], scale="linear")
    low, high = axes.get_xlim()
    aside = AT_THE_FRAME * (high - low)
    return {
        number: (low + aside, "left") if center < low else (high - aside, "right")
        for number, center in centers.items()
        if number not in near
    }


def name_far(axes: Axes, place: tuple[float, float], value: float, side: str) -> None:
    """Write at one end of an axis where beyond it something lies."""
    right = 7 if side == "left" else -7
    axes.annotate(
        signed(f"{value:.1f}"), place, (right, 0), textcoords="offset points", ha=side, va="center", fontsize=6.5
    )


def number_circles(figure: Figure, axes: Axes, places: Sequence[tuple[float, float]], colors: Sequence[Any]) -> None:
    """Draw numbered circles at places of an axes that is done, beside them where one would hide another."""
    figure.draw_without_rendering()
    points = axes.transData.transform(places) * 72 / figure.dpi
    inside: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 6, "color": "white", "clip_on": True}
    seen = np.flatnonzero(np.isfinite(points).all(axis=1))
    for index, (right, up) in zip(seen.tolist(), moved_apart(points[seen], CIRCLE) - points[seen], strict=True):
        (x, y), color = places[index], colors[index]
        beside = axes.transData + ScaledTranslation(right / 72, up / 72, figure.dpi_scale_trans)
        axes.plot(x, y, "o", color=color, markersize=CIRCLE, markeredgecolor="white", transform=beside, zorder=4)
        axes.text(x, y, f"{index + 1}", transform=beside, zorder=5, **inside)
        if math.hypot(right, up) > CIRCLE / 2:
            line: dict[str, Any] = {"arrowstyle": "-", "color": color, "linewidth": 0.8}
            axes.annotate("", (x, y), (right, up), textcoords="offset points", arrowprops=line, zorder=3)


def moved_apart(points: np.ndarray, distance: float, rounds: int = 500) -> np.ndarray:
    """Move points on the plane until no two are nearer than a distance, each no further than its neighbours push it.

    Example:
        >>> moved_apart(np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0]]), 3.0)[:, 0].round(2).tolist()
        [-1.0, 2.0, 9.0]
    """
    moved = points.astype(float)
    turns = 2.4 * np.arange(len(points))  # the golden angle: no two ways are alike, so that a row fans out
    aside = 1e-3 * distance * np.column_stack([np.cos(turns), np.sin(turns)])
    for _ in range(rounds):
        quiet = True
        for one, other in combinations(range(len(moved)), 2):
            between = moved[other] - moved[one]
            length = float(np.hypot(*between))
            if length < distance * (1 - 1e-3):
                quiet = False
                way = (between + aside[other]) / np.hypot(*(between + aside[other]))
                moved[one] -= way * (distance - length) / 2
                moved[other] += way * (distance - length) / 2
        if quiet:
            break
    return moved


def within_sight(axes: Axes, intervals: Sequence[Interval], *, scale: str, side: str = "x", most: int = 3) -> None:
    """Set an axis to what the seeds span, a logarithmic one with at most so many labels; a bar may reach beyond."""
    values = np.array([value for each in intervals for value in each.values if np.isfinite(value)])
    axis = axes.xaxis if side == "x" else axes.yaxis
    if scale == "log" and len(values) and values.max() <= 0:
        return
    getattr(axes, f"set_{side}scale")(scale)
    if not len(values) or (scale == "log" and values.min() <= 0):
        return
    if scale == "log":
        low, high = min(values.min(), 1.0), max(values.max(), 1.0)
        margin = max((high / low) ** 0.08, 1.05)
        getattr(axes, f"set_{side}lim")(low / margin, high * margin)
        few_log_ticks(axis, crowded=30, most=most)
        if not np.isclose(axis.get_majorticklocs(), 1.0).any():
            axis.set_major_locator(FixedLocator(powers_around_one(low / margin, high * margin, most)))
    else:
        margin = 0.08 * np.ptp(values) or 1.0
        getattr(axes, f"set_{side}lim")(values.min() - margin, values.max() + margin)


def powers_around_one(low: float, high: float, most: int = 3) -> list[float]:
    """At most so many powers of ten between two ends, in equal steps, with 1 among them.

    Example:
        >>> powers_around_one(0.005, 20)
        [0.01, 1.0]
    """
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    steps = range(1, last - first + 2)
    every = ([power for power in range(first, last + 1) if power % step == 0] for step in steps)
    return [float(f"1e{power}") for power in next(powers for powers in every if len(powers) <= most)]


def present(tables: Tables) -> list[Way]:
    """The ways that left a minimum.

    Raises:
        ResultsError: If no large batch did.
    """
    found = ways(tables)
    if not any(way.name == LARGE for way in found):
        raise ResultsError("no large batch left a minimum, so there is nothing to compare remedies with.")
    return found


def large_of(found: Sequence[Way]) -> Way:
    """The large batch."""
    return next(way for way in found if way.name == LARGE)


def dots(axes: Axes, interval: Interval, place: float, look: Look) -> None:
    """Draw the seeds, their mean and its interval on one line."""
    values = [value for value in interval.values if np.isfinite(value)]
    axes.plot(values, [place] * len(values), look.marker, color=look.color, markersize=3.2, alpha=0.7)
    if interval.exists:
        axes.plot([interval.low, interval.high], [place, place], color=look.ink, linewidth=1.0, alpha=0.8)
    axes.plot(interval.center, place, "|", color=look.ink, markersize=8, markeredgewidth=1.6)


def finish(figure: Figure, tables: Tables, title: str, *notes: str, handles: Sequence[Artist] = ()) -> None:
    """Write the heading with its legend, and what the figure rests on."""
    minima = tables.minima
    heading(figure, title, minima["network"].iloc[0], minima["data"].iloc[0], handles)
    seeds = ", ".join(f"{seed:g}" for seed in sorted(minima["seed"].unique()))
    facts = [f"Seeds: {seeds}", "BatchNorm: batch statistics", *notes]
    facts += tuned(tables)
    write_footer(figure, [*facts, *(remark.text for remark in remarks(tables.provenance, "reduced"))])


def tuned(tables: Tables) -> list[str]:
    """How the learning rates were chosen, if they were, and whose were not."""
    tuning = tables.experiment.get("tuning")
    if not tuning:
        return []
    factors = tuning["factors"]
    if len(factors) == 1:
        return [f"Learning rates not tuned: each {factors[0]:g} times its own"]
    each = ", ".join(f"{factor:g}" for factor in factors)
    return [
        f"Learning rate the best of {len(factors)} ({each} times its own) on held-out training examples, seed "
        f"{tuning['seed']}{sharing(tables)}"
    ]


def sharing(tables: Tables) -> str:
    """Which ways have the small batch's learning rate, if any."""
    untuned = set(tables.minima["regime"]) - set(tables.frames[TUNING]["regime"])
    known = features(tables)
    usual = {key for key, value in tables.experiment["training"].items() if value} & SHARING.keys()
    has = untuned & {LARGE}
    for name in untuned - {SMALL, LARGE}:
        has |= (known.get(variation_named(name, known), frozenset()) & SHARING.keys()) or usual
    kinds = dict.fromkeys(word for feature, word in {LARGE: "large batch", **SHARING}.items() if feature in has)
    return f"; with the small batch's: {', '.join(kinds)}" if kinds else ""
