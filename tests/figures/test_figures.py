"""Every figure function: what it draws equals the table, from the table alone."""

from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from mpl_toolkits.mplot3d.axes3d import Axes3D
from scipy.special import stdtrit

from flatmin.core.errors import ResultsError
from flatmin.figures import (
    path,
    random_line,
    random_plane,
    random_surface,
    sharpness_figure,
    three_point_plane,
    training_curves,
)
from flatmin.figures.levels import log_levels
from flatmin.figures.slices import plane_grid
from flatmin.figures.style import REGIMES
from flatmin.results import Tables

RUN = {"network": "F1", "data": "digits"}
SLICE = RUN | {"batch_norm": "running"}
DRAWS = [
    (training_curves, RUN, "curves"),
    (path, SLICE, "lines"),
    (random_line, SLICE, "lines"),
    (random_plane, SLICE, "planes"),
    (random_surface, SLICE, "planes"),
    (three_point_plane, SLICE, "planes"),
    (sharpness_figure, RUN, "sharpness"),
]
NAMES = [draw.__name__ for draw, _, _ in DRAWS]


def drawn(axes, y, *, thick: bool):
    """The colours of the thick or thin lines whose heights are `y`."""
    lines = [line for line in axes.lines if (line.get_linewidth() > 1) == thick]
    return [to_hex(line.get_color()) for line in lines if np.array_equal(line.get_ydata(), y, equal_nan=True)]


def footer_of(figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def panels(figure):
    """The axes without the colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def laid_out(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def changed(tables: Tables, **frames: pd.DataFrame) -> Tables:
    return Tables(**(tables.frames | frames), provenance=tables.provenance)


def test_training_curves_are_the_means_in_the_band_of_the_seeds(tables):
    figure = training_curves(tables, **RUN)
    curves = tables.curves.assign(error=100 * (1 - tables.curves["accuracy"]))
    for axes, quantity in zip(figure.axes, ("error", "loss"), strict=True):
        seeds = curves.groupby(["regime", "split", "epoch"])[quantity]
        assert axes.get_yscale() == "log"
        for regime, look in REGIMES.items():
            mean = seeds.mean()[regime, "test"].to_numpy()
            match = [line for line in axes.lines if np.allclose(line.get_ydata(), mean, rtol=1e-12)]
            assert [(to_hex(line.get_color()).upper(), line.get_linestyle()) for line in match] == [(look.color, "--")]
        bands = [band.get_paths()[0].vertices[:, 1] for band in axes.collections]
        low, high = (seeds.agg(end)["large_batch", "test"] for end in ("min", "max"))
        assert any(np.isclose(b.min(), low.min()) and np.isclose(b.max(), high.max()) for b in bands)
    assert "Line: mean over 3 seeds, band: lowest to highest seed." in footer_of(figure)


def test_running_averages_are_thin_lines_where_they_differ(tables):
    curves = tables.curves.assign(running_loss=2 * tables.curves["loss"], running_accuracy=tables.curves["accuracy"])
    figure = training_curves(changed(tables, curves=curves), **RUN)
    error, loss = figure.axes
    mean = 2 * tables.curves.groupby(["regime", "split", "epoch"])["loss"].mean()["small_batch", "train"]
    assert any(np.allclose(line.get_ydata(), mean) for line in loss.lines if line.get_linewidth() < 1)
    assert not any(line.get_linewidth() < 1 for line in error.lines)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["batch statistics", "running averages"]
    assert "batch statistics, thin lines with its running averages." in footer_of(figure)


def test_losses_of_zero_are_below_the_logarithmic_axis_and_counted(tables):
    curves = tables.curves.assign(loss=tables.curves["loss"].where(tables.curves["epoch"] < 40, 0.0))
    figure = training_curves(changed(tables, curves=curves), **RUN)
    assert "12 of 492 loss values zero, below the axis" in footer_of(figure)
    assert figure.axes[1].get_ylim()[0] > 0


@pytest.mark.parametrize("kind", ["linear", "curved"])
def test_path_draws_every_seed_and_the_median(tables, kind):
    figure = path(tables, **SLICE, kind=kind)
    rows = tables.lines[(tables.lines["kind"] == kind) & (tables.lines["batch_norm"] == "running")]
    for axes, quantity, factor in zip(figure.axes, ("loss", "accuracy"), (1, 100), strict=True):
        for split in ("train", "test"):
            seeds = rows[rows["split"] == split].pivot(index="alpha", columns="seed", values=quantity) * factor
            assert all(drawn(axes, seeds[seed], thick=False) for seed in seeds)
            assert drawn(axes, seeds.median(axis=1), thick=True)
    assert {text.get_text() for text in figure.axes[0].texts} == {"small batch", "large batch"}
    assert "Thin: single seeds, thick: the median over 3 seeds." in footer_of(figure)


def test_high_wall_gets_a_logarithmic_axis_that_says_so(tables):
    lines = tables.lines.assign(loss=3 * tables.lines["loss"])
    figure = path(changed(tables, lines=lines), **SLICE)
    assert figure.axes[0].get_yscale() == "symlog"
    assert figure.axes[0].get_ylabel() == "cross-entropy (nats), log above 1"
    assert path(tables, **SLICE).axes[0].get_yscale() == "linear"


def test_random_line_gives_both_minima_one_axis(tables):
    figure = random_line(tables, **SLICE)
    rows = tables.lines[(tables.lines["kind"] == "random") & (tables.lines["batch_norm"] == "running")]
    for axes, quantity, factor in zip(figure.axes, ("loss", "accuracy"), (1, 100), strict=True):
        for regime, look in REGIMES.items():
            same = (rows["regime"] == regime) & (rows["split"] == "train")
            seeds = factor * rows[same].pivot(index="alpha", columns="seed", values=quantity)
            assert {color.upper() for color in drawn(axes, seeds.median(axis=1), thick=True)} == {look.color}


def test_non_finite_losses_are_gaps_and_counted(tables):
    hit = (tables.lines["kind"] == "random") & (tables.lines["alpha"] > 0.9) & (tables.lines["split"] == "train")
    lines = tables.lines.assign(loss=tables.lines["loss"].where(~hit, np.inf))
    figure = random_line(changed(tables, lines=lines), **SLICE)
    assert "12 of 300 loss values not finite, gaps in the lines." in footer_of(figure)
    assert all(np.isfinite(figure.axes[0].get_ylim()))
    gaps = [np.isnan(line.get_ydata()).sum() for line in figure.axes[0].lines if len(line.get_ydata()) == 25]
    assert sum(gaps) == 16  # two points of three seeds and their median, in two regimes


@pytest.mark.parametrize(("draw", "known"), [(random_plane, "White line: 1 nat"), (random_surface, "cut at 10 nats")])
def test_only_a_cross_entropy_is_said_to_be_in_nats(draw, known, tables, monkeypatch):
    assert known in footer_of(draw(tables, **SLICE))
    monkeypatch.setitem(tables.provenance, "loss", "smoothed")
    assert " nat" not in footer_of(draw(tables, **SLICE))


def test_plane_cells_are_the_table_and_lost_cells_are_hatched(tables):
    figure = random_plane(tables, **SLICE)
    rows = tables.planes[(tables.planes["kind"] == "random") & (tables.planes["batch_norm"] == "running")]
    levels = log_levels(rows["loss"])
    small, large = panels(figure)
    mesh = next(item for item in large.collections if isinstance(item, QuadMesh))
    _, _, losses = plane_grid(rows[rows["regime"] == "large_batch"])
    shown = np.ma.getdata(mesh.get_array()).reshape(losses.shape)
    finite = np.isfinite(losses)
    np.testing.assert_array_equal(np.ma.getmaskarray(mesh.get_array()).reshape(losses.shape), ~finite)
    np.testing.assert_allclose(shown[finite], losses[finite], rtol=1e-12)
    hatched = [patch for patch in large.patches if patch.get_hatch()]
    corners = losses[-2:, -2:]
    assert not np.isfinite(corners).any()
    assert len(hatched) == corners.size == (~finite).sum()
    assert all(min(*patch.get_xy()) > 0.6 for patch in hatched)
    assert not any(patch.get_hatch() for patch in small.patches)
    assert "4 of 162 cells not finite, hatched." in footer_of(figure)
    filled = [item for axes in (small, large) for item in axes.collections if getattr(item, "filled", False)]
    assert [(item.norm.vmin, item.norm.vmax) for item in filled] == [(levels[0], levels[-1])] * 2


def test_grid_of_a_lopsided_plane_keeps_alpha_across_and_beta_up():
    cells = [(a, b, 10 * a + b) for a in (0.0, 1.0, 2.0) for b in (0.0, 1.0)]
    alphas, betas, losses = plane_grid(pd.DataFrame(cells, columns=["alpha", "beta", "loss"]).sample(frac=1))
    assert (alphas.tolist(), betas.tolist()) == ([0, 1, 2], [0, 1])
    assert losses.tolist() == [[0, 10, 20], [1, 11, 21]]


def test_surface_heights_are_the_table_cut_at_the_top_with_holes(tables, monkeypatch):
    heights, draw = [], Axes3D.plot_surface
    monkeypatch.setattr(
        Axes3D, "plot_surface", lambda self, x, y, z, **look: heights.append(z) or draw(self, x, y, z, **look)
    )
    figure = random_surface(tables, **SLICE)
    rows = tables.planes[(tables.planes["kind"] == "random") & (tables.planes["batch_norm"] == "running")]
    for regime, shown in zip(REGIMES, heights, strict=True):
        _, _, losses = plane_grid(rows[rows["regime"] == regime])
        expected = np.where(np.isfinite(losses), np.minimum(losses, 10), np.nan)
        np.testing.assert_array_equal(shown, expected)
    cut = int(((rows["loss"] > 10) & np.isfinite(rows["loss"])).sum())
    assert f"{cut} of 162 cells cut at 10 nats." in footer_of(figure)
    assert "4 of 162 cells not finite, left open." in footer_of(figure)


def test_three_points_lie_where_the_table_says(tables):
    axes = panels(three_point_plane(tables, **SLICE))[0]
    points = {tuple(np.ravel(line.get_xydata())) for line in axes.lines}
    assert points == {(0.0, 0.0), (7.0, 0.0), (1.5, 5.0)}
    assert [text.get_text() for text in axes.texts] == ["start", "small batch", "large batch"]


def boxes_of_names(axes):
    canvas = FigureCanvasAgg(axes.get_figure())
    canvas.draw()
    return [text.get_window_extent(canvas.get_renderer()) for text in axes.texts if text.get_text()]


def close_points(tables):
    near = tables.points.copy()
    near.loc[near["label"] == "large_batch", ["alpha", "beta"]] = (7.3, 0.2)
    return three_point_plane(changed(tables, points=near), **SLICE)


def long_path(tables):
    lines = tables.lines.copy()
    lines["alpha"] = lines["alpha"] * 6
    return path(changed(tables, lines=lines), **SLICE)


@pytest.mark.parametrize("drawn", [close_points, long_path])
def test_names_of_minima_that_are_close_do_not_run_into_each_other(tables, drawn):
    boxes = boxes_of_names(panels(drawn(tables))[0])
    assert len(boxes) >= 2
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_sharpness_dots_bars_and_ratios_are_the_table(tables):
    figure = sharpness_figure(tables, **RUN)
    assert len(figure.axes) == 4
    axes = figure.axes[0]
    assert axes.get_title("left") == "full space,\nε = 0.001"
    rows = tables.sharpness[(tables.sharpness["space"] == "full") & (tables.sharpness["epsilon"] == 1e-3)]
    dots = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    assert sorted(line.get_ydata()[0] for line in dots) == sorted(rows["sharpness"])
    hollow = [line.get_ydata()[0] for line in dots if line.get_markerfacecolor() == "white"]
    assert sorted(hollow) == sorted(rows.loc[~rows["converged"], "sharpness"])
    logs = np.log(rows["sharpness"]).groupby([rows["method"], rows["batch_norm"], rows["regime"]], sort=False)
    means = np.exp(logs.mean()).unstack()
    ratios = means["large_batch"] / means["small_batch"]
    assert [text.get_text() for text in axes.texts if "×" in text.get_text()] == [f"×{ratio:.0f}" for ratio in ratios]
    segments = [bar.get_segments()[0] for bar in axes.collections]
    bars = [segment[0, 1] for segment in segments if segment[0, 1] == segment[1, 1]]
    np.testing.assert_allclose(sorted(bars), sorted(means.to_numpy().ravel()))
    reach = stdtrit(2, 0.975) * logs.std() / np.sqrt(3)
    lows = [segment[:, 1].min() for segment in segments if segment[0, 1] != segment[1, 1]]
    np.testing.assert_allclose(sorted(lows), sorted(np.maximum(np.exp(logs.mean() - reach), axes.get_ylim()[0])))
    assert "geometric mean over 3 seeds, pale: its 95\xa0% interval (Student's t on logarithms" in footer_of(figure)


def test_zero_and_infinite_sharpness_are_triangles_at_the_edges(tables):
    values = tables.sharpness["sharpness"].copy()
    values[0], values[1] = 0.0, np.inf
    figure = sharpness_figure(changed(tables, sharpness=tables.sharpness.assign(sharpness=values)), **RUN)
    markers = [line.get_marker() for line in figure.axes[0].lines]
    assert (markers.count("v"), markers.count("^")) == (1, 1)
    assert "Triangle at the lower edge: sharpness 0." in footer_of(figure)
    assert "1 of 96 searches not finite" in footer_of(figure)


def test_draws_of_a_random_subspace_are_one_dot_per_seed(tables):
    random = tables.sharpness[tables.sharpness["space"] == "random"]
    both = pd.concat([tables.sharpness, random.assign(draw=1.0, sharpness=3 * random["sharpness"])], ignore_index=True)
    figure = sharpness_figure(changed(tables, sharpness=both), **RUN)
    dots = sorted(line.get_ydata()[0] for line in figure.axes[2].lines if line.get_marker() in ("o", "s"))
    np.testing.assert_allclose(dots, sorted(2 * random.loc[random["epsilon"] == 1e-3, "sharpness"]))
    assert "mean of 2 draws." in footer_of(figure)


def test_crowded_sharpness_figure_keeps_its_labels_apart(make):
    figure = sharpness_figure(make(readings=("running", "batch", "reestimate"), seeds=tuple(range(5))), **RUN)
    renderer = laid_out(figure)
    for axes in figure.axes:
        ratios = [text for text in axes.texts if "×" in text.get_text()]
        for row in (axes.get_xticklabels(), ratios):
            boxes = [label.get_window_extent(renderer) for label in row]
            assert len(boxes) == 6
            assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize(("draw", "keys", "table"), DRAWS, ids=NAMES)
def test_nothing_reaches_the_edge_and_footer_says_what_was_reduced(tables, draw, keys, table):
    figure = draw(tables, **keys)
    pixels = np.asarray(laid_out(figure).buffer_rgba())
    assert all((edge == 255).all() for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]))
    words = footer_of(figure)
    assert words.startswith("Data: digits (8×8).")
    about = {"sharpness": "Sharpness", "lines": "Slices", "planes": "Planes"}
    for sentence in tables.provenance["reduced"]:
        elsewhere = sentence.startswith(tuple(name for where, name in about.items() if where != table))
        assert (sentence in words) != elsewhere


@pytest.mark.parametrize(("draw", "keys", "table"), DRAWS, ids=NAMES)
def test_missing_rows_are_a_results_error_that_leaves_the_users_settings(tables, draw, keys, table):
    before = dict(matplotlib.rcParams)
    draw(tables, **keys)
    with pytest.raises(ResultsError, match=rf"the table `{table}` has no row with .*network 'C9'.* it has \d+ rows"):
        draw(tables, **keys | {"network": "C9"})
    with pytest.raises(ResultsError, match=rf"the table `{table}` has no row with .*; it has 0 rows"):
        draw(Tables(), **keys)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("draw", "keys", "table"), DRAWS[1:6], ids=NAMES[1:6])
def test_nothing_finite_is_a_results_error(tables, draw, keys, table):
    lost = changed(tables, **{table: tables.frames[table].assign(loss=np.nan)})
    with pytest.raises(ResultsError, match=r"none of the \d+ loss values is finite"):
        draw(lost, **keys)


@pytest.mark.parametrize("regime", REGIMES)
def test_one_regime_and_one_seed_are_enough(make, regime):
    tables = make(seeds=(3,), readings=("running",), grid=5)
    frames = {
        name: frame[frame["regime"].isin([regime, "between"])] if "regime" in frame else frame
        for name, frame in tables.frames.items()
    }
    alone = Tables(**frames)
    for draw, keys, _ in DRAWS:
        figure = draw(alone, **keys | ({"seed": 3} if "plane" in draw.__name__ or "surface" in draw.__name__ else {}))
        laid_out(figure)
        words = footer_of(figure)
        assert "Seed 3." in words
        assert "band" not in words and "median" not in words
        assert not any("×" in text.get_text() for text in figure.axes[0].texts)
