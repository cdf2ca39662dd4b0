"""Animations: what each frame shows, and what the page holds, read back from both."""

import io
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from flatmin.figures.animations import GIF_DPI, Arrow, Motion, Track, animation_written, gif, page

FRAMES = 5
X, Y = np.linspace(1, 9, FRAMES), np.linspace(8, 2, FRAMES)


def motion(*, places=None, title="<Points> & ways") -> Motion:
    """A red point on a way, and an arrow that is too short in the first frame, in a panel from 0 to 10."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 10), ylim=(0, 10))
    figure.suptitle(title, x=0.01, ha="left")
    tails = np.column_stack([X, np.full(FRAMES, 0.5)])
    heads = tails + np.column_stack([np.linspace(0, 3, FRAMES), np.zeros(FRAMES)])
    track = Track(axes, X if places is None else places, Y, "#ff0000")
    return Motion(figure, [f"step {i}" for i in range(FRAMES)], [track], [Arrow(axes, tails, heads, "#0000ff")])


def frames_of(content: bytes) -> list[np.ndarray]:
    picture, frames = Image.open(io.BytesIO(content)), []
    for index in range(picture.n_frames):
        picture.seek(index)
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
    return frames


def reddest(frame: np.ndarray) -> np.ndarray:
    """The middle of the largest thing that is purely red: rows weigh as many as they have."""
    red = (frame == [255, 0, 0]).all(-1)
    rows, columns = np.nonzero(red)
    around = [red[max(r - 3, 0) : r + 4, max(c - 3, 0) : c + 4] for r, c in zip(rows, columns, strict=True)]
    near = np.array([part.sum() for part in around])
    best = near == near.max()
    return np.array([columns[best].mean(), rows[best].mean()])


def held(content: bytes) -> dict:
    return json.loads(re.search(r"const moved = (\{.*\});", content.decode())[1])


def panel(of: Motion) -> np.ndarray:
    """Left, bottom, width and height of the panel, as shares of the figure."""
    return np.array(of.figure.axes[0].get_position().bounds)


def test_the_point_of_each_frame_is_at_its_place():
    of = motion()
    frames = frames_of(gif(of))
    height, width, _ = frames[0].shape
    assert (width, height) == (4 * GIF_DPI, 3 * GIF_DPI) and len(frames) == FRAMES
    left, bottom, wide, high = panel(of)
    for frame, x, y in zip(frames, X, Y, strict=True):
        expected = [(left + wide * x / 10) * width, (1 - bottom - high * y / 10) * height]
        assert reddest(frame) == pytest.approx(expected, abs=1.5)


def test_the_way_grows_and_the_arrow_is_left_out_where_it_has_no_length():
    frames = frames_of(gif(motion()))
    red = [(frame == [255, 0, 0]).all(-1).sum() for frame in frames]
    blue = [(frame == [0, 0, 255]).all(-1).sum() for frame in frames]
    assert red == sorted(red) and red[-1] > 2 * red[0]
    assert blue[0] == 0 and blue[-1] > blue[1] > 0


def test_a_gif_begins_again_and_waits_at_its_end():
    picture = Image.open(io.BytesIO(gif(motion())))
    times = []
    for index in range(FRAMES):
        picture.seek(index)
        times.append(picture.info["duration"])
    assert picture.info["loop"] == 0 and times[-1] > 10 * times[0] > 0


def test_a_page_holds_each_place_in_its_own_pixels_and_loads_nothing():
    of = motion()
    content = page(of)
    moved, text = held(content), content.decode()
    width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    left, bottom, wide, high = panel(of)
    expected = np.column_stack([(left + wide * X / 10) * width, (1 - bottom - high * Y / 10) * height])
    assert np.array(moved["tracks"][0]["places"]) == pytest.approx(expected, abs=0.1)
    assert np.array(moved["boxes"][0]) == pytest.approx(
        [left * width, (1 - bottom - high) * height, wide * width, high * height], abs=0.1
    )
    assert moved["captions"][-1] == "step 4" and len(moved["arrows"][0]["heads"]) == FRAMES
    assert "<title>&lt;Points&gt; &amp; ways</title>" in text and "@" not in re.sub(r"base64,[^\"]*", "", text)
    assert set(re.findall(r"https?://[^\"' ]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|link|img)[^>]* (src|href)=", text)


def test_a_place_that_is_not_a_number_is_no_point():
    places = np.where(np.arange(FRAMES) < 2, X, np.nan)
    of = motion(places=places)
    assert held(page(of))["tracks"][0]["places"][2:] == [None] * 3
    red = [(frame == [255, 0, 0]).all(-1).sum() for frame in frames_of(gif(of))]
    assert red[1] > red[0] > 0 and red[-1] < red[1]


def test_equal_motions_give_equal_files_and_the_figure_stays_as_it_was(tmp_path):
    of = motion()
    first = {path.name: path.read_bytes() for path in animation_written(tmp_path / "a", "way", of)}
    assert {path.name: path.read_bytes() for path in animation_written(tmp_path / "b", "way", motion())} == first
    assert {path.name: path.read_bytes() for path in animation_written(tmp_path / "c", "way", of)} == first
    assert set(first) == {"way.gif", "way.html"} and not of.figure.axes[0].lines and not of.figure.axes[0].texts


@pytest.mark.parametrize(
    ("captions", "message"),
    [([], "`captions` must have one for each frame, got none"), (["one"], "a place in each of 1 frames, got 5")],
)
def test_what_moves_has_a_place_in_each_frame(captions, message):
    of = motion()
    with pytest.raises(ValueError, match=message):
        Motion(of.figure, captions, of.tracks)
