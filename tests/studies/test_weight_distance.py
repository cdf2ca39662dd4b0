"""The study of the distance from the start: its trainings against SGD written out, its verdicts against known laws."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError, ResultsError
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.networks import F1
from flatmin.studies.weight_distance import KIND
from flatmin.studies.weight_distance.found import before, fits, sentences, tabled
from flatmin.training import start_network

FILE = (
    "name: far\nkind: weight_distance\ndata: {name: digits, examples: 40}\nnetwork: {name: F1, width: 4}\n"
    "batch_sizes: [10, 100%]\nupdates: 12\npoints: 10\nseeds: [0, 1]\n"
    "resources: {device: cpu, wandb: {mode: disabled}}\n"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "far.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def tables(file, tmp_path):
    return run(Study.of(load_experiment(file), results=tmp_path))


@pytest.mark.parametrize(("rule", "rate"), [("same", 0.1), ("sqrt", 0.2)])
def test_a_full_batch_training_is_momentum_written_out_and_its_distance_that_of_all_weights(tables, rule, rate):
    train = load("digits").train.first(40)
    network = start_network(lambda: F1((1, 8, 8), 10, width=4), 0)
    weights = [*network.parameters()]
    start = [weight.detach().clone() for weight in weights]
    speed = [torch.zeros_like(weight) for weight in weights]
    away = []
    for _ in range(12):
        slopes = torch.autograd.grad(cross_entropy(network(train.inputs), train.targets), weights)
        for weight, one, slope in zip(weights, speed, slopes, strict=True):
            one.mul_(0.9).add_(slope)
            weight.data.sub_(rate * one)
        gone = sum((weight.detach() - there).square().sum() for weight, there in zip(weights, start, strict=True))
        away.append(float(gone.sqrt()))
    rows = tables.frames["weight_distance"].query("rule == @rule and batch_size == 40 and seed == 0")
    assert rows["learning_rate"].unique().tolist() == [pytest.approx(rate)]
    assert rows["update"].iloc[[0, -1]].tolist() == [1, 12] and rows["epoch"].tolist() == rows["update"].tolist()
    expected = [away[int(update) - 1] for update in rows["update"]]
    np.testing.assert_allclose(rows["distance"], expected, rtol=1e-4)


def trainings(law, *, right=None, noise=0.0):
    """Rows of two batch sizes and three seeds whose distance follows a law of the update."""
    updates = np.unique(np.geomspace(1, 1000, 40).round())
    drawn = np.random.default_rng(0)
    return pd.concat(
        pd.DataFrame(
            {
                **{"rule": "same", "batch_size": size, "learning_rate": 0.1, "seed": seed, "update": updates},
                **{"epoch": updates, "distance": law(updates) + noise * drawn.normal(size=len(updates))},
                **{"start": 1.0, "loss": 0.1, "accuracy": np.where(updates >= (right or np.inf), 1.0, 0.9)},
            }
        )
        for size in (10, 100)
        for seed in (0, 1, 2)
    ).reset_index(drop=True)


@pytest.mark.parametrize(
    ("law", "verdict"),
    [(lambda t: 1 + 2 * np.log(t), "holds"), (np.sqrt, "does not hold"), (lambda t: t / 100, "does not hold")],
    ids=["logarithm", "square root", "line"],
)
def test_a_law_is_known_by_its_squares(tables, law, verdict):
    found = [*sentences(tables.having(weight_distance=trainings(law, noise=1e-3)))]
    assert next(text for text in found if text.startswith("R4")).startswith(
        f"R4 for one learning rate, until all training examples are right, {verdict}"
    )


def test_the_table_has_both_laws_of_every_batch_size_and_way_of_counting(tables):
    ((caption, shown),) = tabled(tables.having(weight_distance=trainings(np.sqrt, noise=1e-9)))
    assert "95 % t interval" in caption and len(shown) == len(shown.drop_duplicates(["updates", "batch", "counted"]))
    assert set(shown["batch"]) == {"10", "100"} and shown["counted"].nunique() == 2
    assert shown["square root"].str.startswith("1.000").all() and not shown["logarithm"].str.startswith("1.000").any()
    assert not [*tabled(tables.having(weight_distance=tables.frames["weight_distance"].iloc[:0]))]


def test_the_verdict_before_all_is_right_does_not_see_what_comes_after(tables):
    def stopped(updates):
        return np.log(np.minimum(updates, 30))

    rows = trainings(stopped, right=30, noise=1e-3)
    assert before(rows[rows["seed"] == 0].query("batch_size == 10"))["update"].max() == 35
    found = [*sentences(tables.having(weight_distance=rows))]
    assert ", holds:" in found[0] and ", does not hold:" in found[1]
    assert found[-1].endswith("over that of batches of 10: batches of 100 1.00 [0.998, 1.00].")


def test_squares_are_those_of_a_correlation():
    rows = trainings(lambda t: np.log(t) ** 2)
    one = rows.query("batch_size == 10 and seed == 0")
    looks, updates = fits(rows).iloc[0], fits(rows).iloc[1]
    every = np.arange(1, 1001)
    distances = np.interp(every, one["update"], one["distance"])
    for law in (np.log, np.sqrt):
        squared = np.corrcoef(law(one["update"]), one["distance"])[0, 1] ** 2
        assert looks[law.__name__] == pytest.approx(squared, rel=1e-9)
        assert updates[law.__name__] == pytest.approx(np.corrcoef(law(every), distances)[0, 1] ** 2, rel=1e-9)


def test_a_law_of_the_first_updates_alone_is_not_taken_for_one_of_all(tables):
    def bent(updates):
        return np.log(np.minimum(updates, 100)) + 0.3 * np.maximum(updates - 100, 0) / 100

    found = fits(trainings(bent)).groupby("counting")["log"].mean()
    assert found["looks"] > 0.95 > found["updates"]
    said = [*sentences(tables.having(weight_distance=trainings(bent, noise=1e-3)))]
    assert ", does not hold:" in said[0]


def test_one_seed_is_undecided_and_its_ratio_has_no_interval(tables):
    rows = trainings(np.log).query("seed == 0")
    found = [*sentences(tables.having(weight_distance=rows))]
    assert ", undecided:" in found[0] and not any("nan" in text for text in found)


def test_a_training_that_diverges_ends_and_is_drawn(file, tmp_path):
    tables = run(Study.of(load_experiment(file, ["learning_rate=1e30", "seeds=[0]"]), results=tmp_path))
    assert KIND.draw(tables, tmp_path / "figures") and all("nan" not in text for text in sentences(tables))


def test_trainings_that_diverge_or_stay_are_named_and_decide_nothing(tables, tmp_path):
    """One seed of each batch size is thrown out half-way; the others answer as if it had not been asked for."""
    rows = trainings(lambda t: 1 + 2 * np.log(t), noise=1e-3)
    late = (rows["seed"] == 2) & (rows["update"] > 30)
    thrown = rows.assign(
        distance=rows["distance"].mask(late, 1e30), loss=rows["loss"].mask(late & (rows["update"] > 900), np.nan)
    )
    resting = rows[rows["seed"] == 0].assign(seed=3, distance=0.0)
    broken = tables.having(weight_distance=pd.concat([thrown, resting]).reset_index(drop=True))
    first, second, *found = sentences(broken)
    named = "1 with one learning rate, B = 10, 1 with one learning rate, B = 100."
    assert first == f"2 of 8 trainings diverged and are left out: {named}"
    assert second == f"2 of 8 trainings never left the start and are left out: {named}"
    assert found == [*sentences(tables.having(weight_distance=rows[rows["seed"] < 2]))]
    assert KIND.draw(broken, tmp_path / "figures")


@pytest.mark.parametrize("rate", ["1e30", "1e-50"], ids=["diverged", "at rest"])
def test_where_all_trainings_are_left_out_nothing_is_judged(file, tmp_path, rate):
    tables = run(Study.of(load_experiment(file, [f"learning_rate={rate}", "momentum=0"]), results=tmp_path))
    found = [*sentences(tables)]
    assert "6 of 6 trainings" in found[0] and not any(text.startswith("R4") or "nan" in text for text in found)
    assert KIND.draw(tables, tmp_path / "figures")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch_sizes=[1, 10]", "batch_sizes must be 2 or more, as BatchNorm needs"),
        ("batch_sizes=[10, 41]", "batch_sizes.*at most the 40 training examples"),
        ("network=C1", "network C1 takes inputs of 3 x 32 x 32"),
        ("rules=[same, same]", "rules"),
        ("updates=3", "updates"),
    ],
)
def test_what_cannot_be_is_said(file, tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        Study.of(load_experiment(file, [change]), results=tmp_path)


def test_a_budget_cuts_updates_and_examples_and_says_so(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path)
    assert {step.updates for step in study.steps} == {6} and study.steps[0].data["examples"] == 20
    assert any("6 of 12 updates" in remark.text for remark in study.reduced)


def test_a_rule_without_a_larger_batch_size_is_refused(file, tmp_path):
    with pytest.raises(ConfigError, match=r"rules must have same where there is one batch size.*got sqrt"):
        Study.of(load_experiment(file, ["rules=[sqrt]", "batch_sizes=[10]"]), results=tmp_path)


def test_a_small_last_batch_is_said(file, tmp_path):
    study = Study.of(load_experiment(file, ["batch_sizes=[10, 38]"]), results=tmp_path)
    assert any("leave a last one of 2" in remark.text for remark in study.cautions)


def test_it_is_drawn(tables, tmp_path):
    files = {path.name for path in KIND.draw(tables, tmp_path)}
    assert files == {"weight_distance.csv", "weight_distance.pdf", "weight_distance.png"}
    empty = tables.having(weight_distance=tables.frames["weight_distance"].iloc[:0])
    with pytest.raises(ResultsError, match="empty"):
        KIND.draw(empty, tmp_path)
