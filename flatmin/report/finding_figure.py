"""The figure of the finding: the published search against a strong one, its share against the gradient, and boxes.

Small-batch networks are dark with full markers, large-batch ones light with open markers; every subject has a marker of
its own. In the panel of boxes the strong search is solid and the published one dotted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatmin.figures.legends import entry_width
from flatmin.figures.render import image
from flatmin.figures.style import PAGE_WIDTH, REGIMES, SERIES_MARKERS, blank, few_log_ticks, house_style
from flatmin.report.finding import Evidence
from flatmin.report.panels import EPSILON, missing, panels_footer
from flatmin.report.published import LARGE
from flatmin.report.subjects import PUBLISHED, READING, STRONG, in_one_setting
from flatmin.results.formats import to_csv
from flatmin.results.nesting import NESTED_SEARCH, is_impossible, nested
from flatmin.results.words import SEARCHES, counted, significant

NAME = "finding"
MARKDOWN = (
    "What the published search owes to the gradient: (a) published against strong sharpness of every minimum, (b) "
    f"their ratio along training, (c) sharpness against ε.\n\n![{NAME}]({NAME}.png)\n"
)
ENOUGH = 4
"""Boxes that the panel of boxes wants."""
STROKES: dict[str, dict[str, Any]] = {
    PUBLISHED: {"linestyle": (0, (1, 1.2)), "linewidth": 1.1},
    STRONG: {"linestyle": "-", "linewidth": 0.9},
}
LOWEST = 3
"""Rows of a legend, at least: those of the regimes and of the impossible step."""
MARGIN = 0.03
"""Share of the panel of minima below the lowest."""
LONGEST = 18
"""Letters of a subject's name that the title of a panel has room for."""
ROOM = 0.22
"""Share of the panel of boxes that the words on its greatest step get."""
IMPOSSIBLE_STEP: dict[str, Any] = {"color": "#111111", "linewidth": 2.0, "solid_capstyle": "butt", "zorder": 4}
FIGURE_COLUMNS = [
    *("panel", "subject", "regime", "seed", "epoch", "epsilon", "method", "gradient_norm"),
    *("published", "strong", "share", "sharpness", "smaller_epsilon", "found_there"),
]
FURTHER_MARKERS = ("p", "*", "d", "h")


def finding_files(found: Sequence[Evidence]) -> dict[str, bytes]:
    """The figure as PDF and PNG with the plotted numbers as CSV; nothing where no study has both searches."""
    if not found:
        return {}
    with house_style():
        figure = draw(found)
    images = {f"{NAME}.{kind}": image(figure, kind) for kind in ("pdf", "png")}
    return images | {f"{NAME}.csv": to_csv(plotted(found))}


def plotted(found: Sequence[Evidence]) -> pd.DataFrame:
    """The numbers in the figure, a row for each point; the epoch of a minimum is missing."""
    boxed = of_boxes(found)
    parts = [
        *(one.minima.assign(panel="a", subject=one.name) for one in found),
        *(one.along.assign(panel="b", subject=one.name) for one in found),
        *([boxes(boxed).assign(panel="c", subject=boxed.name)] if boxed else []),
    ]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True).reindex(columns=FIGURE_COLUMNS)
    return rows.assign(epoch=rows["epoch"].replace(np.inf, np.nan))


def of_boxes(found: Sequence[Evidence]) -> Evidence | None:
    """Whose boxes are shown: F1's on the paper's data, if there are enough, else those of the subject with most."""
    counts = {one.name: boxes(one)["epsilon"].nunique() for one in found}
    first = [one for one in found if one.subject.network == "F1" and one.subject.lead.on_the_papers_data]
    chosen = [one for one in first if counts[one.name] >= ENOUGH] or sorted(
        (one for one in found if counts[one.name] > 1), key=lambda one: -counts[one.name]
    )
    return chosen[0] if chosen else None


def boxes(one: Evidence) -> pd.DataFrame:
    """The searches at a subject's minima in every box of the full space, with the most found in a smaller one."""
    rows = one.subject.searches
    rows = rows[(rows["space"] == "full") & (rows["batch_norm"] == READING) & rows["epoch"].isna()]
    rows = in_one_setting(rows[rows["method"].isin(SEARCHES)])
    below = nested(rows)[[*NESTED_SEARCH, "epsilon", "smaller_epsilon", "found_there"]]
    return rows.merge(below, on=[*NESTED_SEARCH, "epsilon"], how="left").sort_values("epsilon", kind="stable")


def draw(found: Sequence[Evidence]) -> Figure:
    """Draw the three panels."""
    marks = [*SERIES_MARKERS, *FURTHER_MARKERS]
    markers = {one.name: marks[place % len(marks)] for place, one in enumerate(found)}
    boxed = of_boxes(found)
    columns = finding_legend_columns(
        subject_handles(markers), [*finding_handles(), *step_handles(boxed), *method_handles()]
    )
    figure = blank(PAGE_WIDTH, 2.5 + 0.16 * len(columns[0]))
    handles = [handle for column in columns for handle in column]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(columns))
    left, middle, right = figure.subplots(1, 3)
    for one in found:
        draw_minima(left, one, markers[one.name])
        draw_along(middle, one, markers[one.name])
    finish_minima(left)
    finish_along(middle)
    if boxed is None:
        missing(right)
    else:
        draw_boxes(right, boxed, markers[boxed.name])
    shown = [(study, one.minima) for one in found for study in one.subject.studies]
    panels_footer(figure, shown, *notes(found), tables=["sharpness"])
    return figure


def dots(regime: str, marker: str, size: float) -> dict[str, Any]:
    """How the points of a regime are drawn: full for the small batch, open for the large one."""
    look = REGIMES[regime]
    face = {"markerfacecolor": "white"} if regime == LARGE else {}
    return {"color": look.color, "marker": marker, "markersize": size, "markeredgewidth": 0.9, **face}


def draw_minima(axes: Axes, one: Evidence, marker: str) -> None:
    """Draw what the published search found at each minimum against what the strong one did."""
    for regime, rows in one.minima.groupby("regime"):
        seen = rows[rows["published"] > 0]
        axes.plot(seen["strong"], seen["published"], linestyle="", **dots(str(regime), marker, 4))


def finish_minima(axes: Axes) -> None:
    """Scale the panel of minima and draw the line where both searches find the same."""
    axes.set(xscale="log", yscale="log", title="(a) at the minima")
    axes.set(xlabel="strong search, φ (%)", ylabel="published search, φ (%)")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.axline((left, left), (right, right), color="0.6", linewidth=0.7, zorder=0)
    high = max(high, right)
    axes.set(xlim=(left, right), ylim=(low * (low / high) ** MARGIN, high))
    few_log_ticks(axes.xaxis, crowded=100)
    few_log_ticks(axes.yaxis, crowded=100)


def draw_along(axes: Axes, one: Evidence, marker: str) -> None:
    """Draw the share of the strong value along each training against the length of the gradient."""
    for (regime, _), way in one.along.groupby(["regime", "seed"]):
        seen = way[(way["share"] > 0) & (way["gradient_norm"] > 0)]
        axes.plot(seen["gradient_norm"], seen["share"], linewidth=0.5, **dots(str(regime), marker, 2.6))


def finish_along(axes: Axes) -> None:
    """Scale the panel along training; say so where nothing was measured on the way."""
    if not axes.lines:
        missing(axes)
        return
    axes.set(xscale="log", yscale="log", title="(b) along training")
    axes.set(xlabel="length of the gradient (nats)", ylabel="published φ / strong φ")
    few_log_ticks(axes.xaxis, crowded=100)
    few_log_ticks(axes.yaxis, crowded=100)
    axes.axhline(1, color="0.6", linewidth=0.7, zorder=0)


def draw_boxes(axes: Axes, one: Evidence, marker: str) -> None:
    """Draw the sharpness against the size of the box, and mark where a search found less than in a smaller one."""
    rows = boxes(one)
    rows = rows[rows["sharpness"] > 0]
    for (method, regime, _), way in rows.groupby(["method", "regime", "seed"]):
        axes.plot(way["epsilon"], way["sharpness"], **dots(str(regime), marker, 2.8) | STROKES[str(method)])
    steps = rows[is_impossible(rows)]
    for step in steps[["smaller_epsilon", "epsilon", "found_there", "sharpness"]].to_numpy(float):
        axes.plot(step[:2], step[2:], **IMPOSSIBLE_STEP)
    name = one.name if len(one.name) <= LONGEST else one.subject.network
    axes.set(xscale="log", yscale="log", title=f"(c) boxes, {name}")
    axes.set(xlabel="half-width ε of the box (10⁻³)", ylabel="sharpness φ (%)")
    sizes = sorted(rows["epsilon"].unique())
    axes.set_xticks(sizes, [f"{1000 * size:g}" for size in sizes])
    axes.minorticks_off()
    few_log_ticks(axes.yaxis, crowded=100)
    name_worst(axes, steps)


def name_worst(axes: Axes, steps: pd.DataFrame) -> None:
    """Write below the lines, in room made for it, what the greatest impossible step is."""
    if steps.empty:
        return
    worst = steps.assign(fall=steps["found_there"] / steps["sharpness"]).sort_values("fall").iloc[-1]
    low, high = np.log(axes.get_ylim())
    axes.set_ylim(np.exp(low - ROOM * (high - low)))
    text = f"{significant(worst['found_there'])} to {significant(worst['sharpness'])} %:\nno maximum falls"
    middle = np.exp(np.log(worst[["smaller_epsilon", "epsilon"]].astype(float)).mean())
    height = np.exp(np.log(worst[["found_there", "sharpness"]].astype(float)).mean())
    pointer = {"arrowstyle": "-", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2, "color": IMPOSSIBLE_STEP["color"]}
    named: dict[str, Any] = {"xytext": (0.98, 0.02), "textcoords": "axes fraction", "ha": "right", "va": "bottom"}
    axes.annotate(text, (middle, height), arrowprops=pointer, fontsize=7, **named)


def finding_legend_columns(names: Sequence[Line2D], strokes: Sequence[Line2D]) -> list[list[Line2D]]:
    """Return the columns of a legend, names and strokes apart, as low as the page allows and filled up alike."""
    columns: list[list[Line2D]] = []
    for rows in range(LOWEST, max(len(names), len(strokes)) + 1):
        columns = [list(names[start : start + rows]) for start in range(0, len(names), rows)]
        cut = len(strokes) if rows >= len(strokes) else len(strokes) - len(SEARCHES)
        columns += [list(part) for part in (strokes[:cut], strokes[cut:]) if part]
        if sum(max(map(entry_width, column)) for column in columns) <= PAGE_WIDTH:
            break
    rows = max(map(len, columns))
    empty = Line2D([], [], linestyle="", label=" ")
    return [[*column, *[empty] * (rows - len(column))] for column in columns]


def subject_handles(markers: dict[str, str]) -> list[Line2D]:
    """Return the legend entries of the subjects."""
    return [
        Line2D([], [], color="0.25", linestyle="", marker=marker, markersize=4, label=name)
        for name, marker in markers.items()
    ]


def finding_handles() -> list[Line2D]:
    """Return the legend entries of the regimes."""
    return [Line2D([], [], linestyle="", **dots(regime, "o", 4), label=look.label) for regime, look in REGIMES.items()]


def step_handles(boxed: Evidence | None) -> list[Line2D]:
    """Return the legend entry of impossible steps, if there are any to be seen."""
    seen = boxed is not None and bool(is_impossible(boxes(boxed)).any())
    return [Line2D([], [], **IMPOSSIBLE_STEP, label="less than in a smaller box")] if seen else []


def method_handles() -> list[Line2D]:
    """Return the legend entries of the panel of boxes."""
    return [
        Line2D([], [], color="0.25", **STROKES[method], label=f"{name} search") for method, name in SEARCHES.items()
    ]


def notes(found: Sequence[Evidence]) -> list[str]:
    """Return what a point is, whose boxes are shown, and how many points have no place on a logarithmic axis."""
    boxed = of_boxes(found)
    zeros = sum(int((rows["published"] <= 0).sum()) for one in found for rows in (one.minima, one.along))
    return [
        f"Full space, batch statistics, ε = {EPSILON:g} in (a) and (b). Point: one network of one seed; line in (b): "
        "one seed from epoch to epoch, in (c): one seed from box to box. Grey: both searches find the same. A larger "
        "box holds the smaller ones",
        f"(c): {boxed.name}" if boxed else "",
        f"Published sharpness 0 in {counted(zeros, 'search')}, left out" if zeros else "",
    ]
