"""Figures of studies with more than the pair: what is drawn equals the table, and the pair's figures stay its own."""

import math
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb

from flatmin.core.errors import ResultsError
from flatmin.figures import sharpness_figure, training_curves
from flatmin.figures.along_training import along_training
from flatmin.figures.curves import variation_curves
from flatmin.figures.distributions import distributions
from flatmin.figures.effort import effort
from flatmin.figures.remedies import remedies
from flatmin.figures.render import FAMILIES, contents, figures_of
from flatmin.figures.style import REGIMES, looks_of
from flatmin.figures.sweep import sweep
from flatmin.figures.warm_start import warm_start
from flatmin.results import Tables, ratios
from flatmin.results.groups import averages_note, grouped, on_the_way_rows, remedy_rows, sweep_rows, warm_start_rows
from flatmin.results.summary_text import summary_table
from flatmin.results.verdict import verdict

RUN = {"network": "C1", "data": "cifar10"}
SEARCH = RUN | {"space": "full", "batch_norm": "batch"}
DRAWS = [
    ("sweep", sweep, SEARCH | {"series": "sweep"}),
    ("warm_start", warm_start, SEARCH | {"series": "warm_start"}),
    ("on_the_way", along_training, SEARCH),
    ("remedies", remedies, SEARCH),
    ("effort", effort, RUN | {"space": "full", "epsilon": 1e-3}),
]
KINDS = [kind for kind, _, _ in DRAWS]
OWN = {
    "sweep": "batch_sizes",
    "warm_start": "warm_start",
    "on_the_way": "along_training",
    "remedies": "remedies",
    "effort": "effort",
}


@pytest.fixture(scope="module")
def studies(make_study) -> dict[str, Tables]:
    return {kind: make_study(kind) for kind in KINDS}


def changed(tables: Tables, **frames: pd.DataFrame) -> Tables:
    return Tables(**(tables.frames | frames), provenance=tables.provenance)


def curves_in(axes):
    """Every line with points as a list of (x, y)."""
    return [np.column_stack([np.asarray(line.get_xdata(), float), line.get_ydata()]) for line in axes.lines]


def has_curve(axes, points) -> bool:
    wanted = np.asarray(points, dtype=float)
    return any(found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-12) for found in curves_in(axes))


def sharpness_of(tables: Tables, **where) -> pd.DataFrame:
    rows = tables.sharpness
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows


def means(tables: Tables, by: "pd.Series[float]", **where) -> list[tuple[float, float]]:
    """Mean over seeds of the sharpness at each place of a minimum, computed without the figures."""
    rows = sharpness_of(tables, **where)
    rows = rows[rows["regime"].isin(by.index)]
    found = rows.groupby("regime")["sharpness"].mean()
    return sorted((float(by[regime]), float(value)) for regime, value in found.items())


def test_sweep_draws_the_means_against_the_batch_sizes_the_pair_included(studies):
    tables = studies["sweep"]
    figure = sweep(tables, **SEARCH, series="sweep")
    minima = tables.minima.groupby("regime")[["batch_size", "test_accuracy"]].mean()
    top, bottom = figure.axes
    assert sorted(minima["batch_size"]) == [100, 256, 497, 1027, 3013, 5000]
    assert has_curve(top, sorted(zip(minima["batch_size"], 100 * minima["test_accuracy"], strict=True)))
    assert (top.get_xscale(), top.get_ylabel()) == ("log", "test accuracy (%)")
    for method, epsilon in product(("paper", "strong"), (1e-3, 5e-4)):
        assert has_curve(bottom, means(tables, minima["batch_size"], method=method, epsilon=epsilon))
    assert (bottom.get_yscale(), bottom.get_ylabel()) == ("log", "sharpness (%), log axis")
    assert top.get_xlim() == bottom.get_xlim()
    assert "Line: mean over 2 seeds, band: lowest to highest seed." in figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize("settings", [{"augmentation": {"flip": True}}, {"method": "robust"}, None])
def test_pair_stays_out_of_a_series_that_is_trained_otherwise_or_of_unknown_origin(make_study, settings):
    tables = make_study("sweep")
    tables.provenance["experiment"]["variations"] = {"sweep": settings} if settings else {}
    assert set(sweep_rows(tables)["batch_size"]) == {100, 497, 1027, 3013}


def test_two_sizes_are_no_sweep_but_remedies(studies):
    tables = studies["sweep"]
    few = changed(tables, minima=tables.minima[~tables.minima["regime"].isin(["sweep_100", "sweep_497"])])
    assert sweep_rows(few).empty
    assert set(remedy_rows(few)["regime"]) == {*REGIMES, "sweep_1027", "sweep_3013"}


def test_warm_start_draws_iterates_and_solutions_with_the_cold_start_at_zero(studies):
    tables = studies["warm_start"]
    figure = warm_start(tables, **SEARCH, series="warm_start")
    minima = tables.minima[tables.minima["regime"] != "small_batch"]
    places = minima.groupby("regime")["start_epoch"].first().fillna(0)
    accuracy = minima.groupby("regime")["test_accuracy"].mean()
    same = (tables.curves["regime"] == "small_batch") & (tables.curves["split"] == "test")
    iterates = tables.curves[same].groupby("epoch")["accuracy"].mean()
    top, bottom = figure.axes[:2], figure.axes[2:]
    for axes in top:
        assert has_curve(axes, sorted((places[regime], 100 * value) for regime, value in accuracy.items()))
        assert has_curve(axes, list(zip(iterates.index, 100 * iterates, strict=True)))
    for axes, method in zip(bottom, ("paper", "strong"), strict=True):
        assert has_curve(axes, means(tables, places, method=method, epsilon=1e-3))
        assert has_curve(axes, means(tables, places, method=method, epsilon=5e-4))
        assert axes.get_yscale() == "log"
    assert "Epoch 0: large batch from the start of the seed." in figure.get_supxlabel().replace("\n", " ")


def test_along_training_joins_the_training_loss_of_the_epoch_and_ends_at_the_minimum(studies):
    tables = studies["on_the_way"]
    figure = along_training(tables, **SEARCH)
    same = (tables.curves["regime"] == "large_batch") & (tables.curves["seed"] == 1)
    loss = tables.curves[same & (tables.curves["split"] == "train")].set_index("epoch")["loss"]
    for axes, method in zip(figure.axes, ("paper", "strong"), strict=True):
        rows = sharpness_of(tables, regime="large_batch", seed=1, method=method, epsilon=5e-4)
        rows = rows.assign(epoch=rows["epoch"].fillna(20)).sort_values("epoch")
        assert rows["epoch"].tolist() == [0, 2, 5, 10, 20]
        assert has_curve(axes, list(zip(loss[rows["epoch"]], rows["sharpness"], strict=True)))
        left, right = axes.get_xlim()
        assert left > right
        assert axes.get_xlabel() == "training cross-entropy (nats), log axis"
    assert len(figure.axes[0].lines) == 2 * 2 * 2


def test_remedies_are_dots_in_their_lines(studies):
    tables = studies["remedies"]
    first, paper, strong = remedies(tables, **SEARCH).axes
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names[:3] == ["small batch (256)", "large batch (5,000)", "small batch augmented (256)"]
    accuracy = tables.minima.groupby("regime", sort=False)["test_accuracy"].apply(list)
    for place, regime in enumerate(accuracy.index):
        dots = [found[:, 0] for found in curves_in(first) if len(found) == 2 and (found[:, 1] == place).all()]
        assert any(np.allclose(x, 100 * np.array(accuracy[regime])) for x in dots)
    for axes, method in ((paper, "paper"), (strong, "strong")):
        drawn = np.concatenate([found[:, 0] for found in curves_in(axes) if not np.allclose(found[:, 0], (0, 1))])
        assert sorted(drawn) == pytest.approx(sorted(sharpness_of(tables, method=method)["sharpness"]))


def test_effort_draws_the_median_over_all_seeds_in_their_band(studies):
    tables = studies["effort"]
    figure = effort(tables, network="C1", data="cifar10", space="full", epsilon=1e-3)
    titles = [axes.get_title("left") for axes in figure.axes[:3]]
    assert titles == ["L-BFGS-B", "corner steps", "projected gradient"]
    panel = figure.axes[4]
    same = (tables.effort["climber"] == "corner_steps") & (tables.effort["batch_norm"] == "running")
    climbs = tables.effort[same].groupby(["regime", "start"])
    assert len(panel.lines) == len(climbs) == len(panel.collections) == 6
    for (regime, _), seeds in climbs:
        values = seeds.groupby("evaluations")["sharpness"]
        shown = [*values.median().where(values.median() > 0)]
        match = [line for line in panel.lines if np.allclose(line.get_ydata(), shown, equal_nan=True)]
        assert [to_hex(line.get_color()).upper() for line in match] == [REGIMES[regime].color]
        assert match[0].get_drawstyle() == "steps-post"
        tops = [band.get_paths()[0].vertices[:, 1].max() for band in panel.collections]
        assert any(np.isclose(top, values.max().max()) for top in tops)
    assert "Median over 2 seeds, band: lowest to highest seed." in figure.get_supxlabel().replace("\n", " ")


def test_published_search_is_marked_where_it_ended(studies):
    tables = studies["effort"]
    assert len(effort(tables, network="C1", data="cifar10", space="full", epsilon=1e-3).axes[0].lines) == 6
    known = changed(tables, sharpness=tables.sharpness.assign(evaluations=13))
    lines = effort(known, network="C1", data="cifar10", space="full", epsilon=1e-3).axes[0].lines
    assert [list(line.get_xdata()) for line in lines if len(line.get_xdata()) == 2] == [[13, 13]]


def test_climber_without_a_reading_has_no_panel(studies):
    tables = studies["effort"]
    absent = (tables.effort["climber"] == "corner_steps") & (tables.effort["batch_norm"] == "running")
    figure = effort(
        changed(tables, effort=tables.effort[~absent]), network="C1", data="cifar10", space="full", epsilon=1e-3
    )
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False, True]


def test_climb_that_stops_early_keeps_its_value_to_the_end(studies):
    tables = studies["effort"]
    short = tables.effort[(tables.effort["evaluations"] < 5) | (tables.effort["start"] != "sign")]
    figure = effort(changed(tables, effort=short), network="C1", data="cifar10", space="full", epsilon=1e-3)
    ends = [(line.get_xdata()[-1], line.get_ydata()[-1] == line.get_ydata()[-2]) for line in figure.axes[1].lines]
    assert {end for end, _ in ends} == {100.0}
    assert sum(level for _, level in ends) == 2


def test_iterates_below_the_axis_are_counted(studies):
    figure = warm_start(studies["warm_start"], **SEARCH, series="warm_start")
    curves = studies["warm_start"].curves
    same = (curves["regime"] == "small_batch") & (curves["split"] == "test")
    iterates = 100 * curves[same].groupby("epoch")["accuracy"].mean()
    below = iterates[iterates < figure.axes[0].get_ylim()[0]]
    assert len(below) > 0
    text = f"{len(below)} of 21 iterates below the axis, the lowest at {below.min():.1f} %."
    assert text in figure.get_supxlabel().replace("\n", " ")


def test_each_other_regime_has_a_panel_with_the_rest_in_grey(studies):
    tables = studies["sweep"]
    figure = variation_curves(tables, **RUN)
    assert [axes.get_title("left") for axes in figure.axes] == [f"sweep {size}" for size in (100, 497, 1027, 3013)]
    errors = tables.curves.assign(error=100 * (1 - tables.curves["accuracy"]))
    means = errors.groupby(["regime", "split", "epoch"])["error"].mean()
    for axes, size in zip(figure.axes, (100, 497, 1027, 3013), strict=True):
        for split in ("train", "test"):
            assert has_curve(axes, list(means[f"sweep_{size}", split].items()))
        assert sum(line.get_color() == "0.82" for line in axes.lines) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_a_study_is_in_some_figure(studies, kind):
    tables = studies[kind]
    seen: dict[str, set] = {"curves": set(), "sharpness": set(), "effort": set()}
    for family in FAMILIES:
        for _, rows in figures_of(family, tables):
            frame = tables.frames[family.table]
            keys = [column for column in frame if column != "epoch"]
            seen[family.table] |= set(map(tuple, rows[keys].astype(str).to_numpy()))
    for name, found in seen.items():
        keys = [column for column in tables.frames[name] if column != "epoch"]
        assert set(map(tuple, tables.frames[name][keys].astype(str).to_numpy())) <= found, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_of_its_own_draws_the_study_and_no_other_does(studies, kind):
    families = {family.name for family in FAMILIES if list(figures_of(family, studies[kind]))}
    assert families & set(OWN.values()) == {OWN[kind]}


def test_a_whole_study_of_variations_renders(studies):
    names = [name for files in contents(studies["remedies"]) for name in files]
    assert "remedies_C1_cifar10_full_batch.pdf" in names
    assert "variation_curves_C1_cifar10.csv" in names


@pytest.mark.parametrize("power", [0.15, 0.4, 1, 3])
@pytest.mark.parametrize(("kind", "draw", "keys"), DRAWS, ids=KINDS)
def test_numbers_below_an_axis_do_not_overlap_however_long_it_is(studies, kind, draw, keys, power):
    tables = studies[kind]
    evaluations = np.ceil(tables.effort["evaluations"] ** power)
    frames = {
        "sharpness": tables.sharpness.assign(sharpness=tables.sharpness["sharpness"] ** power),
        "effort": tables.effort.assign(evaluations=evaluations),
        "curves": tables.curves.assign(loss=tables.curves["loss"] ** power),
    }
    figure = draw(changed(tables, **frames), **keys)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        low, high = sorted(axes.get_xlim())
        ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
        labels = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
        shown = [label for label in labels if label.get_visible() and label.get_text()]
        boxes = sorted((label.get_window_extent(canvas.renderer) for label in shown), key=lambda box: box.x0)
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes)), [label.get_text() for label in shown]


@pytest.mark.parametrize(("kind", "draw", "keys"), DRAWS, ids=KINDS)
def test_nothing_reaches_the_edge_and_the_footer_says_what_was_reduced(studies, kind, draw, keys):
    figure = draw(studies[kind], **keys)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert all((edge == 255).all() for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]))
    words = figure.get_supxlabel().replace("\n", " ")
    assert words.startswith("Data: CIFAR-10. 2 seeds. 20 epochs. BatchNorm: batch statistics")
    assert "2 seeds instead of 5." in words


@pytest.mark.parametrize(("kind", "draw", "keys"), DRAWS, ids=KINDS)
def test_missing_rows_are_a_results_error(studies, kind, draw, keys):
    with pytest.raises(ResultsError, match=r"has no row with network 'C9'.*; it has \d+ rows"):
        draw(studies[kind], **keys | {"network": "C9"})
    with pytest.raises(ResultsError, match=r"has no row with .*; it has 0 rows"):
        draw(Tables(), **keys)


@pytest.mark.parametrize(("kind", "draw", "keys"), DRAWS[:-1], ids=KINDS[:-1])
def test_what_a_logarithmic_axis_cannot_show_is_left_out_and_counted(studies, kind, draw, keys):
    tables = studies[kind]
    values = tables.sharpness["sharpness"].copy()
    first, second = np.flatnonzero(tables.sharpness["regime"] == "large_batch")[:2]
    values.iloc[first], values.iloc[second] = 0.0, np.inf
    figure = draw(changed(tables, sharpness=tables.sharpness.assign(sharpness=values)), **keys)
    words = figure.get_supxlabel().replace("\n", " ")
    assert "Sharpness 0 in 1 of " in words
    assert "1 of " in words and "searches not finite, left out." in words
    shown = np.concatenate([found[:, 1] for axes in figure.axes for found in curves_in(axes)])
    assert np.isfinite(shown).all()


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_the_pair_do_not_change_with_the_study(studies, kind):
    tables = studies[kind]
    rows = tables.sharpness[tables.sharpness["epoch"].isna() & tables.sharpness["regime"].isin(REGIMES)]
    pair = changed(tables, sharpness=rows, minima=tables.minima[tables.minima["regime"].isin(REGIMES)])
    assert verdict(tables) == verdict(pair)
    pd.testing.assert_frame_equal(summary_table(tables), summary_table(pair))
    pd.testing.assert_frame_equal(ratios(tables), ratios(pair))
    dots = sharpness_figure(tables, **RUN).axes[0].lines
    assert sum(line.get_marker() in "os" for line in dots) == 2 * 2 * 2
    assert len(training_curves(tables, **RUN).axes[0].lines) == 4


def test_other_distributions_of_a_are_no_part_of_the_summary(tables):
    random = tables.sharpness[tables.sharpness["space"] == "random"].assign(distribution="unit", sharpness=1e9)
    both = changed(tables, sharpness=pd.concat([tables.sharpness, random], ignore_index=True))
    pd.testing.assert_frame_equal(summary_table(both), summary_table(tables))
    assert verdict(both) == verdict(tables)
    dots = [line for axes in sharpness_figure(both, network="F1", data="digits").axes for line in axes.lines]
    assert max(line.get_ydata()[0] for line in dots) < 1e9


def test_distributions_of_a_stand_side_by_side_in_a_figure_of_their_own(tables):
    random = tables.sharpness[tables.sharpness["space"] == "random"].assign(distribution="normal")
    unit = random.assign(distribution="unit", sharpness=random["sharpness"] / 1000)
    both = changed(tables, sharpness=pd.concat([random, unit], ignore_index=True))
    figure = distributions(both, network="F1", data="digits")
    for axes, (reading, epsilon) in zip(figure.axes, product(("running", "batch"), (1e-3, 5e-4)), strict=True):
        rows = both.sharpness[(both.sharpness["batch_norm"] == reading) & (both.sharpness["epsilon"] == epsilon)]
        dots = [line.get_ydata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
        assert sorted(dots) == pytest.approx(sorted(rows["sharpness"]))
        assert [label.get_text() for label in axes.get_xticklabels()] == ["normal", "unit"] * 2
    with pytest.raises(ResultsError, match=r"has no row with network 'F1'.*; it has 0 rows"):
        distributions(tables, network="F1", data="digits")


def test_on_the_way_rows_need_a_network_on_its_way(tables, studies):
    assert on_the_way_rows(tables).empty
    assert warm_start_rows(studies["sweep"]).empty
    assert set(grouped(studies["warm_start"])["group"]) == {"pair", "warm_start"}


def test_method_looks_the_same_whatever_stands_beside_it():
    names = ["robust", "conservative", "large_batch_augmented"]
    assert {name: looks_of([name])[name] for name in names} == looks_of(names)


def test_looks_are_distinct_and_a_series_goes_from_light_to_dark():
    names = [
        "small_batch",
        "large_batch",
        "robust",
        "adversarial",
        "conservative",
        "stability",
        "large_batch_augmented",
    ]
    looks = looks_of(names)
    assert len({(look.color, look.marker) for look in looks.values()}) == len(names)
    assert looks["small_batch"] == REGIMES["small_batch"]
    series = looks_of([f"sweep_{size}" for size in (5000, 100, 497)])
    gray = {name: np.dot(to_rgb(look.color), (0.299, 0.587, 0.114)) for name, look in series.items()}
    assert gray["sweep_100"] > gray["sweep_497"] > gray["sweep_5000"]
    assert series["sweep_497"].label == "sweep 497"


def test_running_averages_stand_in_where_an_accuracy_was_not_recorded_and_are_said(make_study):
    tables = make_study("sweep")
    minima = tables.minima.assign(running_test_accuracy=0.5)
    minima.loc[minima["regime"] == "sweep_100", "test_accuracy"] = math.nan
    lacking = tables.having(minima=minima)
    rows = sweep_rows(lacking)
    assert set(rows.loc[rows["regime"] == "sweep_100", "test_accuracy"]) == {0.5}
    assert 0.5 not in set(rows.loc[rows["regime"] != "sweep_100", "test_accuracy"])
    assert averages_note(lacking).startswith("Accuracy with running averages where")
    assert averages_note(tables) == ""
