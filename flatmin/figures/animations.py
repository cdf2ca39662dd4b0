"""Figures in which points move: a GIF for a talk, and a page of HTML with a slider that needs nothing else.

Both show one still figure with what moves drawn over it, so they have the still one's fonts, units and colours. In the
page the still part is a picture, and the rest is lines, sharp at any size.
"""

import html
import io
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from flatmin.core.atomic import write_files
from flatmin.figures.style import house_style

GIF_DPI, PAGE_DPI = 100, 200
COLORS = 128
FRAME, HOLD = 80, 1500
"""Milliseconds of a frame, and of the last one."""
SHORTEST = 1.5
"""Pixels below which an arrow is not drawn."""
TEMPLATE = Path(__file__).with_name("animation.html")
Places = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """A point that moves.

    Args:
        axes: Where it is drawn.
        x: Its place in each frame; where it is not a number, the point is not drawn.
        y: Likewise.
        color: Of both.
        way: Whether the way behind it is drawn.
        dots: Whether each place on the way is marked.
        size: Diameter of the point, in points; a larger one is seen below a smaller one.
    """

    axes: Axes
    x: ArrayLike
    y: ArrayLike
    color: str
    way: bool = True
    dots: bool = False
    size: float = 9.0

    @cached_property
    def places(self) -> Places:
        """Both, (frames, 2)."""
        return np.column_stack([np.asarray(self.x, dtype=float), np.asarray(self.y, dtype=float)])


@dataclass(frozen=True, eq=False)
class Arrow:
    """An arrow that moves.

    Args:
        axes: Where it is drawn.
        tails: Where it begins in each frame, (frames, 2).
        heads: Where it ends.
        color: Of it.
        dashed: Whether its line is dashed.
    """

    axes: Axes
    tails: ArrayLike
    heads: ArrayLike
    color: str
    dashed: bool = False


@dataclass(frozen=True, eq=False)
class Motion:
    """A still figure and what moves over it.

    Args:
        figure: What stays.
        captions: What is said in each frame, at the upper right of the picture.
        tracks: Points; each has a place for every frame.
        arrows: Likewise.
        frame: Milliseconds of a frame.

    Raises:
        ValueError: If there is no frame, or something that moves has not as many places as there are frames.
    """

    figure: Figure
    captions: Sequence[str]
    tracks: Sequence[Track]
    arrows: Sequence[Arrow] = field(default_factory=tuple)
    frame: int = FRAME

    def __post_init__(self) -> None:
        if not self.captions:
            raise ValueError("`captions` must have one for each frame, got none.")
        counts = [len(track.places) for track in self.tracks]
        counts += [len(np.asarray(ends)) for arrow in self.arrows for ends in (arrow.tails, arrow.heads)]
        for count in counts:
            if count != len(self.captions):
                raise ValueError(f"what moves must have a place in each of {len(self.captions)} frames, got {count}.")


def animation_written(out: Path, name: str, motion: Motion) -> list[Path]:
    """Write a motion as GIF and HTML, and return the files.

    Args:
        out: Folder to write to; made if absent.
        name: Of the files.
        motion: What moves.
    """
    files = {f"{name}.gif": gif(motion), f"{name}.html": page(motion)}
    write_files(out, files)
    return [out / file for file in files]


def steps_shown(steps: int, most: int) -> NDArray[np.int64]:
    """Which of so many steps are the frames: all, or the first ones and then some spread evenly, the last among them.

    Example:
        >>> steps_shown(4, 10).tolist(), steps_shown(100, 6).tolist()
        ([0, 1, 2, 3], [0, 1, 2, 3, 51, 99])
    """
    if steps <= most:
        return np.arange(steps)
    close = most // 2
    return np.append(np.arange(close), np.linspace(close, steps - 1, most - close).round().astype(np.int64))


def pictures(motion: Motion) -> Iterator[Image.Image]:
    """Yield the frames one after the other."""
    with laid_out(motion.figure, GIF_DPI) as canvas:
        figure = motion.figure
        still = canvas.copy_from_bbox(figure.bbox)
        caption = figure.text(0.988, 0.985, "", ha="right", va="top", fontsize=8)
        lines = [(track, *(_line(track, way) for way in (True, False))) for track in motion.tracks]
        arrows = [(arrow, *_arrow(arrow)) for arrow in motion.arrows]
        try:
            for index, text in enumerate(motion.captions):
                canvas.restore_region(still)
                for track, way, dot in lines:
                    way.set_data(*track.places[: index + 1].T)
                    dot.set_data(*track.places[index : index + 1].T)
                    if track.way:
                        track.axes.draw_artist(way)
                    track.axes.draw_artist(dot)
                for arrow, tails, heads, shown in arrows:
                    shown.set_position(tails[index])
                    shown.xy = heads[index]
                    across, up = np.diff(arrow.axes.transData.transform([tails[index], heads[index]]), axis=0)[0]
                    if np.hypot(across, up) >= SHORTEST:
                        arrow.axes.draw_artist(shown)
                caption.set_text(text)
                figure.draw_artist(caption)
                yield Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        finally:
            for artist in (caption, *(one for _, *pair in lines for one in pair), *(one for *_, one in arrows)):
                artist.remove()


def gif(motion: Motion) -> bytes:
    """The motion as a GIF that begins again after its end; equal motions give equal bytes."""
    frames = [*pictures(motion)]
    palette = palette_of(motion, frames[-1])
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    stream, times = io.BytesIO(), [motion.frame] * (len(frames) - 1) + [HOLD]
    first.save(stream, "GIF", save_all=True, append_images=others, duration=times, loop=0)
    return stream.getvalue()


def palette_of(motion: Motion, frame: Image.Image) -> Image.Image:
    """A picture with the colours of a frame, white, and exactly those of what moves."""
    exact = ["white", *(track.color for track in motion.tracks), *(arrow.color for arrow in motion.arrows)]
    found = frame.quantize(COLORS).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*found, *(round(255 * part) for color in exact for part in to_rgb(color))])
    return palette


def page(motion: Motion) -> bytes:
    """The motion as a page of HTML with a slider and a button; it loads nothing."""
    with laid_out(motion.figure, PAGE_DPI) as canvas:
        still, (width, height) = io.BytesIO(), canvas.get_width_height()
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(still, "PNG", optimize=True)
        places = [axes for axes in motion.figure.axes]

        def pixels(axes: Axes, points: ArrayLike) -> list[list[float] | None]:
            found = axes.transData.transform(np.asarray(points, dtype=float))
            found[:, 1] = height - found[:, 1]
            return [row if np.isfinite(row).all() else None for row in found.round(1).tolist()]

        moved: dict[str, Any] = {
            "captions": list(motion.captions),
            "frame": motion.frame,
            "hold": HOLD,
            "shortest": SHORTEST * PAGE_DPI / GIF_DPI,
            "boxes": [[box.x0, height - box.y1, box.width, box.height] for box in (axes.bbox for axes in places)],
            "tracks": [
                {
                    "axes": places.index(track.axes),
                    "color": track.color,
                    "way": track.way,
                    "dots": track.dots,
                    "size": track.size * PAGE_DPI / 72,
                    "places": pixels(track.axes, track.places),
                }
                for track in motion.tracks
            ],
            "arrows": [
                {
                    "axes": places.index(arrow.axes),
                    "color": arrow.color,
                    "dashed": arrow.dashed,
                    "tails": pixels(arrow.axes, arrow.tails),
                    "heads": pixels(arrow.axes, arrow.heads),
                }
                for arrow in motion.arrows
            ],
        }
    title = motion.figure.get_suptitle() or "Animation"
    parts = {
        "TITLE": html.escape(title),
        "WIDTH": str(width),
        "HEIGHT": str(height),
        "POINT": f"{PAGE_DPI / 72:.4f}",
        "STILL": b64encode(still.getvalue()).decode(),
        "MOVED": json.dumps(moved, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


@contextmanager
def laid_out(figure: Figure, dpi: float) -> Iterator[Any]:
    """The canvas of a figure that is drawn once, and whose panels stay where they then are."""
    with house_style():
        figure.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        figure.set_layout_engine("none")
        canvas.draw()
        yield canvas


def _line(track: Track, way: bool) -> Any:
    """The way of a track, or the point at its end."""
    stroke: dict[str, Any] = {"linewidth": track.size / 7, "marker": "o" if track.dots else None, "markersize": 2.6}
    point = {"marker": "o", "markersize": track.size, "markeredgecolor": "white", "zorder": 8}
    (line,) = track.axes.plot([], [], color=track.color, **(stroke if way else point), scalex=False, scaley=False)
    return line


def _arrow(arrow: Arrow) -> tuple[Places, Places, Any]:
    """Its ends, and what draws it."""
    look: dict[str, Any] = {"arrowstyle": "-|>", "color": arrow.color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    look |= {"linestyle": (0, (2, 1)) if arrow.dashed else "-", "mutation_scale": 8}
    shown = arrow.axes.annotate("", (0, 0), (0, 0), arrowprops=look, annotation_clip=False)
    return np.asarray(arrow.tails, dtype=float), np.asarray(arrow.heads, dtype=float), shown
