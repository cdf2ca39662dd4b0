"""The study of remedies: who is tuned, what is chosen, what it costs, and what intervals say of it."""

import math

import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from flatmin.experiments import Study, load_experiment, run
from flatmin.results.intervals import Interval, of_ratio_of_means
from flatmin.studies.remedies.found import verdict
from flatmin.studies.remedies.judged import effect, ways
from flatmin.studies.remedies.trainings import Candidate, TunedTraining, best, work

FILE = """
name: remedies
kind: remedies
data: {name: digits, examples: 120}
network: {name: F1, width: 4}
seeds: [0, 1]
regimes: {small_batch: {batch_size: 12}, large_batch: {batch_size: 50%}}
training: {epochs: 2, optimizer: sgd, learning_rate: 0.1}
variations:
  tuned: {batch_size: 50%}
  sqrt_scaling: {batch_size: 50%, scaling: sqrt}
  regime_adaptation: {batch_size: 50%, regime_adaptation: true}
  sam: {batch_size: 50%, method: sam}
  swap: {batch_size: 50%, swap: {batch_size: 12, epochs: 3, workers: 2}}
tuning: {factors: [0.5, 2], validation: 20}
sharpness: null
slices: null
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "remedies.yaml").write_text(FILE)
    return Study.of(load_experiment(tmp_path / "remedies.yaml"), results=tmp_path)


def of(study, name, seed=0):
    return next(s for s in study.steps if isinstance(s, TunedTraining) and (s.regime, s.seed) == (name, seed))


def test_rules_and_the_plain_large_batch_have_the_small_batchs_learning_rate_and_the_others_their_own(study):
    tried = {s.regime for s in study.steps if isinstance(s, Candidate)}
    assert tried == {"small_batch", "tuned", "sam", "swap"}
    for name in ("small_batch", "large_batch", "sqrt_scaling", "regime_adaptation"):
        assert {c.regime for c in of(study, name).candidates} == {"small_batch"}
    assert {c.regime for c in of(study, "sam").candidates} == {"sam"}
    rates = [c.settings.learning_rate for c in of(study, "sam").candidates]
    assert rates == [0.05, 0.2] and all(
        c.data["examples"] == 100 and c.seed == 1000 for c in of(study, "sam").candidates
    )
    assert of(study, "sqrt_scaling").settings.learning_rate == pytest.approx(0.1 * math.sqrt(60 / 12))


def test_updates_and_gradients_are_those_of_arithmetic(study):
    assert work(of(study, "small_batch"), 2) == {"updates": 20, "gradients": 240}
    assert work(of(study, "sam"), 2) == {"updates": 4, "gradients": 480}
    adapted = of(study, "regime_adaptation")
    assert adapted.settings.epochs == 10 and work(adapted, 10) == {"updates": 20, "gradients": 1200}
    assert work(of(study, "swap"), 2) == {"updates": 4 + 3 * 10, "gradients": 120 * (2 + 3 * 2)}


def test_the_best_candidate_is_taken_and_one_that_diverged_is_the_worst(study):
    low, high = of(study, "sam").candidates

    def result(accuracy, loss, train=0.1):
        return {"validation_accuracy": accuracy, "validation_loss": loss, "train_loss": train}

    assert best([(low, result(0.9, 1.0)), (high, result(0.8, 0.1))]) is low
    assert best([(low, result(0.9, 1.0)), (high, result(0.9, 0.1))]) is high
    assert best([(low, result(0.1, 9.0)), (high, result(0.9, math.nan))]) is low
    assert best([(low, result(math.nan, 2.0)), (high, result(math.nan, 1.0))]) is high
    assert best([(low, result(math.nan, math.nan)), (high, result(0.9, 1.0, math.inf))]) is low


def test_it_runs_and_each_way_is_told_with_what_it_was_trained_with(study, tmp_path):
    long = ["training.epochs=12", "network.width=16", "variations.regime_adaptation=null", "variations.sam=null"]
    study = Study.of(load_experiment(tmp_path / "remedies.yaml", long), results=tmp_path)
    tables = run(study)
    found = {way.name: way for way in ways(tables)}
    assert (
        set(found) >= {"small_batch", "large_batch", "tuned", "sqrt_scaling", "swap"}
        and found["large_batch"].gain.center == 0
    )
    rows = tables.frames["ways"].set_index(["regime", "seed"])
    chosen = rows.loc[("small_batch", 0), "factor"]
    assert (rows.loc[["large_batch", "sqrt_scaling"], "factor"] == chosen).all()
    assert rows.loc[("sqrt_scaling", 0), "learning_rate"] == pytest.approx(0.1 * chosen * math.sqrt(5))
    members = tables.frames["members"]
    assert sorted(members.loc[members["seed"] == 0, "member"]) == [-1, 0, 1] and list(study.kind.printed(tables))


def test_fiellers_interval_holds_the_ratios_that_the_t_test_does_not_reject():
    first, second = pd.Series([1.0, 2.2, 2.9, 4.4]), pd.Series([2.1, 3.9, 6.2, 8.1])
    found = of_ratio_of_means(first, second)

    def p(ratio):
        return ttest_1samp(first - ratio * second, 0).pvalue

    assert p(found.low) == pytest.approx(0.05) and p(found.high) == pytest.approx(0.05)
    assert p(found.low - 1e-3) < 0.05 < p(found.low + 1e-3) and p(found.high + 1e-3) < 0.05 < p(found.high - 1e-3)
    assert not of_ratio_of_means(first, pd.Series([1.0, -1.0, 2.0, -1.5])).exists


@pytest.mark.parametrize(
    ("low", "high", "said", "judged"),
    [(0.1, 0.5, "up", "holds"), (-0.5, -0.1, "down", "does not hold"), (-0.1, 0.5, "", "undecided")],
)
def test_a_word_is_said_where_the_interval_is_on_one_side(low, high, said, judged):
    interval = Interval((low + high) / 2, low, high, (low, high))
    assert effect(interval, 0.0, ("down", "up")) == said and verdict(interval) == judged
    assert verdict(Interval(1.0, math.nan, math.nan, (1.0,))) == "undecided"
