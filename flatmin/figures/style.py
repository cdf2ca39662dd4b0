"""One look for every figure: sizes in inches, a colour and a marker per regime, a dash per split, one footer.

Small batch is dark blue with circles, large batch light orange with squares: the pair is told apart by
colour-blind readers and on a greyscale print; text in a regime's colour uses its darker ink. The remedies have looks of
their own in every figure, other regimes take those of `OTHERS` in turn, and those of a numbered series, such as a
sweep, go from light to dark. Train is solid and test dashed everywhere; of two epsilons the larger is solid and filled.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, cast

import numpy as np
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from flatmin.core.errors import ResultsError
from flatmin.results import Tables
from flatmin.results.words import LOSS, REGIME_NAMES, label_of, number_of, series_of

PAGE_WIDTH = 6.75
COLUMN_WIDTH = 4.5
LINEAR_CEILING = 20.0
_loss = ContextVar("loss", default=LOSS)
LOSS_COLOR = "#2B2B2B"
ACCURACY_COLOR = "#1B7F69"
SEARCH_LOOKS = {"strong": ("#6A3D9A", "o"), "paper": ("#B0813F", "s")}


@dataclass(frozen=True)
class Look:
    """How one regime is drawn."""

    label: str
    color: str
    ink: str
    marker: str


REGIMES = {
    "small_batch": Look(REGIME_NAMES["small_batch"], "#0B4F9E", "#0B4F9E", "o"),
    "large_batch": Look(REGIME_NAMES["large_batch"], "#EE7F2D", "#B84E0B", "s"),
}
REMEDY_LOOKS = {
    "small_batch_augmented": ("#56B4E9", "^"),
    "large_batch_augmented": ("#C23B75", "D"),
    "conservative": ("#1B7F69", "v"),
    "robust": ("#8C6BB1", "X"),
    "adversarial": ("#B08A00", "P"),
    "stability": ("#5B5B5B", "<"),
}
BLACK = "#111111"
OTHERS = (
    ("#7F3B08", ">"),
    (BLACK, "*"),
    ("#2CA05A", "h"),
    ("#D64F4F", "p"),
    ("#3B6FB5", "8"),
    ("#9A8F00", "d"),
)
LINES = (
    (LOSS_COLOR, "o"),
    *((look.color, look.marker) for look in REGIMES.values()),
    *(look for look in OTHERS if look[0] != BLACK),
)
"""How the lines of one axis are drawn in turn; of near-blacks there is one."""
SERIES = "crest"
SERIES_MARKERS = "osD^vP<>X"
DASHES: dict[str, Any] = {"train": "-", "test": "--"}
P = ParamSpec("P")


def settings() -> dict[str, Any]:
    """Return the matplotlib settings of the house style: seaborn's paper context with 8 point text."""
    return {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper"),
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "axes.formatter.min_exponent": 4,
        "axes.prop_cycle": cycler(color=[color for color, _ in LINES]),
        "legend.fontsize": 7.5,
        "legend.title_fontsize": 7.5,
        "legend.frameon": False,
        "legend.handlelength": 2.2,
        "legend.columnspacing": 1.4,
        "figure.titlesize": 9.5,
        "figure.titleweight": "bold",
        "lines.linewidth": 1.6,
        "hatch.linewidth": 0.5,
        "pdf.fonttype": 42,
        "savefig.dpi": 200,
    }


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the house style, leaving the user's own settings as they were."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        name = next((found.provenance.get("loss") for found in args if isinstance(found, Tables)), None)
        with house_style(), loss_called(plain(name or LOSS)):
            return draw(*args, **kwargs)

    return wrapper


def plain(text: str) -> str:
    r"""Return a text of the user's own so that its dollars are no formula.

    Example:
        >>> print(plain("my$loss"))
        my\$loss
    """
    return text.replace("$", r"\$")


@contextmanager
def loss_called(name: str) -> Iterator[None]:
    """Within it, losses are called by this name, unit included."""
    token = _loss.set(name)
    try:
        yield
    finally:
        _loss.reset(token)


def loss_name() -> str:
    """Return what the losses of the figure at hand are, with their unit."""
    return _loss.get()


def loss_unit(name: str | None = None) -> str:
    """Return the unit of a loss, of those of the figure at hand unless named; empty for a loss of the user's own."""
    return "nat" if (name or loss_name()) == LOSS else ""


def house_style() -> AbstractContextManager[None]:
    """Return a context with matplotlib's defaults and the house settings over them, whatever the user has set.

    Example:
        >>> from matplotlib import rcParams
        >>> with house_style():
        ...     rcParams["savefig.dpi"]
        200.0
    """
    return cast(AbstractContextManager[None], style.context(["default", settings()]))


def select(frame: pd.DataFrame, table: str, **where: Hashable) -> pd.DataFrame:
    """Return the rows of a tidy table that match every column value given.

    Args:
        frame: The table.
        table: Its name, for the message.
        **where: Column name to value.

    Returns:
        The matching rows, in the table's order.

    Raises:
        ResultsError: If no row matches.
    """
    keep = np.ones(len(frame), dtype=bool)
    for column, value in where.items():
        keep &= (frame[column] == value).to_numpy(dtype=bool)
    if not keep.any():
        asked = ", ".join(f"{column} {value!r}" for column, value in where.items())
        raise ResultsError(f"the table `{table}` has no row with {asked}; it has {len(frame)} rows.")
    return frame[keep]


def regimes_of(rows: pd.DataFrame) -> list[str]:
    """Return the regimes that occur in the rows: the pair, small before large, the remedies, others, series by number.

    Example:
        >>> regimes_of(pd.DataFrame({"regime": ["sweep_1395", "sweep_356", "large_batch", "small_batch"]}))
        ['small_batch', 'large_batch', 'sweep_356', 'sweep_1395']
    """
    present = list(dict.fromkeys(rows["regime"]))
    known = [regime for regime in (*REGIMES, *REMEDY_LOOKS) if regime in present]
    single = [regime for regime in present if regime not in known and not series_of(regime)]
    numbered = []
    for name in dict.fromkeys(filter(None, map(series_of, present))):
        numbered += sorted((regime for regime in present if series_of(regime) == name), key=number_of)
    return [*known, *single, *numbered]


def looks_of(regimes: Sequence[str]) -> dict[str, Look]:
    """Return how each of the regimes is drawn beside the others, whatever their names.

    Args:
        regimes: Names of regimes that share a figure.

    Returns:
        The looks by name; the small and the large batch and each remedy look the same in every figure.
    """
    found = {regime: REGIMES[regime] for regime in regimes if regime in REGIMES}
    free = iter(OTHERS * (1 + len(regimes) // len(OTHERS)))
    for regime in regimes:
        if regime not in REGIMES and not series_of(regime):
            color, marker = REMEDY_LOOKS[regime] if regime in REMEDY_LOOKS else next(free)
            found[regime] = Look(label_of(regime), color, color, marker)
    for name in dict.fromkeys(filter(None, map(series_of, regimes))):
        members = sorted((regime for regime in regimes if series_of(regime) == name), key=number_of)
        for place, regime in enumerate(members):
            color = sns.color_palette(SERIES, len(members)).as_hex()[place]
            found[regime] = Look(label_of(regime), color, color, SERIES_MARKERS[place % len(SERIES_MARKERS)])
    return found


def epsilon_strokes(epsilons: Iterable[float]) -> dict[float, dict[str, Any]]:
    """Return how lines of each epsilon are drawn: the largest solid with full markers, smaller ones with open ones."""
    dashes: list[Any] = ["-", "--", ":", "-."]
    ordered = sorted(set(epsilons), reverse=True)
    return {
        epsilon: {"linestyle": dashes[place % 4], **({"markerfacecolor": "white"} if place else {})}
        for place, epsilon in enumerate(ordered)
    }


def blank(width: float, height: float, *, right: float = 1.0, compress: bool = False) -> Figure:
    """Return an empty figure that lays itself out.

    Args:
        width: In inches.
        height: In inches, the footer not counted.
        right: Share of the width that the panels may use, for labels the layout does not know of.
        compress: Pull panels of a fixed aspect together.

    Returns:
        The figure.
    """
    engine = ConstrainedLayoutEngine(h_pad=0.06, rect=(0, 0, right, 1), compress=compress)
    return Figure(figsize=(width, height), layout=engine)


def few_log_ticks(axis: Axis, *, crowded: float, most: int = 4, whole: bool = False) -> None:
    """Label a logarithmic axis at 1, 2, 5, 10, ... with numbers in full, at 1, 3, 10, ..., or at powers of ten.

    Where that leaves fewer than two labels, they lie in equal steps. An axis on which nothing is drawn has none.

    Args:
        axis: The axis, with what is drawn in it and its limits.
        crowded: The ratio of its ends from which labels get fewer; from ten times that, fewer still.
        most: So many decades have a label each; of more every other, or fewer.
        whole: Of what there are only whole numbers, so that nothing between them has a label.
    """
    low, high = sorted(axis.get_view_interval())
    if not 0 < low <= high < np.inf:
        axis.set_major_locator(NullLocator())
        axis.set_minor_locator(NullLocator())
        return
    steps = (1, 2, 5) if high < crowded * low else (1, 3) if high < 10 * crowded * low else (1,)
    axis.set_major_locator(LogLocator(10, subs=steps, numticks=most))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_tick(value)))
    shown = [place for place in axis.get_majorticklocs() if low <= place <= high]
    if len(shown) < 2 or (whole and any(place % 1 for place in shown)):
        axis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10), integer=whole))


def plain_tick(value: float) -> str:
    """Return a tick's number in full, or as a power of ten where that takes too much room.

    Example:
        >>> plain_tick(0.0), plain_tick(0.5), plain_tick(20000.0), plain_tick(1e6)
        ('0', '0.5', '20,000', '$10^{6}$')
    """
    if value == 0 or 1e-4 < value < 1e5:
        return f"{value:,.12g}"
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    factor = "" if mantissa == "1" else rf"{mantissa}\times"
    return f"${factor}10^{{{int(exponent)}}}$"


def splits_of(rows: pd.DataFrame) -> list[str]:
    """Return the splits that occur in the rows, train first."""
    return [split for split in DASHES if split in set(rows["split"])]


def finite_losses(losses: "pd.Series[float]") -> "pd.Series[float]":
    """Return the finite losses.

    Raises:
        ResultsError: If there are none.
    """
    finite = losses[np.isfinite(losses)]
    if finite.empty:
        raise ResultsError(f"none of the {len(losses):,} loss values is finite, so there is nothing to draw.")
    return finite


def loss_axis(axes: Axes, losses: "pd.Series[float]") -> None:
    """Scale a vertical loss axis so that a basin at zero and a high wall are both seen, and label it.

    Up to 20 nats the axis is linear, as in the paper, whose losses end at 16.1. Beyond that it is linear
    below one nat and logarithmic above, which the label says.

    Args:
        axes: The axes to scale.
        losses: The losses drawn in them.

    Raises:
        ResultsError: If no loss is finite.
    """
    highest = finite_losses(losses).max() or 1.0
    if highest > LINEAR_CEILING:
        axes.set_yscale("symlog", linthresh=1.0, linscale=1.0)
        axes.set_ylim(-0.05, highest * 1.6)
        axes.set_ylabel(f"{loss_name()}, log above 1")
    else:
        axes.set_ylim(-0.03 * highest, 1.06 * highest)
        axes.set_ylabel(loss_name())
