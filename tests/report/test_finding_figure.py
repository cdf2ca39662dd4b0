"""The figure of the finding: what is drawn where, with what words, and nothing beside the page or in one another."""

import io
import math

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from flatmin.figures.style import REGIMES, house_style
from flatmin.report.finding import evidence
from flatmin.report.finding_figure import draw, finding_files, of_boxes
from flatmin.report.published import LARGE, SMALL
from flatmin.report.subjects import subjects

BOXES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3)


@pytest.fixture
def measured(study):
    """A study with both searches in several boxes, at the minima and, if asked, on the way; one step is impossible."""

    def build(name="keskar_f1", network="F1", data="mnist", *, boxes=BOXES, way=True, seeds=2, fall=True):
        rows = [
            {"regime": regime, "seed": seed, "epoch": epoch, "epsilon": box, "method": method, "sharpness": value}
            | {"gradient_norm": 10.0**-step, "base_loss": 0.5**step, "partition": 100.0}
            for regime, size in ((SMALL, 1.0), (LARGE, 30.0))
            for seed in range(seeds)
            for step, epoch in enumerate((0, 1, 2, math.nan) if way else (math.nan,))
            for box in boxes
            for strong in [size * (1 + seed) * box * 1e4]
            for less in [0.01 if fall and (regime, seed, box) == (LARGE, 1, 1e-3) and math.isnan(epoch) else 1.0]
            for method, value in (("paper", strong * 0.3**step * less), ("strong", strong))
        ]
        minima = [
            {"regime": regime, "seed": seed, "distance_from_start": 9.0 + seed}
            for regime in REGIMES
            for seed in range(seeds)
        ]
        return study(name, network, data, minima=minima, sharpness=rows)

    return build


def drawn(*studies):
    found = evidence(subjects(studies))
    with house_style():
        figure = draw(found)
        FigureCanvasAgg(figure).draw()
    return figure


def points(axes):
    return {(x, y) for line in axes.lines for x, y in line.get_xydata().tolist()}


def test_minima_lie_at_the_strong_and_the_published_value(measured):
    left = drawn(measured(fall=False)).axes[0]
    share = 0.3**3
    for strong in (10.0, 20.0, 300.0, 600.0):
        assert any((x, y) == pytest.approx((strong, strong * share)) for x, y in points(left))
    assert left.get_xscale() == left.get_yscale() == "log"
    assert (left.get_xlabel(), left.get_ylabel()) == ("strong search, φ (%)", "published search, φ (%)")


def test_share_along_training_is_a_line_of_each_seed_from_epoch_to_epoch(measured):
    middle = drawn(measured(fall=False)).axes[1]
    ways = [line for line in middle.lines if len(line.get_xdata()) == 4]
    assert len(ways) == 4
    for line in ways:
        assert list(line.get_xdata()) == pytest.approx([1.0, 0.1, 0.01, 0.001])
        assert list(line.get_ydata()) == pytest.approx([1.0, 0.3, 0.09, 0.027])


def test_impossible_step_is_marked_and_named(measured):
    right = drawn(measured()).axes[2]
    steps = [line for line in right.lines if line.get_linewidth() == 2.0]
    assert [list(line.get_xdata()) for line in steps] == [[5e-4, 1e-3]]
    assert steps[0].get_ydata()[0] > steps[0].get_ydata()[1]
    assert [text.get_text() for text in right.texts] == ["8.10 to 0.162 %:\nno maximum falls"]
    calm = drawn(measured(fall=False))
    assert not calm.axes[2].texts
    assert "less than in a smaller box" not in [text.get_text() for text in calm.legends[0].get_texts()]


def test_regimes_differ_in_filling_and_searches_in_stroke_so_that_grey_print_tells_them(measured):
    left, _, right = drawn(measured()).axes
    faces = {line.get_color(): line.get_markerfacecolor() for line in left.lines if line.get_marker() == "o"}
    assert faces == {REGIMES[SMALL].color: REGIMES[SMALL].color, REGIMES[LARGE].color: "white"}
    assert len({line.get_linestyle() for line in right.lines if line.get_marker() == "o"}) == 2


def test_legend_names_networks_in_the_papers_order(measured):
    others = [measured("keskar_c1", "C1", "cifar10"), measured("fig6_digits", data="digits"), measured()]
    names = [text.get_text() for text in drawn(*others).legends[0].get_texts() if text.get_text().strip()]
    assert names[:3] == ["F1", "F1 (digits)", "C1 (code strides)"]
    assert names[3:] == [
        "small batch",
        "large batch",
        "less than in a smaller box",
        "published search",
        "strong search",
    ]


@pytest.mark.parametrize("kinds", [1, 3, 6])
def test_nothing_leaves_the_page_and_no_text_lies_on_another(measured, kinds):
    every = [
        *(("keskar_f1", "F1", "mnist"), ("fig6_digits", "F1", "digits"), ("keskar_f2", "F2", "timit")),
        *(("keskar_c1", "C1", "cifar10"), ("keskar_c3", "C3", "cifar100"), ("keskar_c4", "C4", "cifar100")),
    ]
    figure = drawn(*(measured(*names) for names in every[:kinds]))
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes] + [figure.legends[0].get_window_extent(renderer)]
    for place, box in enumerate(boxes):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 + 1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_boxes_are_those_of_f1_on_the_papers_data_if_there_are_enough(measured):
    digits = measured("fig6_digits", data="digits")
    few = measured(boxes=BOXES[2:4])
    assert of_boxes(evidence(subjects([digits, measured()]))).name == "F1"
    assert of_boxes(evidence(subjects([digits, few]))).name == "F1 (digits)"
    assert of_boxes(evidence(subjects([measured(boxes=(1e-3,))]))) is None


def test_panels_without_rows_say_not_run(measured):
    _, middle, right = drawn(measured(boxes=(1e-3,), way=False)).axes
    assert [text.get_text() for axes in (middle, right) for text in axes.texts] == ["not run", "not run"]


def test_files_are_the_figure_and_its_numbers(measured):
    files = finding_files(evidence(subjects([measured()])))
    assert set(files) == {"finding.pdf", "finding.png", "finding.csv"}
    table = pd.read_csv(io.BytesIO(files["finding.csv"]))
    assert table["panel"].value_counts().to_dict() == {"a": 4, "b": 16, "c": 40}
    assert table.query("panel == 'b'")["epoch"].isna().sum() == 4
    assert finding_files([]) == {}


def test_published_values_of_zero_are_counted_below(measured, study):
    rows = [
        {"regime": regime, "seed": 0, "method": method, "sharpness": value}
        for regime, values in ((SMALL, (0.0, 5.0)), (LARGE, (4.0, 5.0)))
        for method, value in zip(("paper", "strong"), values, strict=True)
    ]
    minima = [{"regime": regime, "seed": 0} for regime in REGIMES]
    figure = drawn(study(minima=minima, sharpness=rows))
    assert "Published sharpness 0 in 1 search, left out" in figure._supxlabel.get_text().replace("\n", " ")


def test_axis_of_minima_has_numbers_and_the_line_of_equal_values_whatever_their_range(study):
    """Searches that find a thousandth of what there is, in a narrow range."""
    rows = [
        {"regime": regime, "seed": 0, "method": method, "sharpness": value}
        for regime, values in ((SMALL, (0.002, 0.3)), (LARGE, (0.0007, 28.0)))
        for method, value in zip(("paper", "strong"), values, strict=True)
    ]
    minima = [{"regime": regime, "seed": 0} for regime in REGIMES]
    axes = drawn(study(minima=minima, sharpness=rows)).axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        assert sum(low <= place <= high for place in axis.get_ticklocs()) >= 2
    low, high = axes.get_ylim()
    assert high >= 28.0
    assert low * (high / low) ** 0.02 < 0.0007
