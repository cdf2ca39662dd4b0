"""The study of speed: its watch against a clock of its own, counts against formulas, verdicts against tables."""

from statistics import median

import numpy as np
import pandas as pd
import pytest
import torch

from flatmin.core.errors import ConfigError, ResultsError
from flatmin.data.batches import Pair
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.speed import KIND
from flatmin.studies.speed.found import sentences
from flatmin.studies.speed.network import relu_stack
from flatmin.studies.speed.steps import updater
from flatmin.studies.speed.summary import per_size, ratio, reached
from flatmin.studies.speed.timing import Job, Stopwatch, timed
from flatmin.studies.speed.work import counted

FILE = (
    "name: speed\nkind: speed\ndata: {name: digits, examples: 50}\nwidth: 4\nbatch_sizes: [100%, 1, 10]\nrepeats: 3\n"
    "visit: 1.0e-6\nresources: {device: cpu, wandb: {mode: disabled}}\n"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "speed.yaml"
    path.write_text(FILE)
    return path


class Clock:
    """Time goes on by the work that is done alone."""

    def __init__(self):
        self.time, self.done = 0.0, []

    def __call__(self):
        return self.time

    def job(self, size, cost, first=0.0):
        def work(thing):
            self.time += cost + first * (not any(of == size for of, _ in self.done))
            self.done.append((size, thing))

        return Job("update", size, size, lambda count: self.batches(size, count), work)

    def batches(self, size, count):
        self.time += 1000.0
        return [*range(min(count, 4))]


@pytest.fixture
def clock():
    return Clock()


def timed_by(clock, jobs, **changes):
    shares = []
    watch = Stopwatch(torch.device("cpu"), clock)
    rows = timed(jobs, watch, **{"repeats": 5, "visit": 0.1, "seed": 0, "advance": shares.append} | changes)
    return pd.DataFrame(rows), shares


def test_times_are_those_of_the_work_without_the_first_and_without_the_making_of_batches(clock):
    jobs = [clock.job(size, 0.01 + 0.001 * size, first=7.0) for size in (1, 10, 100)]
    rows, shares = timed_by(clock, jobs)
    assert rows.groupby("batch_size")["seconds"].apply(median).to_dict() == pytest.approx(
        {1: 0.011, 10: 0.02, 100: 0.11}
    )
    assert np.ptp(rows[rows["batch_size"] == 1]["seconds"]) < 1e-9 and sum(shares) == pytest.approx(1)


def test_a_visit_lasts_as_long_as_asked_and_takes_the_batches_in_turn(clock):
    rows, _ = timed_by(clock, [clock.job(1, 0.02), clock.job(9, 3.0)], visit=0.09)
    assert rows.groupby("batch_size")["times"].first().to_dict() == {1: 5, 9: 1}
    last = [thing for size, thing in clock.done if size == 1][-6:]
    assert last == [0, 0, 1, 2, 3, 0]  # the first is not timed


def test_every_repeat_visits_all_in_an_order_of_its_own_that_the_seed_fixes(clock):
    jobs = [clock.job(size, 1.0) for size in range(1, 9)]
    rows, _ = timed_by(clock, jobs)
    orders = [tuple(part["batch_size"]) for _, part in rows.groupby("repeat")]
    assert len(set(orders)) == 5 and all(sorted(order) == [*range(1, 9)] for order in orders)
    assert timed_by(clock, jobs)[0]["batch_size"].equals(rows["batch_size"])
    assert not timed_by(clock, jobs, seed=1)[0]["batch_size"].equals(rows["batch_size"])


def work_of(batch, sizes=(6, 5, 3)):
    inputs, width, classes = sizes
    network = relu_stack(inputs, classes, depth=2, width=width)
    update, data = updater(network), Pair(torch.ones(batch, inputs), torch.zeros(batch, dtype=torch.int64))
    update(data)
    return counted(lambda: update(data)), sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("batch", [1, 7])
def test_products_are_three_a_layer_but_for_the_gradient_of_the_inputs(batch):
    layers = [6 * 5, 5 * 5, 5 * 3]
    assert work_of(batch)[0].flops == 2 * batch * (3 * sum(layers) - layers[0])


def test_traffic_grows_evenly_with_the_batch_and_holds_each_weight_ten_times():
    few, more, most = (work_of(batch)[0].bytes for batch in (10, 20, 30))
    assert more - few == most - more > 0
    per_batch = few - (more - few)
    _, weights = work_of(10)
    # matrices: forward 1, backward 1 (not the first layer), gradient written 1; Adam: four read, three written
    assert 4 * 7 * weights < per_batch < 4 * 11 * weights + 400


def table(times, *, spread=0.01, examples=60_000, flops=None, load=0.1, whole=None):
    """The tables of invented times of an update by batch size; a product of 1 flop takes 1 s, a copy of 1 byte 1 s."""
    visits = [1 - spread, 1.0, 1 + spread, 1.0, 1.0]
    rows = [
        {"of": of, "batch_size": size, "repeat": repeat, "times": 1, "seconds": seconds * visit, "amount": amount}
        for repeat, visit in enumerate(visits)
        for size, time in times.items()
        for of, seconds, amount in (("update", time, size), ("input", 1e-6, size), ("copy", 1.0, 1.0))
    ]
    rows += [
        {"of": of, "batch_size": 0, "repeat": repeat, "times": 1, "seconds": seconds, "amount": 1.0}
        for repeat in range(5)
        for of, seconds in (("overhead", 0.001), ("product", 1.0))
    ]
    for size in whole or ():
        rows.append({"of": "epoch", "batch_size": size, "repeat": 0, "times": 1, "seconds": whole[size], "amount": 1})
    work = [
        {"batch_size": size, "examples": examples, "updates": -(-examples // size), "flops": (flops or {}).get(size, 0)}
        | {"bytes": 0.002, "footprint": 1, "kernels": 1, "load": load, "processors": 2}
        for size in times
    ]
    named = {"device": "cpu", "threads": 2}
    frames = {"speed_times": pd.DataFrame(rows).assign(**named), "speed_work": pd.DataFrame(work).assign(**named)}
    frames = {name: frame[list(KIND.columns[name])] for name, frame in frames.items()}
    asked = {"kind": "speed", "data": {"name": "mnist"}, "depth": 2, "width": 512, "visit": 0.1}
    return Tables(**frames, provenance={"experiment": asked})


LIKE_THE_BOOK = {1: 0.006, 10: 0.007, 100: 0.024, 1000: 0.15, 60_000: 9.5}


def said(tables, words):
    return next(line for line in sentences(tables) if words in line)


def test_an_epoch_is_so_many_updates_and_a_limit_the_largest_of_three():
    tables = table(LIKE_THE_BOOK, flops={1000: 0.12, 60_000: 9.0}, whole={60_000: 9.0})
    rows = per_size(tables)
    assert rows.loc[1, "epoch"] == pytest.approx(60_000 * 0.006001) and rows.loc[1000, "updates"] == 60
    assert rows["limit"].to_dict() == dict.fromkeys((1, 10, 100), "memory") | dict.fromkeys(
        (1000, 60_000), "arithmetic"
    )
    assert rows.loc[1000, "explained"] == pytest.approx(0.8) and rows.loc[1, "memory"] == pytest.approx(0.002)
    assert "memory traffic 33 %" in said(tables, "B = 1:") and "none of them explains half" in said(tables, "B = 1:")
    assert "0.95 with B = 60,000" in said(tables, "timed whole")


@pytest.mark.parametrize(
    ("times", "verdict"),
    [
        (LIKE_THE_BOOK, "L5 holds: an epoch takes 360 s with B = 1 and 9.00 s with B = 1,000, 40.0 times less"),
        ({1: 0.006, 1000: 3.0}, "L5 does not hold: an epoch takes"),
        ({1: 0.006, 1000: 1.2}, "L5 undecided: an epoch takes"),
        ({1: 0.006, 500: 1.2}, "L5 undecided: B = 1 and B = 1,000 were not both timed"),
    ],
)
def test_epochs_are_judged_by_the_interval_of_their_ratio(times, verdict):
    assert said(table(times, spread=0.1), "L5").startswith(verdict)


@pytest.mark.parametrize(
    ("times", "spread", "verdict"),
    [
        (LIKE_THE_BOOK, 0.01, "L5 for the time of an update holds: it falls from no batch size to the next."),
        ({1: 1.0, 10: 0.99, 100: 5.0}, 0.1, "next; 1 of 2 steps cannot be told from none."),
        (
            {1: 1.0, 10: 0.5, 100: 5.0},
            0.1,
            "L5 for the time of an update does not hold: it falls from B = 1 to 10 by 50 %",
        ),
    ],
)
def test_an_update_with_more_examples_may_take_less_only_within_its_spread(times, spread, verdict):
    assert verdict in said(table(times, spread=spread), "L5 for the time of an update")


@pytest.mark.parametrize(
    ("thousand", "verdict"), [(0.0061, "does take nearly"), (0.15, "does not take"), (0.0075, "may or may not take")]
)
def test_the_same_time_up_to_1000_is_judged_beside_what_the_book_draws(thousand, verdict):
    assert verdict in said(table({1: 0.006, 1000: thousand}, spread=0.1), "The book says the same and draws 25")


def test_the_size_of_twice_the_time_lies_between_two_on_logarithmic_axes():
    rows = per_size(table({1: 1.0, 10: 1.0, 1000: 100.0}))
    assert reached(rows, 2.0) == pytest.approx(20) and np.isnan(reached(rows, 1000))
    assert "from about B = 20 on" in said(table({1: 1.0, 10: 1.0, 1000: 100.0}), "twice")


def test_ratios_of_medians_have_intervals_that_grow_with_the_spread():
    steady, shaky = np.full(5, 2.0), np.array([1.0, 2.0, 4.0, 1.5, 3.0])
    assert ratio(2 * steady, steady) == (2.0, 2.0, 2.0)
    center, low, high = ratio(shaky, steady)
    assert center == 1.0 and low < 0.8 < 1.2 < high


def test_a_busy_machine_and_a_wrong_count_of_updates_are_said():
    busy = table(LIKE_THE_BOOK, load=3.0)
    assert "busy with other work, 3.0 processes on 2 processors" in next(sentences(busy))
    assert "busy" not in next(sentences(table(LIKE_THE_BOOK)))
    assert said(busy, "L4").startswith("L4 holds: an epoch of 60,000 examples has 60,000 with B = 1,")
    work = busy.frames["speed_work"].assign(updates=7)
    assert said(busy.having(speed_work=work), "L4").startswith("L4 does not hold")


def test_it_is_timed_and_drawn_and_a_second_run_takes_what_there_is(file, tmp_path):
    study = Study.of(load_experiment(file), results=tmp_path)
    tables = run(study)
    rows = per_size(tables)
    assert rows.index.tolist() == [1, 10, 50] and (rows["update"] > 0).all() and rows["whole"].notna().all()
    assert rows["updates"].tolist() == [50, 5, 1] and (rows["repeats"] == 3).all()
    assert run(study).frames["speed_times"].equals(tables.frames["speed_times"])
    assert {path.suffix for path in KIND.draw(tables, tmp_path / "out")} == {".csv", ".pdf", ".png"}
    assert {"speed/update_seconds/batch_10", "speed/epoch_seconds/batch_50"} <= set(KIND.logged(tables)[1])
    with pytest.raises(ResultsError, match="`speed_times` is empty"):
        KIND.draw(tables.having(speed_times=tables.frames["speed_times"].head(0)), tmp_path)
    assert not list(sentences(tables.having(speed_times=tables.frames["speed_times"].head(0))))


def test_a_budget_cuts_the_visits_and_says_so(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.5"]), results=tmp_path)
    assert [remark.text for remark in study.reduced] == ["The first 50 of 1,437 examples", "2 of 3 visits"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["batch_sizes=[50, 100%]"], "batch_sizes must not repeat a size, got 50, 50"),
        (["batch_sizes=[51]"], "batch_sizes: batch_size must be at most the 50 training examples, got 51"),
        (["data.examples=2000"], "data.examples must be at most the 1437 of digits, got 2000"),
    ],
)
def test_what_the_data_do_not_hold_is_one_line(file, changes, message, tmp_path):
    with pytest.raises(ConfigError) as error:
        Study.of(load_experiment(file, changes), results=tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [("repeats=1", "repeats must be"), ("visit=0", "visit must be"), ("depth=0", "depth must be")],
)
def test_bad_settings_are_one_line(file, change, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(file, [change])
