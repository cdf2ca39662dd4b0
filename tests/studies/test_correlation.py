"""The correlation study: taus against their definitions written out, trainings against their weights."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from typer.testing import CliRunner

from flatmin.cli import app
from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Store
from flatmin.studies.correlation import KIND
from flatmin.studies.correlation.found import sentences
from flatmin.studies.correlation.judged import judged, tabled
from flatmin.studies.correlation.ranks import Pairs, bootstrapped, taus

AXES = ["batch_size", "learning_rate", "width", "weight_decay"]
FILE = """
name: small
kind: correlation
data: {name: digits, examples: 60}
test_examples: 50
pool: 1
batch_sizes: [15, 30]
learning_rates: [1.0e-9, 0.3]
widths: [4]
weight_decays: [0.0, 0.01]
seeds: [0, 1]
target: 2.2
epochs: 30
measures: [parameter_norm, pac_bayes_sigma, rounding_rise, local_learning_coefficient, m_sharpness]
left_out: {m_sharpness: not wanted}
settings: {pac_bayes_sigma: {draws: 2}, rounding_rise: {bits: [3, 4]}}
resamples: 100
resources: {wandb: {mode: disabled}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("correlation")
    (folder / "small.yaml").write_text(FILE)
    return run(Study.of(load_experiment(folder / "small.yaml"), results=folder))


def grid(batches=(1, 2, 3), rates=(1.0, 2.0), widths=(1, 2), decays=(0.0, 1.0), seeds=(0, 1)):
    rows = product(batches, rates, widths, decays, seeds)
    return pd.DataFrame(rows, columns=[*AXES, "seed"])


def found(runs, values, gaps):
    """Plain, granulated and along each axis, of one measure."""
    pairs = Pairs.of(runs)
    agreement = pairs.agreement(np.asarray(values, float), np.asarray(gaps, float))
    return taus(pairs, agreement[:, None], np.ones((1, len(pairs.first))))[:, 0, 0]


def test_plain_tau_is_that_of_scipy_and_a_tie_counts_as_neither():
    runs, generator = grid(), np.random.default_rng(0)
    values, gaps = generator.normal(size=(2, len(runs)))
    assert found(runs, values, gaps)[0] == pytest.approx(kendalltau(values, gaps).statistic)
    values = np.round(values)
    pairs = list(combinations(range(len(runs)), 2))
    signs = [np.sign(values[i] - values[j]) * np.sign(gaps[i] - gaps[j]) for i, j in pairs]
    assert found(runs, values, gaps)[0] == pytest.approx(sum(signs) / len(pairs))


def test_granulated_tau_is_the_mean_over_axes_of_the_taus_along_the_lines_of_a_whole_grid():
    runs, generator = grid(), np.random.default_rng(1)
    runs["value"], runs["gap"] = generator.normal(size=(2, len(runs)))
    runs = runs.sample(frac=1, random_state=0).reset_index(drop=True)
    along = []
    for axis in AXES:
        others = [name for name in [*AXES, "seed"] if name != axis]
        lines = [kendalltau(line["value"], line["gap"]).statistic for _, line in runs.groupby(others)]
        along.append(np.mean(lines))
    taus_found = found(runs, runs["value"], runs["gap"])
    assert taus_found[2:] == pytest.approx(along) and taus_found[1] == pytest.approx(np.mean(along))


def test_granulated_tau_of_four_trainings_by_hand():
    runs = pd.DataFrame(
        [(8, 0.1, 16, 0.0, 0), (32, 0.1, 16, 0.0, 0), (8, 0.1, 32, 0.0, 0), (32, 0.1, 32, 0.0, 0)],
        columns=[*AXES, "seed"],
    )
    # batch size: 1 < 2 with gaps 1 < 3, and 4 > 3 with gaps 4 > 2: both agree; width: 1 < 4 with 1 < 4 agrees,
    # 2 < 3 with 3 > 2 does not. Of the two diagonals 1, 3 (gaps 1, 2) agree, and 2, 4 (gaps 3, 4) do.
    plain, granulated, *axes = found(runs, [1, 2, 4, 3], [1, 3, 4, 2])
    assert (plain, granulated) == (pytest.approx(4 / 6), 0.5)
    assert axes[0] == 1 and axes[2] == 0 and np.isnan(axes[1]) and np.isnan(axes[3])


def test_two_seeds_are_no_axis_and_what_has_no_value_is_as_if_it_were_not_there():
    runs, generator = grid(), np.random.default_rng(2)
    values, gaps = generator.normal(size=(2, len(runs)))
    values[3] = np.nan
    without = runs.drop(index=3).reset_index(drop=True)
    assert found(runs, values, gaps) == pytest.approx(found(without, np.delete(values, 3), np.delete(gaps, 3)))
    alone = grid(batches=(1,), rates=(1.0,), widths=(1,), decays=(0.0,))
    assert np.isnan(found(alone, [1, 2], [1, 2])[1:]).all() and found(alone, [1, 2], [1, 2])[0] == 1


def test_a_pair_counts_as_often_as_its_seeds_and_settings_were_drawn():
    runs = grid(batches=(1, 2), rates=(1.0,), widths=(1,), decays=(0.0,), seeds=(0, 1, 2))
    pairs = Pairs.of(runs)
    generator = np.random.default_rng(3)
    drawn = pairs.drawn(4, np.random.default_rng(3))
    seeds, settings = (generator.multinomial(count, np.full(count, 1 / count), size=4) for count in (3, 2))
    for resample, (pair, (i, j)) in product(range(4), enumerate(combinations(range(6), 2))):
        one, other = runs.loc[i], runs.loc[j]
        times = seeds[resample][sorted({int(one["seed"]), int(other["seed"])})].prod()
        times *= settings[resample][sorted({int(one["batch_size"]) - 1, int(other["batch_size"]) - 1})].prod()
        assert drawn[resample, pair] == times


def test_intervals_of_chance_cover_0_as_often_as_they_say_or_oftener():
    runs, generator = grid(seeds=(0, 1, 2, 3)), np.random.default_rng(4)
    pairs, gaps = Pairs.of(runs), generator.normal(size=len(runs))
    agreements = np.stack([pairs.agreement(generator.normal(size=len(runs)), gaps) for _ in range(200)], axis=1)
    low, high = np.nanquantile(bootstrapped(pairs, agreements, 200)[:2], [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean(1).min() >= 0.92


def test_scores_are_those_of_the_stored_weights_and_a_norm_that_of_their_vector(tables, file, tmp_path):
    digits = load("digits")
    inputs, tests = digits.train.inputs[:60].numpy().reshape(60, -1), digits.test.inputs[:50].numpy().reshape(50, -1)
    mean, deviation = inputs.mean(0), inputs.std(ddof=1)
    study = Study.of(load_experiment(file), results=Store(tmp_path).root)
    step = next(step for step in study.steps if step.kind == "correlation_trainings" and step.learning_rate == 0.3)
    outcome = step.run(study.workplace, tmp_path, lambda share: None)
    rows = tables.frames["correlation_trainings"]
    row = rows[(rows[[*AXES, "seed"]] == [step.facts[name] for name in [*AXES, "seed"]]).all(axis=1)].iloc[0]
    for split, images, targets in (("train", inputs, digits.train.targets), ("test", tests, digits.test.targets)):
        hidden = (images - mean) / deviation
        for layer in ("0", "2", "4"):
            hidden = hidden @ outcome.arrays[f"{layer}.weight"].T + outcome.arrays[f"{layer}.bias"]
            hidden = np.maximum(hidden, 0) if layer != "4" else hidden
        right = targets.numpy()[: len(images)]
        losses = np.log(np.exp(hidden).sum(1)) - hidden[np.arange(len(images)), right]
        assert row[f"{split}_loss"] == pytest.approx(losses.mean(), rel=1e-4)
        assert row[f"{split}_accuracy"] == pytest.approx((hidden.argmax(1) == right).mean())
    norms = tables.frames["correlation_measures"].query("measure == 'parameter_norm'")
    norm = norms[(norms[[*AXES, "seed"]] == [step.facts[name] for name in [*AXES, "seed"]]).all(axis=1)]["value"]
    assert norm.item() == pytest.approx(np.sqrt(sum((array**2).sum() for array in outcome.arrays.values())), rel=1e-5)


def test_what_has_not_reached_the_target_is_said_and_neither_measured_nor_judged(tables):
    trained, measured = tables.frames["correlation_trainings"], tables.frames["correlation_measures"]
    assert len(trained) == 16 and (trained["status"] == "reached").sum() == 8
    assert set(trained.loc[trained["status"] == "short", "learning_rate"]) == {1e-9}
    assert set(measured["learning_rate"]) == {0.3} and len(measured) == 8 * 4
    said = list(sentences(tables))
    assert said[0].endswith("8 reached a cross-entropy of 2.2 within 30 epochs and are judged.")
    assert "8 did not and are left out, which thins the grid unevenly: batch size 15 (4), 30 (4)" in said[1]
    assert set(judged(tables)["n"]) == {8}


def test_a_measure_above_the_price_and_one_that_is_not_wanted_are_named(tables):
    reduced = [remark["text"] for remark in tables.provenance["reduced"]]
    assert "local_learning_coefficient left out: 7,200 passes over the examples" in reduced
    assert "m_sharpness left out: not wanted" in reduced


def with_values(tables, value):
    """The tables with one number for a measure, made of the gaps."""
    runs = tables.frames["correlation_trainings"]
    gap = (runs["test_loss"] - runs["train_loss"]).rename("gap")
    rows = tables.frames["correlation_measures"].merge(pd.concat([runs[[*AXES, "seed"]], gap], axis=1))
    return tables.having(correlation_measures=rows.assign(value=value(rows)).drop(columns="gap"))


def test_a_measure_that_all_but_is_the_gap_rises_with_it_and_the_sign_of_a_sigma_is_turned(tables):
    same = with_values(tables, lambda rows: rows["gap"].rank(method="dense").replace({1: 2, 2: 1}))
    rows = judged(same).query("gap == 'loss_gap' and which == 'plain'").set_index("measure")["tau"]
    assert rows["parameter_norm"] == -rows["pac_bayes_sigma"] == pytest.approx(26 / 28)
    said = next(line for line in sentences(same) if line.startswith("Gap in loss, plain tau"))
    rising, falling = said.split(" rise with it")
    assert "norm of the weights" in rising and "PAC-Bayes sigma, sign turned" in falling
    axes = [line for line in sentences(same) if line.startswith("The granulated tau with the")]
    assert len(axes) == 2 and all("along batch size" in line and "along width" not in line for line in axes)
    constant = judged(with_values(tables, lambda rows: 1.0)).query("measure == 'rounding_rise'")
    absent = constant["which"].isin(["learning_rate", "width"])
    assert (constant["tau"][~absent] == 0).all() and constant["tau"][absent].isna().all()
    assert constant["p"].isna().all()


def test_a_table_for_each_gap_a_figure_and_the_numbers_of_the_mirror(tables, tmp_path):
    captions = [caption for caption, rows in tabled(tables) if len(rows) == 6]
    assert len(captions) == 2 and len(list(KIND.tabulated(tables))) == 2
    assert {path.suffix for path in KIND.draw(tables, tmp_path)} == {".pdf", ".png", ".csv"}
    frames, numbers = KIND.logged(tables)
    assert "tables/correlation_taus" in frames and "correlation/loss_gap/rounding_rise_bits_3,_tensor" in numbers
    assert not list(sentences(tables.having(correlation_trainings=tables.frames["correlation_trainings"].head(0))))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("measures=[sharpnes]", "must name measures"),
        ("settings={effort: {}}", "must name measures"),
        ("settings={path_norm: {epochs: [1]}}", "settings.path_norm.epochs must be absent: minima are measured"),
        ("settings={path_norm: {bits: 3}}", "settings.path_norm.bits"),
        ("measures=[m_sharpness]", "measures must leave some that are not in left_out"),
        ("weight_decays=[-0.1]", "must not be negative, got -0.1"),
        ("batch_sizes=[61]", "batch_sizes must be at most the 60 examples, got 61"),
        ("test_examples=100000", "test_examples must be at most the"),
        ("passes=1 measures=[rounding_rise]", "passes must allow some measure, got 1; all cost more"),
    ],
)
def test_bad_settings_are_one_line(file, tmp_path, override, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        Study.of(load_experiment(file, override.split(" ") if "passes" in override else [override]), results=tmp_path)


def test_a_budget_leaves_a_share_of_epochs_and_examples(file, tmp_path):
    reduced = [remark.text for remark in Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path).reduced]
    assert any(text.startswith("The first 30 of") for text in reduced) and "At most 15 of 30 epochs" in reduced


def test_a_run_ends_with_the_sentences_and_a_report_has_the_tables(file, tmp_path):
    over = ["seeds=[0]", "learning_rates=[0.3]", "weight_decays=[0.0]", "measures=[path_norm]"]
    ran = CliRunner().invoke(app, ["run", str(file), *over, "--results", str(tmp_path)], env={"COLUMNS": "200"})
    assert ran.exit_code == 0 and "Gap in loss, granulated tau" in ran.output
    CliRunner().invoke(app, ["report", str(tmp_path / "small"), "--out", str(tmp_path / "report")])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Path norm (control)" in text and "correlation.png" in text
