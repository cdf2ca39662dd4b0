"""Pictures of single results: what is drawn where, read back from the artists and held against closed forms."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import LogNorm

import flatmin
from flatmin.core.errors import ResultsError
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.figures.own_lines import effort

ALPHAS = [-1.0, -0.5, 0.0, 0.5, 1.0]
AXES = tuple(torch.eye(2))


@pytest.fixture(autouse=True)
def _pictures_are_closed():
    with mpl.rc_context({"backend": "agg"}):
        yield
    pyplot.close("all")


class Described(FunctionObjective):
    batch_norm, examples = "batch", 1200


def bowl(steep: float = 1.0, floor: float = 0.0) -> Described:
    return Described(lambda t: floor + steep * (t[0] ** 2 + 2 * t[1] ** 2), torch.zeros(2))


def holed(steep: float = 1.0) -> FunctionObjective:
    """NaN beyond 0.6."""
    return FunctionObjective(
        lambda t: torch.where(t[0].abs() > 0.6, t[0] * torch.nan, 1 + steep * t[0] ** 2), AXES[0] * 0
    )


def small_print(ax) -> str:
    return " ".join(text.get_text() for text in ax.texts).replace("\n", " ")


@pytest.mark.parametrize(
    "result",
    [
        lambda: flatmin.slice_1d(bowl(), AXES[0], ALPHAS),
        lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)),
        lambda: flatmin.over_subsets(lambda f: flatmin.slice_1d(f, AXES[0], ALPHAS), [bowl(), bowl(2.0)]),
        lambda: flatmin.epsilon_sharpness(QuadraticObjective([1.0, 4.0])),
        lambda: flatmin.effort(QuadraticObjective([1.0, 4.0], theta=torch.ones(2))),
    ],
)
def test_every_picture_takes_a_title(result):
    assert result().plot(title="mine").get_title(loc="left") == "mine"


@pytest.mark.parametrize(("points", "marked"), [(5, 5), (21, 21), (30, 30), (201, 19)])
def test_the_points_of_a_line_that_have_markers_lie_evenly(points, marked):
    alphas = np.linspace(-1, 1, points)
    (line, _) = flatmin.slice_1d(bowl(), AXES[0], alphas).plot().lines
    places = alphas[line.get_markevery()]
    assert len(places) == marked and np.diff(places).max() - np.diff(places).min() <= 2 / (points - 1) + 1e-9


def test_two_lines_share_an_axis_and_are_told_apart_by_dash_and_legend():
    ax = flatmin.slice_1d(bowl(), AXES[0], ALPHAS).plot(label="train")
    assert flatmin.slice_1d(bowl(4.0), AXES[0], ALPHAS).plot(ax=ax, label="test") is ax
    first, second = (line for line in ax.lines if len(line.get_xdata()))
    assert first.get_ydata().tolist() == [1, 0.25, 0, 0.25, 1] and second.get_ydata().tolist() == [4, 1, 0, 1, 4]
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    assert ax.get_ylim()[1] > 4
    assert "train: BatchNorm: batch statistics; 1,200 examples" in small_print(ax)


def test_lines_of_other_names_have_colours_of_their_own():
    ax = None
    for steep in (1.0, 2.0, 3.0, 4.0):
        ax = flatmin.slice_1d(bowl(steep), AXES[0], ALPHAS).plot(ax=ax, label=f"{steep}")
    assert len({line.get_color() for line in ax.lines}) == 4


def test_losses_that_are_not_finite_are_gaps_with_crosses_and_counted():
    ax = flatmin.slice_1d(holed(), AXES[0], ALPHAS).plot()
    line, crosses = ax.lines
    assert np.isnan(line.get_ydata()).tolist() == [True, False, False, False, True]
    assert crosses.get_xdata().tolist() == [-1.0, 1.0]
    assert "2 of 5 loss values not finite" in small_print(ax)


@pytest.mark.parametrize(
    ("objective", "scale", "label"),
    [
        (bowl(15.0), "linear", "loss"),
        (bowl(1e4), "symlog", "loss, log above 1"),
        (bowl(1.0, floor=-7.0), "linear", "loss"),
        (bowl(1e-3, floor=5.0), "linear", "loss"),
    ],
)
def test_every_point_of_a_line_is_within_the_axis(objective, scale, label):
    line = flatmin.slice_1d(objective, AXES[0], ALPHAS)
    ax = line.plot()
    low, high = ax.get_ylim()
    assert low < line.loss.min() and line.loss.max() < high
    assert (ax.get_yscale(), ax.get_ylabel()) == (scale, label)


def test_planes_side_by_side_have_one_scale_of_colours():
    grid = ALPHAS, ALPHAS
    planes = [flatmin.slice_2d(bowl(steep, floor=0.1), AXES, grid) for steep in (0.1, 10.0)]
    first, second, bar = flatmin.plot_side_by_side(planes, titles=["flat", "sharp"])[0].figure.axes
    limits = [axes.collections[0].norm for axes in (first, second)]
    assert all(isinstance(norm, LogNorm) for norm in limits)
    assert {(round(norm.vmin, 6), round(norm.vmax, 6)) for norm in limits} == {(0.1, 30.1)}
    assert bar.get_ylabel() == "loss, log scale" and first.get_title(loc="left") == "flat"


def test_a_plane_takes_its_colours_from_another():
    flat, sharp = (flatmin.slice_2d(bowl(steep, floor=0.1), AXES, (ALPHAS, ALPHAS)) for steep in (0.1, 10.0))
    norm = flat.plot(limits=sharp).collections[0].norm
    assert (norm.vmin, norm.vmax) == pytest.approx((0.1, 30.1))


@pytest.mark.parametrize("surface", [False, True])
@pytest.mark.parametrize("objective", [bowl(floor=-2.0), bowl(1e-7), bowl(1e9), holed(), bowl(0.0, floor=3.0)])
def test_planes_of_any_size_and_sign_can_be_drawn(objective, surface):
    plane = flatmin.slice_2d(objective, AXES, (ALPHAS, [-0.1, 0.0, 0.3]))
    ax = plane.plot(surface=surface)
    ax.figure.canvas.draw()
    assert ("of 15 cells not finite" in small_print(ax)) == (plane.non_finite > 0)


def crosses(ax) -> list[tuple[float, float]]:
    points = (line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "X")
    return [tuple(place) for (place,) in points]


def test_the_origin_is_marked_where_it_lies_in_the_picture():
    middle, corner = (flatmin.slice_2d(bowl(), AXES, (axis, ALPHAS)).plot() for axis in (ALPHAS, [0.1, 0.5]))
    assert crosses(middle) == [(0.0, 0.0)] and crosses(corner) == []


def test_the_plane_through_three_networks_shows_all_three_by_their_names():
    corners = flatmin.plane_through(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 0.0]), torch.tensor([1.0, 2.0]))
    plane = flatmin.slice_2d(bowl(), corners.axes, corners.grid(points=7, margin=0.2), origin=corners.origin)
    ax = plane.plot(marks=corners.marks("start", "small", "large") | {"far": (9.0, 9.0)})
    assert crosses(ax) == [(0.0, 0.0), (3.0, 0.0), (1.0, 2.0)]
    assert {"start", "small", "large"} <= {text.get_text() for text in ax.texts}
    assert "outside the picture: far" in small_print(ax)


@pytest.mark.parametrize("objective", [bowl(1e-3, floor=1.2), bowl(floor=0.6), bowl(1e5), bowl(floor=-4.0)])
def test_a_colour_bar_has_at_least_two_labels(objective):
    ax = flatmin.slice_2d(objective, AXES, (ALPHAS, ALPHAS)).plot()
    ax.figure.canvas.draw()
    axis = ax.figure.axes[1].yaxis
    low, high = axis.get_view_interval()
    labels = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
    assert len({label.get_text() for place, label in labels if low <= place <= high} - {""}) >= 2


def spike(height: float) -> FunctionObjective:
    """A bowl from 0.3 to 0.6 with one high corner."""

    def loss(t):
        return 0.3 + 0.2 * t[0] ** 2 + 0.1 * t[1] ** 2 + height * torch.exp(-9 * ((t - 1) ** 2).sum())

    return FunctionObjective(loss, torch.zeros(2))


def test_one_corner_does_not_set_the_scale_of_colours():
    axis = np.linspace(-1, 1, 15)
    plane = flatmin.slice_2d(spike(90.0), AXES, (axis, axis))
    ax = plane.plot()
    norm = ax.collections[0].norm
    inside = (plane.loss >= norm.vmin) & (plane.loss <= norm.vmax)
    assert norm.vmax < 3 and float(inside.double().mean()) > 0.89
    assert f"{int((~inside).sum())} cells below" in small_print(ax)


def test_contours_lie_within_the_losses_where_the_scale_is_wider():
    axis = np.linspace(-1, 1, 9)
    ax = flatmin.slice_2d(spike(0.0), AXES, (axis, axis)).plot(limits=(1e-4, 100.0))
    filled = ax.collections[0]
    assert (filled.norm.vmin, filled.norm.vmax) == (1e-4, 100.0)
    assert filled.levels[0] > 0.29 and filled.levels[-1] < 0.61 and len(filled.levels) > 8
    ax.figure.canvas.draw()
    ticks = ax.figure.axes[1].yaxis.get_majorticklocs()
    assert ticks.min() < 1e-3 and ticks.max() > 10


@pytest.mark.parametrize("objective", [bowl(1e-3, floor=5.0), bowl(1.0, floor=2.0), bowl(1.0), bowl(floor=-7.0)])
def test_a_surface_fills_the_height_of_its_box(objective):
    plane = flatmin.slice_2d(objective, AXES, (ALPHAS, ALPHAS))
    ax = plane.plot(surface=True)
    low, high = ax.get_zlim()
    assert float(plane.loss.max() - plane.loss.min()) > 0.6 * (high - low)
    assert low < float(plane.loss.min()) and high == pytest.approx(float(plane.loss.max()))
    assert len(ax.get_zticks()) >= 2 and ax.get_zticks().min() >= plane.loss.min() - 1e-3


def test_tick_labels_of_a_surface_stay_clear_of_the_corner_where_its_axes_meet():
    ax = flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(surface=True)
    assert max(ax.get_xticks()) < 0.9 and min(ax.get_yticks()) > -0.9


def test_the_climbs_of_a_search_are_drawn_as_the_sharpness_each_found():
    found = flatmin.epsilon_sharpness(QuadraticObjective([1.0, 4.0], theta=torch.tensor([1.0, 1.0])), epsilon=0.1)
    ax = found.plot()
    heights = np.concatenate([line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"])
    shown = sorted(height for height in heights if height != 0.985)
    assert shown == pytest.approx(sorted(100 * (np.array(found.climbs) - 2.5) / 3.5))
    assert "converged" in small_print(ax)


def test_effort_is_drawn_as_steps_to_the_last_evaluation():
    found = flatmin.effort(QuadraticObjective([1.0, 4.0], theta=torch.ones(2)))
    (line,) = found.plot().lines
    assert line.get_xdata()[-1] == found.spent and line.get_drawstyle() == "steps-post"


@pytest.mark.parametrize(("low", "high"), [(1, 3), (3, 7), (2, 40)])
def test_an_axis_of_evaluations_has_no_halves(low, high):
    frame = pd.DataFrame({"evaluations": [low, high], "sharpness": [1.0, 2.0], "spent": high, "epsilon": 1e-3})
    axis = effort(frame.assign(batch_norm=None, examples=4), label="it").xaxis
    shown = [place for place in axis.get_majorticklocs() if low <= place <= high]
    assert len(shown) > 1 and all(place == round(place) for place in shown)


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: flatmin.slice_1d(bowl(), AXES[0], ALPHAS).plot(quantity="f1"), ValueError, "'loss', 'accuracy'"),
        (lambda: flatmin.slice_1d(holed(), AXES[0], [1.0, 2.0]).plot(), ResultsError, "none of the 2 loss values"),
        (lambda: flatmin.slice_2d(bowl(), AXES, ([0.0], ALPHAS)).plot(), ValueError, "slice_1d"),
        (lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(limits=(2, 1)), ValueError, "`limits`"),
        (
            lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(pyplot.figure().subplots(), surface=True),
            ValueError,
            "projection='3d'",
        ),
        (
            lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(marks={"a": 1}),
            ValueError,
            "two finite numbers",
        ),
        (
            lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(marks=[(0, 0)]),
            ValueError,
            "a dict from names",
        ),
        (
            lambda: flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS)).plot(marks={"a": (0, 0)}, surface=True),
            ValueError,
            "surface=False",
        ),
        (
            lambda: flatmin.plot_side_by_side([flatmin.slice_1d(bowl(), AXES[0], ALPHAS)]),
            TypeError,
            "got a Line; lines",
        ),
        (
            lambda: flatmin.plot_side_by_side(flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS))),
            TypeError,
            r"\[plane\]",
        ),
        (lambda: flatmin.plot_side_by_side([3.0]), TypeError, "results of slice_2d, got a float"),
        (
            lambda: flatmin.plot_side_by_side([flatmin.slice_2d(bowl(), AXES, (ALPHAS, ALPHAS))], titles="a"),
            TypeError,
            "`titles` must be a list",
        ),
        (lambda: flatmin.plot_side_by_side([]), ValueError, "at least one plane"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(draw, error, words):
    with pytest.raises(error, match=words):
        draw()


def test_the_users_own_style_is_left_alone():
    with mpl.rc_context({"axes.labelsize": 31.0}):
        flatmin.slice_1d(bowl(), AXES[0], ALPHAS).plot()
        assert mpl.rcParams["axes.labelsize"] == 31.0
