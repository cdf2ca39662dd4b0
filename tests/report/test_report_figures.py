"""The report's figures: a panel for each study, the paper's values where its data are, nothing where none was run."""

import math
from itertools import product

import numpy as np
import pytest
from invented import rows_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy.special import stdtrit

from flatmin.figures.style import REGIMES, house_style
from flatmin.report import published
from flatmin.report.figures import CAPTIONS, DRAWS, report_figures
from flatmin.report.sharpness_figures import paper_remedy
from flatmin.report.studies import StudyResults
from flatmin.results import Tables

SMALL, LARGE = REGIMES
SPLITS = ("train", "test")


def study(
    kind: str, network: str = "C1", data: str = "cifar10", *, variant: str = "code", seeds=(0, 1)
) -> StudyResults:
    """A small study of one kind with smooth, invented values, every one different."""
    size = {SMALL: 256, LARGE: 5000}
    start: dict[str, float] = {}
    if kind == "fig4":
        size |= {f"sweep_{batch}": batch for batch in (100, 1000, 3000)}
    if kind == "fig5":
        size |= {f"warm_start_{epoch}": 5000 for epoch in (1, 6)}
        start = {f"warm_start_{epoch}": epoch for epoch in (1, 6)}
    if kind == "remedies":
        size |= {"small_batch_augmented": 256, "large_batch_augmented": 5000, "conservative": 5000, "robust": 5000}
    rows: dict[str, list[dict]] = {"curves": [], "minima": [], "sharpness": [], "effort": [], "lines": []}
    for seed, (place, (regime, batch)) in product(seeds, enumerate(size.items())):
        names = {"regime": regime, "seed": seed}
        grade = 0.8 - 0.01 * place - 0.001 * seed
        for epoch, split in product(range(5), SPLITS):
            curve = {"epoch": epoch, "split": split, "loss": math.exp(-epoch), "accuracy": grade * (epoch + 1) / 5}
            rows["curves"].append(names | curve)
        minimum = {"batch_size": batch, "start_epoch": start.get(regime, math.nan), "status": "finished", "epochs": 4}
        rows["minima"].append(names | minimum | {"test_accuracy": grade, "train_accuracy": 1.0})
        spaces = [("full", math.nan, "identity"), ("random", 100.0, "normal")]
        epochs = (1, 2, math.nan) if kind == "fig6" else (math.nan,)
        settings = product(epochs, spaces, published.EPSILONS, ("paper", "strong"), ("batch", "running"))
        for epoch, (space, dim, law), epsilon, method, reading in settings:
            value = (10 + 100 * place + seed) * epsilon / 1e-3 * (1 + (method == "strong")) * (2 - math.isnan(epoch))
            value *= (3 if reading == "running" else 1) * (0.1 if space == "random" else 1)
            search = {"epoch": epoch, "space": space, "subspace_dim": dim, "distribution": law, "draw": 0}
            search |= {"epsilon": epsilon, "method": method, "batch_norm": reading, "examples": 5000}
            rows["sharpness"].append(names | search | {"sharpness": value, "converged": True})
        if kind == "effort" and batch in (256, 5000):
            for climber, begin, spent in product(("lbfgsb", "corner_steps"), ("centre", "sign"), (1, 3, 9)):
                climb = {"space": "full", "epsilon": 1e-3, "batch_norm": "batch", "examples": 5000, "start": begin}
                value = spent * (10 + 100 * place + seed) * (1 + (begin == "sign"))
                rows["effort"].append(names | climb | {"climber": climber, "evaluations": spent, "sharpness": value})
    for seed, way, split, alpha in product(seeds, ("linear", "curved"), SPLITS, np.linspace(-1, 2, 13)):
        point = {"seed": seed, "kind": way, "regime": "both", "batch_norm": "batch", "alpha": alpha, "split": split}
        height = alpha**2 * (1 - alpha) ** 2 + 0.01 * seed + (way == "curved")
        rows["lines"].append(point | {"loss": height, "accuracy": 1 / (1 + height)})
    frames = {name: rows_of(name, found, network=network, data=data) for name, found in rows.items() if found}
    plain = {"augmentation": None, "method": None}
    made = {"fig4": {"sweep": plain}, "fig5": {"warm_start": plain}, "remedies": {"robust": {"method": "robust"}}}
    experiment = {
        **{"network": {"name": network, "variant": variant}, "data": {"name": data}, "variations": made.get(kind, {})},
        "sharpness": {"epochs": [1, 2] if kind == "fig6" else None},
    }
    name = f"{kind}_{network.lower()}_{variant}"
    return StudyResults(name, Tables(**frames, provenance={"experiment": experiment, "reduced": ["Two seeds of 5."]}))


@pytest.fixture(scope="module")
def studies() -> list[StudyResults]:
    kinds = ("fig4", "fig5", "fig6", "remedies")
    return [study("effort"), study("keskar", "F2", "digits"), *(study(kind) for kind in kinds)]


def drawn(name: str, studies: list[StudyResults]):
    with house_style():
        return DRAWS[name](studies)


def lines_in(axes, marker: str) -> list[list[tuple[float, float]]]:
    found = [line for line in axes.lines if line.get_marker() == marker]
    return [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in found]


def titles(figure) -> list[str]:
    return [axes.get_title("left").replace("\n", ", ") for axes in figure.axes if axes.get_title("left")]


def test_every_figure_is_a_pdf_and_a_png(studies, tmp_path):
    written = report_figures(studies, tmp_path)
    assert {path.name for path in written} == {f"{name}.{kind}" for name in DRAWS for kind in ("pdf", "png")}
    for path in written:
        assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")


def test_equal_studies_give_equal_bytes(studies, tmp_path):
    first, second = (report_figures([studies[-1]], tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("found", [[], [StudyResults("empty", Tables(provenance=study("keskar").tables.provenance))]])
def test_nothing_is_written_where_no_study_has_the_rows(found, tmp_path):
    assert report_figures(found, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig7", "subspace"])
def test_panels_are_the_studies_of_tables_2_to_4(studies, name):
    assert titles(drawn(name, studies)) == ["F2, digits (8×8), 4 epochs", "C1 (code strides), CIFAR-10, 4 epochs"]


def test_error_is_the_mean_over_seeds_with_the_papers_crosses(studies):
    digits, axes = drawn("fig2", studies).axes
    curves = studies[0].tables.curves
    same = (curves["regime"] == LARGE) & (curves["split"] == "test")
    mean = 100 * (1 - curves[same].groupby("epoch")["accuracy"].mean())
    assert any(np.allclose(line.get_ydata(), mean) for line in axes.lines if len(line.get_ydata()) == len(mean))
    accuracies = published.FIGURE_2["C1", SMALL, "train"]
    assert lines_in(axes, "x")[0] == [(epoch, 100 - accuracy) for epoch, accuracy in accuracies.items()]
    assert axes.get_xlim()[1] >= max(accuracies) and axes.get_ylim()[0] < 100 - max(accuracies.values())
    assert len(lines_in(axes, "x")) == len(lines_in(axes, "+")) == 2
    assert lines_in(digits, "x") == lines_in(digits, "+") == []


@pytest.mark.parametrize(("name", "kind", "points"), [("fig3", "linear", "FIGURE_3"), ("fig7", "curved", "FIGURE_7")])
def test_paths_are_the_medians_with_the_papers_crosses(studies, name, kind, points):
    axes = drawn(name, studies).axes[1]
    rows = studies[0].tables.lines
    rows = rows[(rows["kind"] == kind) & (rows["split"] == "train")]
    median = rows.groupby("alpha")["loss"].median()
    assert any(np.array_equal(line.get_ydata(), median) for line in axes.lines)
    assert lines_in(axes, "x") == [list(getattr(published, points)["C1"].items())]


def test_batch_sizes_have_the_papers_accuracy_and_both_sharpnesses(studies):
    figure = drawn("fig4", studies)
    assert titles(figure) == ["C1 (code strides), CIFAR-10, 4 epochs"]
    top, bottom = figure.axes
    points = published.FIGURE_4["C1"]
    assert lines_in(top, "x") == [[(size, point[0]) for size, point in points.items()]]
    assert lines_in(bottom, "x") == [[(size, point[place]) for size, point in points.items()] for place in (1, 2)]
    low, high = bottom.get_ylim()
    assert all(low < value < high for point in points.values() for value in point[1:])


@pytest.mark.parametrize(("count", "panels"), [(1, 2), (3, 6), (4, 8)])
def test_batch_sizes_of_every_study_have_two_panels(count, panels):
    one = study("fig4")
    several = [StudyResults(f"fig4_{place}", one.tables) for place in range(count)]
    assert len(drawn("fig4", several).axes) == panels


def test_warm_starts_count_the_papers_epochs_from_one(studies):
    first, paper, _ = drawn("fig5", studies).axes
    assert lines_in(paper, "x") == [[(epoch + 1, point[2]) for epoch, point in published.FIGURE_5["C1"].items()]]
    assert [line[0] for line in lines_in(first, "x")] == [(1, 62.6), (1, 77.6)]


def test_sharpness_along_training_has_the_papers_points(studies):
    axes = drawn("fig6", studies).axes[0]
    assert lines_in(axes, "x") == [list(published.FIGURE_6["C1", regime]) for regime in (SMALL, LARGE)]


READINGS = list(product(("paper", "strong"), ("batch", "running")))


def test_readings_stand_on_four_lines_with_the_papers_means_across(studies):
    figure = drawn("landscape_or_optimiser", studies)
    axes = figure.axes[1]
    assert titles(figure)[1] == "C1 (code strides), CIFAR-10, 4 epochs"
    rows = studies[0].tables.sharpness
    rows = rows[(rows["space"] == "full") & (rows["epsilon"] == 1e-3)]
    dots = [point for marker in "os" for line in lines_in(axes, marker) for point in line]
    for place, (method, reading) in enumerate(READINGS):
        values = rows.loc[(rows["method"] == method) & (rows["batch_norm"] == reading), "sharpness"]
        assert sorted(x for x, y in dots if round(y) == place) == pytest.approx(sorted(values))
    across = {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1}
    assert {published.TABLE_3["C1"][regime, 1e-3].mean for regime in REGIMES} <= across
    searches, statistics = ("published search", "strong search"), ("batch statistics", "running averages")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        ",\n".join(name) for name in product(searches, statistics)
    ]


def test_readings_have_the_interval_of_the_geometric_mean(studies):
    axes = drawn("subspace", studies).axes[1]
    rows = studies[0].tables.sharpness
    rows = rows[(rows["space"] == "random") & (rows["epsilon"] == 1e-3) & (rows["batch_norm"] == "batch")]
    logs = np.log(rows.loc[(rows["method"] == "paper") & (rows["regime"] == SMALL), "sharpness"])
    reach = stdtrit(len(logs) - 1, 0.975) * logs.std() / math.sqrt(len(logs))
    ends = np.clip(np.exp([logs.mean() - reach, logs.mean() + reach]), *axes.get_xlim())
    spans = [part[:, 0] for part in (found.get_segments()[0] for found in axes.collections) if part[0, 1] == part[1, 1]]
    assert any(np.allclose(span, ends) for span in spans)


def test_effort_is_drawn_for_the_studies_that_have_it(studies):
    figure = drawn("search_effort", studies)
    assert titles(figure) == ["C1 (code strides), CIFAR-10, 4 epochs"]
    effort = studies[0].tables.effort
    for panel, climber in zip(figure.axes, ("lbfgsb", "corner_steps"), strict=True):
        for _, climbs in effort[effort["climber"] == climber].groupby(["regime", "start"]):
            median = list(climbs.groupby("evaluations")["sharpness"].median())
            assert any(list(line.get_ydata()[:3]) == median for line in panel.lines)
    assert drawn("search_effort", studies[1:]) is None


def test_reading_that_one_study_lacks_is_said_and_one_that_all_lack_has_no_line(studies):
    tables = studies[0].tables
    rows = tables.sharpness[tables.sharpness["method"] == "paper"]
    half = StudyResults("keskar_c1", Tables(**tables.frames | {"sharpness": rows}, provenance=tables.provenance))
    alone = drawn("subspace", [half]).axes[0]
    assert len(alone.get_yticks()) == 2
    assert all(text.get_text().startswith("×") for text in alone.texts)
    beside = drawn("subspace", [studies[1], half]).axes[1]
    assert [text.get_text() for text in beside.texts].count("not run") == 2


def test_remedies_share_one_look_and_one_legend(studies):
    other = study("remedies", "F2", "digits")
    minima = other.tables.minima[other.tables.minima["regime"] != "conservative"]
    fewer = StudyResults(
        "other", Tables(**other.tables.frames | {"minima": minima}, provenance=other.tables.provenance)
    )
    figure = drawn("remedies", [*studies, fewer])
    firsts = (figure.axes[0], figure.axes[3])
    looks = [{line.get_marker() for line in axes.lines} - {"x", "None"} for axes in firsts]
    assert {frozenset(look) for look in looks} == {frozenset("osD^X"), frozenset("osD^vX")}
    assert legend_of(figure)[:4] == ["small batch", "large batch", "small batch augmented", "large batch augmented"]
    assert len(legend_of(figure)) == len(set(legend_of(figure)))


@pytest.mark.parametrize(
    ("regime", "accuracy", "sharpness"),
    [
        (SMALL, 80.04, 28.58),
        (LARGE, 77.26, 707.23),
        ("small_batch_augmented", 83.63, None),
        ("large_batch_augmented", 82.50, 231.77),
        ("conservative", 78.41, 520.34),
        ("robust", None, None),
    ],
)
def test_remedies_have_the_papers_values(studies, regime, accuracy, sharpness):
    assert paper_remedy("C1", regime) == (accuracy, sharpness)
    first, *others = drawn("remedies", studies).axes
    place = [SMALL, LARGE, "small_batch_augmented", "large_batch_augmented", "conservative", "robust"].index(regime)
    for axes, value in zip((first, *others), (accuracy, sharpness, sharpness), strict=True):
        crosses = [line[0] for line in lines_in(axes, "x") if line[0][1] == place]
        assert crosses == ([(value, place)] if value else [])


@pytest.mark.parametrize("name", DRAWS)
def test_no_figure_reaches_its_edge_and_the_footer_names_studies_and_reductions(studies, name):
    figure = drawn(name, studies)
    canvas = FigureCanvasAgg(figure)
    with house_style():
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert all((edge == 255).all() for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]))
    words = figure.get_supxlabel().replace("\n", " ")
    assert "C1 (code strides), CIFAR-10, 4 epochs, 2 seeds" in words
    assert words.count("Two seeds of 5.") == 1


def test_footer_names_the_studies_of_a_reduction_that_not_all_share(studies):
    whole, other = studies[0], studies[1]
    provenance = other.tables.provenance | {"reduced": ["Two seeds of 5.", "Trained for 4 epochs", "Half the data"]}
    cut = StudyResults(other.name, Tables(**other.tables.frames, provenance=provenance))
    words = drawn("fig2", [whole, cut]).get_supxlabel().replace("\n", " ")
    assert "Two seeds of 5." in words
    assert f"{cut.name}: Trained for 4 epochs; Half the data." in words
    assert ": Two seeds" not in words


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "name", ["fig4", "fig5", "fig6", "remedies", "fig2", "fig3", "landscape_or_optimiser", "search_effort"]
)
def test_legend_promises_the_papers_values_only_where_they_are_drawn(studies, name):
    def elsewhere(one):
        frames = {table: frame.assign(data="digits") for table, frame in one.tables.frames.items()}
        return StudyResults(one.name, Tables(**frames, provenance=one.tables.provenance))

    assert any("paper" in label for label in legend_of(drawn(name, studies)))
    assert not any("paper" in label for label in legend_of(drawn(name, [elsewhere(one) for one in studies])))


def test_every_figure_has_a_caption_for_the_report():
    assert set(CAPTIONS) == set(DRAWS)
