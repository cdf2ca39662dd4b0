"""What drawings of single results share: the axis, the house style, and the small letters below.

They draw the tables that results give of themselves (`to_frame`), on the user's own axis or in a figure of pyplot,
which notebooks and ``plt.show()`` know of.
"""

import textwrap
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from mpl_toolkits.mplot3d.axes3d import Axes3D

from flatmin.figures.captions import FACTS_PER_INCH, batch_norm_fact
from flatmin.figures.style import COLUMN_WIDTH, house_style, loss_called
from flatmin.results.words import span

LOSS = "loss"
NOTE = "flatmin-note"
BELOW_LABEL = -31

P = ParamSpec("P")
R = TypeVar("R")


def in_house(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw under the house style, with losses that are nothing but losses, and leave the user's settings alone."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with house_style(), loss_called(LOSS):
            return draw(*args, **kwargs)

    return wrapper


def canvas(ax: Axes | None, height: float, *, title: str = "", solid: bool = False) -> Axes:
    """The axis that was given, or one in a new figure of pyplot; a title it has stays unless there is a new one.

    Raises:
        ValueError: If a surface is to be drawn on an axis of two dimensions, or the reverse.
    """
    if ax is None:
        ax = panels(1, COLUMN_WIDTH, height, solid=solid)[0]
    elif isinstance(ax, Axes3D) != solid:
        need = "one made with projection='3d'" if solid else "one of two dimensions"
        raise ValueError(f"`ax` must be {need} for this picture, got {type(ax).__name__}.")
    if title:
        ax.set_title(title)
    return ax


def panels(count: int, width: float, height: float, *, solid: bool = False, compress: bool = False) -> list[Axes]:
    """Axes side by side in a new figure of pyplot, with ticks that keep the style when the figure is drawn later.

    Args:
        count: How many.
        width: Of the figure, in inches.
        height: Of it.
        solid: Of three dimensions.
        compress: Pull panels of a fixed aspect together.
    """
    from matplotlib import pyplot

    kind: dict[str, Any] = {"projection": "3d"} if solid else {}
    engine = ConstrainedLayoutEngine(h_pad=0.06, rect=(0, 0, 0.95 if solid else 1, 1), compress=compress)
    figure = pyplot.figure(figsize=(width, height), layout=engine)
    grid = figure.subplots(1, count, squeeze=False, subplot_kw=kind)
    for axes in grid[0]:
        axes.tick_params(labelsize=rcParams["xtick.labelsize"], width=rcParams["xtick.major.width"])
    return list(grid[0])


def grounds(rows: pd.DataFrame) -> list[str]:
    """What the losses were taken on."""
    known = rows.dropna(subset=["batch_norm"])
    examples = rows["examples"].dropna()
    return [batch_norm_fact(known) if len(known) else "", span(examples, "example") if len(examples) else ""]


def note(ax: Axes, facts: Iterable[str], label: str | None) -> None:
    """Write small below an axis what is drawn on it; what is there already is kept."""
    said = [fact.rstrip(".") for fact in facts if fact]
    if not said:
        return
    text = "; ".join([said[0], *map(within_a_sentence, said[1:])])
    inches = ax.get_position().width * ax.figure.get_figwidth()  # type: ignore[union-attr]
    lines = textwrap.fill(f"{label}: {text}." if label else f"{text}.", int(FACTS_PER_INCH * inches))
    for there in ax.texts:
        if there.get_gid() == NOTE:
            if lines not in there.get_text():
                there.set_text(f"{there.get_text()}\n{lines}")
            return
    small: dict[str, Any] = {"fontsize": 6, "color": "0.35", "va": "top", "ha": "left", "gid": NOTE}
    if isinstance(ax, Axes3D):
        ax.text2D(0.0, -0.02, lines, transform=ax.transAxes, **small)
    else:
        ax.annotate(
            lines, (0, 0), xycoords="axes fraction", xytext=(0, BELOW_LABEL), textcoords="offset points", **small
        )


def within_a_sentence(fact: str) -> str:
    """The fact with a small first letter, unless its first word is a name.

    Example:
        >>> within_a_sentence("White line: loss 1"), within_a_sentence("BatchNorm: running averages")
        ('white line: loss 1', 'BatchNorm: running averages')
    """
    first = fact.split(" ")[0]
    return fact[:1].lower() + fact[1:] if first == first.capitalize() else fact
