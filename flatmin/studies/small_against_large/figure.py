"""Table 3.1 as a picture: ratios on one side, differences of accuracy on the other, each with its interval."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from flatmin.core.errors import ResultsError
from flatmin.figures.captions import seeds_fact, write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, few_log_ticks, styled
from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.words import DATA_NAMES
from flatmin.studies.small_against_large.rows import SAME, Row, rows, sizes_of
from flatmin.studies.small_against_large.trainings import POINTS

COLORS = {"holds": "#1B7F69", "does not hold": "#C23B75", "undecided": "0.45"}
MARKERS = {"holds": "o", "does not hold": "X", "undecided": "D"}
NAMES = {"adam": "Adam", "sgd": "SGD"}
SHORT = {
    "speed of one update, no parallelism": "update, one by one",
    "speed of one update, with parallelism": "update, at once",
    "time for one epoch": "epoch",
    "gradient, noise at the start": "noise, start",
    "gradient, noise where the small batch ends": "noise, end",
    "optimisation, training accuracy at ": "training, ",
    "generalisation, test accuracy at ": "test, ",
}


@styled
def small_against_large(tables: Tables) -> Figure:
    """Draw all rows with their verdicts.

    Raises:
        ResultsError: If nothing was measured.
    """
    found = list(rows(tables))
    if not found:
        raise ResultsError("the tables of small against large are empty, so there is nothing to draw.")
    small, large = sizes_of(tables)
    figure = blank(PAGE_WIDTH, 2.4)
    ratios, points = figure.subplots(1, 2)
    forest(ratios, [row for row in found if row.unit == "ratio"])
    forest(points, [row for row in found if row.unit == "points"])
    ratios.axvspan(1 / SAME, SAME, color="0.92", zorder=0)
    ratios.axvline(1, color="0.6", linewidth=0.8)
    points.axvline(0, color="0.6", linewidth=0.8)
    ratios.set_xscale("log")
    few_log_ticks(ratios.xaxis, crowded=10)
    ratios.set(title="Time and noise", xlabel=f"B = {large:,} over B = {small:,}\n(log axis)")
    points.set_xscale("symlog", linthresh=1.0)
    points.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    points.set(title="Accuracy")
    points.set_xlabel(f"accuracy, B = {small:,} less B = {large:,}\n(points, log beyond 1)")
    handles = [
        ratios.plot([], [], MARKERS[verdict], color=color, markersize=5, label=f"the book's word {verdict}")[0]
        if verdict != "undecided"
        else ratios.plot([], [], MARKERS[verdict], color=color, markersize=5, label=verdict)[0]
        for verdict, color in COLORS.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    asked = tables.experiment
    data = asked["data"]["name"]
    write_footer(
        figure,
        [
            f"Data: {DATA_NAMES.get(data, data)}, ReLU network {asked['width']} wide, {NAMES[asked['optimizer']]}, "
            f"learning rate {asked['learning_rate']:g}",
            seeds_fact(tables.frames[POINTS]) if len(tables.frames[POINTS]) else "",
            "Bars: 95 % t intervals, of times over rounds. Grey: counts as the same time. One by one: an example after "
            "the other on one CPU thread; at once: the whole batch. Noise: of a batch's gradient, over the "
            "gradient's length",
            *(remark.text for remark in remarks(tables.provenance, "reduced")),
        ],
    )
    return figure


def forest(axes: Axes, found: list[Row]) -> None:
    """Draw a dot and a bar for each row."""
    names = list[str]()
    for place, row in enumerate(found):
        color = COLORS[row.verdict]
        if row.found.exists:
            axes.plot([row.found.low, row.found.high], [place, place], color=color, linewidth=1.4)
        axes.plot(row.found.center, place, MARKERS[row.verdict], color=color, markersize=5)
        name = row.aspect
        for long, short in SHORT.items():
            name = name.replace(long, short)
        names.append(name)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
