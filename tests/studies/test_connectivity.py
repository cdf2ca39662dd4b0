"""The study of connectivity: its numbers against the networks it trained, its verdicts against invented tables."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.connectivity import KIND
from flatmin.studies.connectivity.found import sentences, tabled
from flatmin.studies.connectivity.prepare import pairs

FILE = """
name: joined
kind: connectivity
data: {name: digits, examples: 60}
network: {name: F1, width: 8}
seeds: [0, 1]
small_batch: 20
large_batch: 60
training: {epochs: 15}
curves: {forms: [bezier], epochs: 2, batch_size: 20}
points: 3
plane: 5
resources: {wandb: {mode: disabled}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "joined.yaml"
    path.write_text(FILE)
    return path


def test_the_ends_of_every_path_are_the_minima_and_the_middle_of_the_segment_their_mean(file, tmp_path):
    study = Study.of(load_experiment(file, ["pairs=[small_large]", "seeds=[0]"]), results=tmp_path)
    tables = run(study)
    lines, minima = tables.frames["connectivity_lines"], tables.minima
    at = lines[lines["batch_norm"] == "batch"].set_index(["way", "t"])
    ends = minima.set_index("regime")
    for way in ("segment", "bezier"):
        for t, regime in ((0.0, "small_batch"), (1.0, "large_batch")):
            assert at.loc[(way, t), "train_loss"] == pytest.approx(ends.loc[regime, "train_loss"], rel=1e-5)
            assert at.loc[(way, t), "test_accuracy"] == pytest.approx(ends.loc[regime, "test_accuracy"])
    small, large = (study.workplace.trained(study.steps[k]) for k in (0, 1))
    with torch.no_grad():
        for mine, other in zip(small.parameters(), large.parameters(), strict=True):
            mine.copy_((mine + other) / 2)
        train = load("digits").train.first(60)
        loss = float(cross_entropy(small.train()(train.inputs), train.targets))
    middle = lines[(lines["way"] == "segment") & (lines["t"] == 0.5)].set_index("batch_norm")
    assert middle.loc["reestimate", "train_loss"] == pytest.approx(loss, rel=1e-5)
    places = tables.frames["connectivity_places"].set_index("t")
    (first, *_, last, bend) = places[["alpha", "beta"]].to_numpy()
    assert (first == 0).all() and last[1] == 0 and last[0] == pytest.approx(distance(tables), rel=1e-5)
    middle = places.loc[0.5, ["alpha", "beta"]].to_numpy(dtype=float)
    assert middle == pytest.approx(first / 4 + bend / 2 + last / 4)
    assert {path.name for path in KIND.draw(tables, tmp_path / "drawn")} >= {
        "connectivity.png",
        "connectivity_planes.png",
    }


def distance(tables):
    """Of the two minima."""
    ways = tables.frames["connectivity_ways"]
    return float(ways.loc[ways["way"] == "segment", "distance"].iloc[0])


@pytest.mark.parametrize(
    ("seeds", "joined"),
    [("[0, 1]", [(0, 1)]), ("[0, 1, 2]", [(0, 1), (1, 2), (2, 0)]), ("[3, 4, 5, 7]", [(3, 4), (4, 5), (5, 7), (7, 3)])],
)
def test_pairs_of_one_regime_join_each_seed_with_the_next_and_none_twice(file, tmp_path, seeds, joined):
    experiment = load_experiment(file, [f"seeds={seeds}"])
    study = Study.of(experiment, results=tmp_path)
    trainings = [step for step in study.steps if step.kind == "trained"]
    found = list(pairs(study.experiment, trainings))
    assert [(a.seed, b.seed) for name, a, b in found if name == "large_large"] == joined
    assert all(a.regime == b.regime == "small_batch" for name, a, b in found if name == "small_small")


def invented(highest, *, pair="small_large", lost=()):
    """Tables with these highest losses of three pairs on each path, above ends of 0.01."""
    rows, ways = [], []
    for way, values in highest.items():
        for seed, value in enumerate(values):
            named = {
                "network": "F1",
                "data": "mnist",
                "pair": pair,
                "first_seed": seed,
                "second_seed": seed,
                "way": way,
            }
            for quantity in ("train_loss", "test_error"):
                hill = {"above_ends": max(0.0, value - 0.01), "above_line": max(0.0, value - 0.01), "at": 0.5}
                ends = {"highest": value, "first_value": 0.01, "second_value": 0.01}
                rows.append(named | {"batch_norm": "reestimate", "quantity": quantity} | hill | ends)
            ways.append(
                named | dict.fromkeys(KIND.columns["connectivity_ways"][6:], np.nan) | {"steps": 1, "diverged": 0}
            )
    minima = [
        {name: np.nan for name in Tables().minima.columns}
        | {"network": "F1", "data": "mnist", "regime": regime, "seed": seed}
        | {"status": "chance" if (regime, seed) in lost else "finished"}
        for regime in ("small_batch", "large_batch")
        for seed in range(3)
    ]
    frames = {"connectivity_barriers": pd.DataFrame(rows), "connectivity_ways": pd.DataFrame(ways)}
    return Tables(**frames, minima=pd.DataFrame(minima), provenance={"experiment": {"kind": "connectivity"}})


def test_where_no_pair_of_minima_is_left_that_is_said_and_nothing_is_drawn(file, tmp_path):
    thrown = ["training={epochs: 1, optimizer: sgd, learning_rate: 1.0e+30}", "seeds=[0]", "pairs=[small_large]"]
    tables = run(Study.of(load_experiment(file, thrown), results=tmp_path), draw=KIND.draw)
    assert [*sentences(tables)] == [
        "No pair of minima is left: 2 of 2 trainings left none (diverged, or no better than a guess)."
    ]


def test_a_curve_that_diverged_is_named(file):
    tables = invented({"segment": [1.5, 1.6, 1.4], "bezier": [0.1, 0.1, 0.1]})
    ways = tables.frames["connectivity_ways"]
    first = ways["way"].eq("bezier") & ways["first_seed"].eq(0)
    said = [*sentences(tables.having(connectivity_ways=ways.assign(diverged=first.astype(int))))]
    assert said[0].startswith("Bézier curve: 1 of 3 diverged in training")
    assert said[1:] == [*sentences(tables)]


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [([0.01, 0.012, 0.011], "holds"), ([1.0, 1.1, 1.2], "does not hold"), ([0.01, 0.5, 1.2], "undecided")],
)
def test_r8_asks_for_a_tenth_of_the_highest_loss(curve, verdict):
    found = list(sentences(invented({"segment": [1.5, 1.6, 1.4], "bezier": curve})))
    assert found[0].startswith(f"R8 for the Bézier curve {verdict}")
    ratio = math.exp(np.mean(np.log(np.array([1.5, 1.6, 1.4]) / curve)))
    assert f"is {ratio:.3g}"[:6] in found[0]


def test_r8_is_not_judged_where_the_segment_has_no_barrier():
    found = list(sentences(invented({"segment": [0.02, 0.02, 0.02], "bezier": [0.02, 0.01, 0.01]})))
    assert found[0].startswith("R8 for the Bézier curve undecided: no pair has a barrier of 0.1 nats")


def test_k9_says_of_each_path_whether_a_barrier_is_left_with_n_and_interval():
    paths = {"segment": [1.5, 1.6, 1.4], "matched_weights": [0.02, 0.6, 0.1], "bezier": [0.02, 0.03, 0.02]}
    (k9,) = [line for line in sentences(invented(paths)) if line.startswith("K9")]
    said = k9.split(": ", 1)[1]
    assert "95 % t interval of the mean over 3 pairs" in said and said.startswith("a barrier on segment;")
    assert "undecided on segment matched by weights" in said and "no barrier on Bézier curve" in said
    table = tabled(invented(paths))[1].set_index("path")
    assert table["which is"].tolist() == ["a barrier", "undecided", "no barrier"]
    assert table.loc["segment", "above the ends (nats)"].startswith("1.49 [1.2") and table["highest at"].eq("0.5").all()


def test_pairs_with_an_end_that_is_no_minimum_are_left_out_and_named():
    tables = invented({"segment": [1.5, 1.6, 9.0]}, lost={("large_batch", 2)})
    said = list(sentences(tables))
    assert said[-1].startswith("1 pair left out") and tabled(tables)[1]["n"].tolist() == [2]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seeds=[0]", "seeds must be two or more for the pairs small_small"),
        ("examples=100", "examples must be at most the 60 training examples, got 100"),
        ("curves.batch_size=100", "curves.batch_size must be at most the 60 training examples, got 100"),
        ("large_batch=10", "regimes.large_batch.batch_size must be above the small batch of 20, got 10"),
        ("network=F9", "network"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(file, tmp_path, override, words):
    with pytest.raises(ConfigError, match=words):
        Study.of(load_experiment(file, [override]), results=tmp_path)
