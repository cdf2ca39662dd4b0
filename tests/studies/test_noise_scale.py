"""The grid of learning rates and batch sizes: stacks against torch's own training, verdicts against invented tables."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments import Study, load_experiment, run
from flatmin.experiments.small_networks import relu_network
from flatmin.studies.noise_scale import KIND, cost
from flatmin.studies.noise_scale.found import best, ratio, sentences, swapped
from flatmin.studies.noise_scale.judged import best_sizes, breaking, departures, explained, networks, slope_of_best
from flatmin.studies.noise_scale.schedules import ScheduleTraining
from flatmin.studies.noise_scale.settings import Swap
from flatmin.studies.noise_scale.stack import Stack

RATES, SIZES, SEEDS = (0.05, 0.1, 0.2, 0.4), (4, 8, 16, 32), (0, 1, 2)
SMALL = """
name: small
kind: noise_scale
data: {name: digits, examples: 60}
test_examples: 50
pool: 1
width: 6
batch_sizes: [15, 30]
learning_rates: [0.1, 0.2, 1000.0]
momentum: 0.5
seeds: [0, 3]
target: 2.1
epochs: 12
equal_epochs: 4
swap: {learning_rate: 0.2, batch_size: 15, factor: 2, at: [2], epochs: 4}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def study(file, tmp_path_factory):
    return Study.of(load_experiment(file), results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def tables(study):
    return run(study)


def test_each_network_of_a_stack_is_that_of_torch_and_one_that_diverges_leaves_the_others(study):
    torch.manual_seed(0)
    singles, rates = [relu_network(5, 3, 4) for _ in range(3)], (0.1, 1e30, 0.4)
    stack = Stack.of(singles)
    inputs, targets = torch.randn(4, 3, 7, 5), torch.randint(3, (4, 3, 7))
    optimizers = [
        torch.optim.SGD(one.parameters(), rate, momentum=0.9) for one, rate in zip(singles, rates, strict=True)
    ]
    for step in range(4):
        stack.step(inputs[step], targets[step], torch.tensor(rates), 0.9)
        for place, (one, optimizer) in enumerate(zip(singles, optimizers, strict=True)):
            optimizer.zero_grad()
            cross_entropy(one(inputs[step, place]), targets[step, place]).backward()
            optimizer.step()
    for place in (0, 2):
        for name, weight in singles[place].state_dict().items():
            assert torch.allclose(stack.weights[name][place], weight, atol=1e-6)
    assert not all(weight[1].isfinite().all() for weight in stack.weights.values())


def test_what_is_kept_after_equal_epochs_is_what_torch_trains_in_the_same_order(study, tables):
    training = study.steps[0]
    record, (train, test) = study.workplace.record(training), (study.workplace.train, study.workplace.test)
    network = study.workplace.start(3)
    sgd = torch.optim.SGD(network.parameters(), 0.2, momentum=0.5)
    batches = ShuffledBatches(*train, 15, seed=3)
    for _ in range(4):
        for inputs, targets in batches:
            sgd.zero_grad()
            cross_entropy(network(inputs), targets).backward()
            sgd.step()
    place = training.each.index((0.2, 3))
    kept = training.network(study.workplace, record.arrays, "equal_epochs", place).state_dict()
    assert all(torch.allclose(kept[name], weight, atol=1e-6) for name, weight in network.state_dict().items())
    rows = tables.frames["noise_scale_networks"]
    row = rows.query("reading == 'equal_epochs' and learning_rate == 0.2 and seed == 3 and batch_size == 15").iloc[0]
    right = (network(test.inputs).argmax(1) == test.targets).double().mean()
    assert row["test_accuracy"] == pytest.approx(float(right)) and row["updates"] == 16


def test_networks_at_the_same_loss_have_just_come_below_it_and_those_that_cannot_are_told(tables):
    rows = tables.frames["noise_scale_networks"]
    assert len(rows) == 2 * 3 * 2 * 2
    same = rows[rows["reading"] == "equal_loss"]
    assert set(same.loc[same["learning_rate"] == 1000, "status"]) == {"lost"}
    good = same[same["status"] == "reached"]
    assert len(good) and (good["train_loss"] <= 2.1).all() and (good["train_loss"] > 1.7).all()
    assert (good["epochs"] <= 12).all() and np.allclose(good["updates"], good["epochs"] * 60 / good["batch_size"])
    measured = tables.frames["noise_scale_sharpness"]
    assert len(measured) == (rows["status"] == "reached").sum() and (measured["top_eigenvalue"] > 0).all()


def test_growth_has_the_ratios_of_decay_and_fewer_updates(study, tables):
    ways = {step.schedule: list(step.plan()) for step in study.steps if isinstance(step, ScheduleTraining)}
    assert ways["decay"] == [(0.2, 15)] * 2 + [(0.1, 15)] * 2 and ways["growth"] == [(0.2, 15)] * 2 + [(0.2, 30)] * 2
    rows = tables.frames["noise_scale_schedules"]
    ends = rows[rows["epoch"] == 4].groupby("schedule")["updates"].first()
    assert ends.to_dict() == {"constant": 16, "decay": 16, "growth": 12}
    before = rows[rows["epoch"] == 2].pivot(index="seed", columns="schedule", values="train_loss")
    assert (before["growth"] == before["decay"]).all() and (before["growth"] == before["constant"]).all()


def test_a_figure_each_a_table_for_each_reading_and_a_sentence_for_each_claim(tables, tmp_path):
    assert {path.suffix for path in KIND.draw(tables, tmp_path)} == {".pdf", ".png", ".csv"}
    assert len(list(KIND.tabulated(tables))) == 2 and len(list(sentences(tables))) > 10
    frames, numbers = KIND.logged(tables)
    assert set(frames) == {f"tables/{name}" for name in KIND.columns} and len(numbers) == 8


def invented(tables, value, accuracy=lambda rate, size, seed: 0.9):
    """The tables of a whole grid in which sharpness, epochs and accuracy are what is said."""
    grid = pd.DataFrame(product(SIZES, RATES, SEEDS, ("equal_loss", "equal_epochs")))
    grid.columns = ["batch_size", "learning_rate", "seed", "reading"]
    cells = grid[["learning_rate", "batch_size", "seed"]].to_numpy()
    values = [value(*cell) for cell in cells]
    rows = grid.assign(status="reached", epochs=values, train_loss=values, test_loss=1.0, train_accuracy=1.0)
    rows = rows.assign(
        updates=64 * rows["epochs"] / rows["batch_size"], test_accuracy=[accuracy(*cell) for cell in cells]
    )
    sharp = grid.assign(top_eigenvalue=values, adaptive=values, residual=0.0, converged=1.0)
    return tables.having(noise_scale_networks=rows, noise_scale_sharpness=sharp)


def noisy(rate, size, seed):
    """A little of chance, the same at every call."""
    return math.exp(0.02 * np.random.default_rng([int(1000 * rate), int(size), int(seed)]).normal())


@pytest.mark.parametrize(
    ("law", "expected", "verdict"),
    [
        (lambda rate, size, seed: noisy(rate, size, seed) * size / rate, 1.0, "holds;"),
        (lambda rate, size, seed: noisy(rate, size, seed) * math.sqrt(size) / rate, 0.5, "undecided"),
        (lambda rate, size, seed: noisy(rate, size, seed) / rate, 0.0, "does not hold"),
    ],
)
def test_a_law_of_the_ratio_is_found_and_another_power_is_told_from_it(tables, law, expected, verdict):
    row = explained(invented(tables, law)).query("quantity == 'top_eigenvalue' and reading == 'equal_loss'").iloc[0]
    assert row["power"] == pytest.approx(expected, abs=0.03) and row["power_low"] < row["power"] < row["power_high"]
    assert (row["ratio"] > 0.99) == (expected == 1) and (row["rate"] > 0.99) == (expected == 0)
    said = ratio(row.to_dict())
    assert said.startswith(f"R6 (at the same loss, largest eigenvalue), lr/B counts and not lr or B: {verdict}") or (
        expected == 0.5 and "lr/B explains" in said
    )


def test_what_departs_from_its_ratio_at_large_rates_is_seen_from_there_on(tables):
    broken = invented(
        tables, lambda rate, size, seed: noisy(rate, size, seed) * size / rate * (2 if rate == 0.4 else 1)
    )
    found = departures(networks(broken, "equal_loss"), "y_epochs")
    assert list(found) == [0.1, 0.2, 0.4] and math.exp(found[0.4].center) == pytest.approx(2, rel=0.05)
    assert breaking(found, math.log(1.1)) == 0.4 and breaking({0.1: found[0.1]}, math.log(1.1)) == math.inf


def test_where_no_network_came_to_the_target_that_is_said_and_the_figure_is_drawn(study, tables, tmp_path):
    """A warning is an error here, so the empty panel must not ask for an axis that cannot be."""
    rows = tables.frames["noise_scale_networks"]
    target = rows["reading"] == "equal_loss"
    late = rows.assign(status=rows["status"].mask(target, "no_time"))
    none = tables.having(noise_scale_networks=late)
    found = [*study.kind.printed(none)]
    assert any(text.startswith("No network came to the target (12 trainings)") for text in found)
    assert not any("nan" in text for text in found)
    assert study.kind.draw(none, tmp_path)


def test_the_best_batch_is_in_proportion_to_the_rate_and_at_an_end_of_the_grid_it_is_censored(tables):
    peaked = invented(
        tables,
        lambda rate, size, seed: size / rate,
        lambda rate, size, seed: 0.9 - 0.01 * abs(math.log2(size / rate) - 6.3 - 0.1 * seed),
    )
    sizes = best_sizes(peaked, "equal_loss")
    expected = {0.05: 4, 0.1: 8, 0.2: 16, 0.4: 32}
    assert (sizes["batch_size"] == sizes["learning_rate"].map(expected)).all()
    assert sizes.groupby("learning_rate")["censored"].all().to_dict() == {0.05: True, 0.1: False, 0.2: False, 0.4: True}
    assert not slope_of_best(sizes).seeds  # two rates are not enough
    found = slope_of_best(sizes.assign(censored=False))
    assert found.values == pytest.approx((1.0, 1.0, 1.0))
    assert "undecided" in best(peaked, "equal_loss") and "6 of 12 are left out" in best(peaked, "equal_loss")


def test_a_neighbour_that_had_no_time_censors_the_best_batch(tables):
    peaked = invented(tables, lambda rate, size, seed: 1.0, lambda rate, size, seed: 1 - 0.01 * abs(size - 16))
    rows = peaked.frames["noise_scale_networks"]
    status = rows["status"].mask(rows["batch_size"] == 32, "short")
    assert not best_sizes(peaked, "equal_loss")["censored"].any()
    assert best_sizes(peaked.having(noise_scale_networks=rows.assign(status=status)), "equal_loss")["censored"].all()


def test_the_critical_batch_is_found_from_the_fastest_rates(tables):
    def epochs(rate, size, seed):
        return (1 + size / 20) * (1 if rate == 0.2 else 3)

    found = cost.fastest(invented(tables, epochs))
    assert set(found["learning_rate"]) == {0.2} and not found["edge"].any()
    assert cost.critical_size(found).center == pytest.approx(20, rel=1e-3)


def test_the_noise_scale_of_a_level_is_a_ratio_of_sums(tables):
    rows = pd.DataFrame(
        {
            **{"learning_rate": 0.1, "batch_size": 4, "seed": [0, 1, 0, 1], "epoch": [0, 0, 3, 4]},
            **{"train_loss": [2.3, 2.3, 0.4, 0.3], "variance": [2.0, 4.0, 9.0, 9.0], "signal": [0.1, 0.2, 0.01, -0.02]},
            **{"signal_error": [0.01, 0.02, 0.1, 0.1], "noise_scale": np.nan, "noise_scale_error": np.nan},
        }
    )
    found = cost.noise_by_loss(tables.having(noise_scale_gradients=rows))
    assert found["noise_scale"].iloc[0] == pytest.approx(20) and found["told"].tolist() == [True, False]


@pytest.mark.parametrize(("growth", "said"), [(0.0, "the same end: holds"), (0.5, "the same end: does not hold")])
def test_two_schedules_end_at_the_same_place_by_what_either_does(tables, growth, said):
    ends = {"constant": 1.0, "decay": 0.4, "growth": 0.4 + growth}
    rows = [
        {"schedule": name, "seed": seed, "epoch": 4, "updates": 3, "test_accuracy": 0.9}
        | dict.fromkeys(("train_loss", "test_loss", "top_eigenvalue", "adaptive"), end + 0.01 * ((seed * 7) % 3))
        for (name, end), seed in product(ends.items(), range(5))
    ]
    lines = list(swapped(tables.having(noise_scale_schedules=pd.DataFrame(rows))))
    assert said in next(line for line in lines if "(test loss)" in line)
    assert "undecided" in next(line for line in lines if "(test accuracy)" in line)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("batch_sizes=[61]", "batch_sizes must be at most the 60 examples, got 61"),
        ("swap.batch_size=61", "swap.batch_size must be at most the 60 examples, got 61"),
        ("swap.at=[3,2]", "at must rise, got 3, 2"),
        ("swap.factor=1", "swap.factor"),
        ("equal_epochs=13", "equal_epochs must be at most the 12 epochs, got 13"),
        ("momentum=1", "momentum"),
        ("test_examples=100000", "test_examples must be at most the"),
        ("data.examples=100000", "data.examples must be at most the"),
    ],
)
def test_bad_settings_are_one_line(file, tmp_path, override, said):
    with pytest.raises(ConfigError, match=said):
        Study.of(load_experiment(file, [override]), results=tmp_path)


def test_a_budget_leaves_a_share_of_epochs_and_examples(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path)
    reduced = [remark.text for remark in study.reduced]
    assert any(text.startswith("The first 30 of") for text in reduced)
    assert "At most 6 of 12 epochs, 2 of 4 for the comparison at equal epochs" in reduced
    assert study.experiment.swap == Swap(learning_rate=0.2, batch_size=15, factor=2.0, at=(1,), epochs=2)
