"""Planes of one's own: one on an axis, or several side by side on one scale."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from flatmin.figures.alone import LOSS, canvas, grounds, in_house, note, panels
from flatmin.figures.interactive import surface_page
from flatmin.figures.levels import COLORS, Grid, color_scale, contours_within, own_levels
from flatmin.figures.slices import draw_plane, loss_bar, mark, mark_named, plane_notes
from flatmin.figures.style import COLUMN_WIDTH, PAGE_WIDTH
from flatmin.figures.surfaces import CUT, draw_surface, surface_notes

WIDE = 2.5
"""The ratio of a plane's sides from which its axes have scales of their own."""
NONE: Mapping[str, tuple[float, float]] = {}


@in_house
def plane(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    surface: bool = False,
    limits: tuple[float, float] | None = None,
    title: str = "",
    marks: Mapping[str, tuple[float, float]] | None = None,
    labels: Sequence[str] | None = None,
) -> Axes:
    """Draw a plane as filled contours, or as a surface over them.

    Args:
        frame: ``alpha``, ``beta``, ``loss`` and what holds for all rows.
        ax: Where to draw; for a surface one with ``projection="3d"``.
        surface: Draw a surface.
        limits: Lowest and highest loss of the colours; ``None`` takes those of the plane.
        title: What stands above it.
        marks: Points to mark, by their names.
        labels: Of the two axes.

    Returns:
        The axis.

    Raises:
        ValueError: If the marks are no points, or are to be drawn on a surface, or there are not two labels.
    """
    if labels is not None and (isinstance(labels, str) or len(labels) != 2):
        raise ValueError(f"`labels` must be two texts, one for each axis, got {labels!r}.")
    if surface and marks:
        raise ValueError("`marks` must be left out of a surface, which would hide them; draw a map (surface=False).")
    if not isinstance(marks or {}, Mapping):
        raise ValueError(f"`marks` must be a dict from names to (alpha, beta), got {type(marks).__name__}.")
    places = {name: place_of(name, place) for name, place in (marks or {}).items()}
    levels = scale(frame["loss"], limits, surface=surface)
    ratio = ratio_of(drawable(frame))
    height = min(ratio, 1.5) if 1 / WIDE < ratio < WIDE else 1.0
    ax = canvas(ax, 4.0 if surface else 1.0 + 2.6 * height, solid=surface)
    panel(ax, frame, levels, surface=surface, title=title, marks=places)
    if not surface:
        bar_of([ax], levels)
    if labels is not None:
        ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


@in_house
def plot_side_by_side(
    planes: Iterable[Any],
    *,
    titles: Sequence[str] = (),
    surface: bool = False,
    limits: tuple[float, float] | None = None,
) -> list[Axes]:
    """Draw planes side by side on one scale of colours (and of heights), so that they can be compared.

    Args:
        planes: Results of :func:`flatmin.slice_2d`.
        titles: What stands above each.
        surface: Draw surfaces.
        limits: Lowest and highest loss of the scale; ``None`` takes those of all planes.

    Returns:
        The axes, from left to right.

    Raises:
        TypeError: If what is given is no list of planes, or the titles are one string.
        ValueError: If there is no plane, or the titles are not as many.
    """
    if not isinstance(planes, Iterable):
        raise TypeError(f"`planes` must be a list of planes, got a {type(planes).__name__}; pass [plane].")
    planes = list(planes)
    for each in planes:
        if not {"alpha", "beta"} <= each.rows().keys() if hasattr(each, "rows") else True:
            raise TypeError(
                f"`planes` must hold results of slice_2d, got a {type(each).__name__}; lines share an axis by "
                "line.plot(ax=axis)."
            )
    if isinstance(titles, str):
        raise TypeError(f"`titles` must be a list of strings, got a str; pass [{titles!r}].")
    if not planes:
        raise ValueError("`planes` must hold at least one plane, got none.")
    if titles and len(titles) != len(planes):
        raise ValueError(f"`titles` must be as many as the {len(planes)} planes, got {len(titles)}.")
    frames = [each.to_frame() for each in planes]
    levels = scale(pd.concat([frame["loss"] for frame in frames]), limits, surface=surface)
    width = PAGE_WIDTH / 2 * max(2, len(frames)) if len(frames) > 1 else COLUMN_WIDTH
    axes = panels(len(frames), width, 4.0 if surface else 3.4, solid=surface, compress=not surface)
    for ax, frame, title in zip(axes, frames, titles or [""] * len(frames), strict=True):
        panel(ax, frame, levels, surface=surface, title=title)
    if not surface:
        bar_of(axes, levels)
    return axes


@in_house
def page(frame: pd.DataFrame, *, limits: tuple[float, float] | None = None, title: str = "") -> bytes:
    """A plane as a surface that can be turned, as a page of HTML."""
    levels = scale(frame["loss"], limits, surface=True)
    rows = drawable(frame)
    facts = [*grounds(rows), *surface_notes(rows, levels[-1], unit="", log=levels[0] > 0, floor=False)]
    return surface_page({"": rows}, levels, loss=LOSS, title=title, facts=facts)


def drawable(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells of a plane, each once.

    Raises:
        ValueError: If it is a line.
    """
    rows = frame.drop_duplicates(["alpha", "beta"])
    sides = rows["alpha"].nunique(), rows["beta"].nunique()
    if min(sides) < 2:
        raise ValueError(f"a plane of {sides[0]} x {sides[1]} points is a line; slice it with slice_1d and draw that.")
    return rows


def scale(losses: pd.Series, limits: tuple[float, float] | None, *, surface: bool) -> Grid:
    """Levels of the contours; those of a surface, whose height is linear, end where the house's surfaces do."""
    levels = own_levels(losses, limits)
    if surface and limits is None and levels[0] < CUT < levels[-1]:
        return own_levels(losses, (levels[0], CUT))
    return levels


def panel(
    ax: Axes,
    frame: pd.DataFrame,
    levels: Grid,
    *,
    surface: bool,
    title: str,
    marks: Mapping[str, tuple[float, float]] = NONE,
) -> None:
    """Draw one plane on a given scale, and mark points in it: those given, and the origin."""
    rows = drawable(frame)
    ax.set_title(title)
    if surface:
        ax.patch.set_visible(False)  # it would hide the label of the surface on its left
        draw_surface(ax, rows, levels[0], levels[-1])
        note(ax, [*grounds(rows), *surface_notes(rows, levels[-1], unit="", log=levels[0] > 0)], None)
        return
    draw_plane(ax, rows, levels, contours_within(rows["loss"], levels))
    ax.set(xlabel="α", ylabel="β", aspect="equal" if 1 / WIDE < ratio_of(rows) < WIDE else "auto")
    inside = {name: place for name, place in marks.items() if within(rows, place)}
    mark_named(ax, rows, inside)
    if (0.0, 0.0) not in marks.values() and within(rows, (0.0, 0.0)):
        mark(ax, 0.0, 0.0, "origin")
    outside = ", ".join(name for name in marks if name not in inside)
    beyond = f"Outside the picture: {outside}" if outside else ""
    note(ax, [*grounds(rows), *plane_notes(rows, levels, unit=""), beyond], None)


def bar_of(axes: list[Axes], levels: Grid) -> None:
    """The colour bar of planes, which has the whole scale."""
    colors = ScalarMappable(norm=color_scale(levels[0], levels[-1]), cmap=COLORS)
    loss_bar(axes[0].figure, axes, colors).minorticks_off()


def ratio_of(rows: pd.DataFrame) -> float:
    """The height of a plane as a share of its width."""
    return float(np.ptp(rows["beta"]) / np.ptp(rows["alpha"]))


def place_of(name: str, place: Any) -> tuple[float, float]:
    """Where a mark lies, as two numbers.

    Raises:
        ValueError: If it is no pair of finite numbers.
    """
    try:
        alpha, beta = map(float, place)
    except (TypeError, ValueError):
        alpha = beta = np.nan
    if not np.isfinite([alpha, beta]).all():
        raise ValueError(f"`marks` must give (alpha, beta), two finite numbers, got {place!r} for {name!r}.")
    return alpha, beta


def within(rows: pd.DataFrame, place: tuple[float, float]) -> bool:
    """Whether a point lies in the picture of a plane."""
    return all(rows[name].min() <= x <= rows[name].max() for name, x in zip(("alpha", "beta"), place, strict=True))
