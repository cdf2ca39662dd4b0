"""What the figures of the report share: a grid of panels for many studies, the paper's values, legend and footer."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from flatmin.figures.captions import write_footer
from flatmin.figures.legends import MARK, legend_columns
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH, REGIMES, blank
from flatmin.report import published
from flatmin.report.studies import StudyResults
from flatmin.results import Tables
from flatmin.results.remarks import concerning
from flatmin.results.searches import methods_of
from flatmin.results.words import BATCH_NORM_NAMES

Shown = Sequence[tuple[StudyResults, pd.DataFrame]]

PANELS_ACROSS = 3
EPSILON = published.EPSILONS[0]
PAPER = "paper"
CROSS: dict[str, Any] = {
    "linestyle": "",
    "marker": "x",
    "markersize": 4,
    "markeredgewidth": 1.1,
    "zorder": 5,
    "gid": PAPER,
}
READ_OFF = "paper, read off"


def with_rows(studies: Iterable[StudyResults], rows: Callable[[Tables], pd.DataFrame]) -> Shown:
    """Return the studies that have rows of a kind, with these."""
    found = [(study, rows(study.tables)) for study in studies]
    return [(study, kept) for study, kept in found if len(kept)]


def preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with batch statistics, as in the authors' code; else those of the first reading there is."""
    readings = list(rows["batch_norm"].unique())
    return rows[rows["batch_norm"] == ("batch" if "batch" in readings else (readings or [""])[0])]


def full_space(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the searches in the full space with the preferred reading of BatchNorm."""
    return preferred(rows[rows["space"] == "full"])


def crosses(axes: Axes, study: StudyResults, points: dict[Any, float], color: str, **look: Any) -> None:
    """Draw the paper's values where the study is on the paper's data."""
    if points and study.on_the_papers_data:
        axes.plot(list(points), list(points.values()), color=color, **CROSS | look)


def hold_crosses(axes: Axes) -> None:
    """Widen the axes where the paper's values would not fit, and let none be cut at an edge."""
    log = axes.get_yscale() == "log"
    for line in axes.lines:
        if line.get_gid() == PAPER:
            x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
            low, high = axes.get_ylim()
            below, above = (y.min() / 1.3, y.max() * 1.3) if log else (y.min() - 0.01 * high, y.max() * 1.06)
            axes.set_xlim(right=max(axes.get_xlim()[1], x.max()))
            axes.set_ylim(min(low, below), max(high, above))
            line.set_clip_on(False)


def cross(color: str, **look: Any) -> Line2D:
    """Return the legend entry of the paper's values."""
    return Line2D([], [], color=color, **CROSS | look)


def pair_handles(**look: Any) -> list[Line2D]:
    """Return the legend entries of the small and the large batch."""
    plain: dict[str, Any] = {"markersize": 4} | look
    return [
        Line2D([], [], label=way.label, color=way.color, **{"marker": way.marker} | plain) for way in REGIMES.values()
    ]


def grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels in rows of three, each so many inches high."""
    columns = min(count, PANELS_ACROSS)
    lines = -(-count // PANELS_ACROSS)
    figure = blank(PAGE_WIDTH if count > 1 else COLUMN_WIDTH, 0.4 + (height if count > 1 else 2.6) * lines)
    panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def rows_of(shown: Shown, *, height: float, before: int = 0) -> tuple[Figure, Any]:
    """Return a figure with a row per study and a column per search, after so many further columns."""
    columns = before + max(len(methods_of(rows)) for _, rows in shown)
    figure = blank(PAGE_WIDTH if columns > 1 else COLUMN_WIDTH, 0.5 + height * len(shown))
    panels = figure.subplots(len(shown), columns, squeeze=False)
    for line, (_, rows) in zip(panels, shown, strict=True):
        for axes in line[before + len(methods_of(rows)) :]:
            missing(axes)
    return figure, panels


def columns_of(shown: Shown, *, height: float) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return a figure with two panels per study, one above the other on one axis, in rows of three studies."""
    columns = min(len(shown), PANELS_ACROSS)
    lines = -(-len(shown) // PANELS_ACROSS)
    figure = blank(PAGE_WIDTH if columns > 1 else COLUMN_WIDTH, 0.5 + height * lines)
    panels = figure.subplots(2 * lines, columns, squeeze=False, sharex="col" if lines == 1 else False)
    places = product(range(0, 2 * lines, 2), range(columns))
    pairs = [(panels[line, column], panels[line + 1, column]) for line, column in places]
    for pair in pairs[len(shown) :]:
        for axes in pair:
            axes.remove()
    return figure, pairs[: len(shown)]


def mark_lines() -> list[Line2D]:
    """Return the legend entries of the vertical lines at the batch sizes of the pair."""
    return [Line2D([], [], **MARK, color=look.color, label=look.label) for look in REGIMES.values()]


def missing(axes: Axes) -> None:
    """Say in a panel that its search was not run."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color="0.5")


def outer_label(panels: list[Axes], text: str) -> None:
    """Label the vertical axis of the first panel in each row."""
    for axes in panels[::PANELS_ACROSS]:
        axes.set_ylabel(text)


def legend(figure: Figure, handles: Sequence[Line2D]) -> Legend:
    """Write the legend above the panels in as many columns as fit; no mark of the paper in vain."""
    drawn = {line.get_marker() for axes in figure.axes for line in axes.lines if line.get_gid() == PAPER}
    handles = [handle for handle in handles if handle.get_gid() != PAPER or handle.get_marker() in drawn]
    columns = legend_columns(figure, handles)
    return figure.legend(handles=handles, loc="outside upper left", ncols=columns)


def title(study: StudyResults, shown: Shown = ()) -> str:
    """Return the network with its variant, below it data and epochs; then the study, where others shown are alike."""
    name = f"{study.network} ({study.variant})" if study.variant else study.network
    text = f"{name}\n{', '.join(fact for fact in (study.data, study.epochs) if fact)}"
    return f"{text}\n{study.name}" if any(title(one) == text for one, _ in shown if one is not study) else text


def reading_fact(shown: Shown) -> str:
    """Return the readings of BatchNorm in the panels."""
    names = dict.fromkeys(name for _, rows in shown for name in rows["batch_norm"].unique())
    return f"BatchNorm: {', '.join(BATCH_NORM_NAMES.get(name, name) for name in names)}"


def cross_note(figure: Figure) -> str:
    """Return what crosses are; empty where none is drawn."""
    drawn = {line.get_marker() for axes in figure.axes for line in axes.lines if line.get_gid() == PAPER}
    return "Crosses: the paper's values" if drawn & {"x", "+"} else ""


def panels_footer(figure: Figure, shown: Shown, *notes: str, tables: Sequence[str]) -> None:
    """Write what the figure rests on.

    Args:
        figure: The figure.
        shown: The studies, of which data, epochs and seeds are named, and what was reduced.
        *notes: Sentences; empty ones are skipped.
        tables: Names of the tables that are shown.
    """
    having: dict[str, list[str]] = {}
    for study, _ in shown:
        for sentence in concerning(study.reduced, *tables):
            having.setdefault(sentence, []).append(study.name)
    groups: dict[tuple[str, ...], list[str]] = {}
    for sentence, names in having.items():
        groups.setdefault(tuple(names), []).append(sentence)
    reduced = [
        ". ".join(sentences) if len(names) == len(shown) else f"{', '.join(names)}: {'; '.join(sentences)}"
        for names, sentences in groups.items()
    ]
    write_footer(
        figure, ["; ".join(dict.fromkeys(study.label for study, _ in shown)), *notes, cross_note(figure), *reduced]
    )
