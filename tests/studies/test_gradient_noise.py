"""The noise of the gradient: variances written out, a critical point of one batch, verdicts on invented tables."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from flatmin.core.errors import ConfigError
from flatmin.data import load
from flatmin.data.batches import Pair
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.edge_of_stability.steps import tanh_network
from flatmin.studies.gradient_noise.found import sentences
from flatmin.studies.gradient_noise.variances import center_and_spread, drawn, gradients, scatter

SHIPPED = Path(__file__).parents[2] / "experiments" / "book_fig_3_12.yaml"
SMALL = [
    *("data={name: digits, examples: 60}", "pool=1", "width=3", "seeds=[0, 1]", "epochs=[0, 2]", "draws=20"),
    *("least=40", "batch_sizes=[2, 10]", "stuck={batch_sizes: [4], steps: 60, near: 0.1, descent: 5, points: 5}"),
    "resources={wandb: {mode: disabled}}",
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return run(Study.of(load_experiment(SHIPPED, SMALL), results=tmp_path_factory.mktemp("noise")))


@pytest.fixture(scope="module")
def problem():
    torch.manual_seed(0)
    train = load("digits").train
    return tanh_network(64, 10, 3).double(), Pair(train.inputs[:12].double().flatten(1), train.targets[:12])


def one_by_one(network, data):
    """The gradient of each example by a backward pass of its own."""
    found = []
    for inputs, target in zip(*data, strict=True):
        network.zero_grad()
        scores = network(inputs[None])[0]
        (scores.exp().sum().log() - scores[target]).backward()
        found.append(torch.cat([weight.grad.reshape(-1) for weight in network.parameters()]).numpy())
    return np.array(found)


def test_the_gradient_of_a_batch_is_the_mean_of_its_examples(problem):
    network, data = problem
    single = one_by_one(network, data)
    chosen = torch.tensor([[0, 5, 5], [7, 8, 11]])
    expected = single[chosen.numpy()].mean(1)
    assert torch.cat(list(gradients(network, data, chosen))).numpy() == pytest.approx(expected)
    center, spread = center_and_spread(network, data)
    assert center.numpy() == pytest.approx(single.mean(0))
    assert spread == pytest.approx(single.var(0).sum())


@pytest.mark.parametrize(("replacement", "factor"), [(True, 1.0), (False, (12 - 4) / (12 - 1))])
def test_the_variance_of_many_draws_is_that_of_sampling_theory(problem, replacement, factor):
    network, data = problem
    center, spread = center_and_spread(network, data)
    generator = torch.Generator().manual_seed(0)
    found = scatter(network, data, drawn(12, 4, 4000, replacement=replacement, generator=generator), center)
    assert abs(found.variance - factor * spread / 4) < 4 * found.standard_error < 0.1 * spread


def test_no_example_is_drawn_twice_without_replacement_and_some_are_with():
    generator = torch.Generator().manual_seed(0)
    most = {
        replacement: max(
            len(set(batch.tolist())) for batch in drawn(9, 9, 50, replacement=replacement, generator=generator)
        )
        for replacement in (True, False)
    }
    assert most[True] < 9 == most[False]


def test_every_size_epoch_and_way_of_drawing_has_its_row(tables):
    rows = tables.frames["batch_gradients"]
    assert len(rows) == 2 * 2 * 2 * 2 and (rows["draws"] == 20).all()
    first = rows[rows["epoch"] == 0]
    assert (first.groupby("seed")["loss"].nunique() == 1).all() and (first["loss"] > 2).all()
    assert np.allclose(rows["factor"], np.where(rows["drawn"] == "with replacement", 1, (60 - rows["batch_size"]) / 59))


def test_a_training_that_diverges_keeps_what_was_seen_before(tmp_path):
    study = Study.of(load_experiment(SHIPPED, [*SMALL, "learning_rate=1e38", "stuck=null"]), results=tmp_path)
    found = run(study)
    assert set(found.frames["batch_gradients"]["epoch"]) == {0}
    assert {record.state for _, record, _ in study.states()} == {"diverged"} and list(sentences(found))


def test_where_one_batch_is_stuck_steps_on_it_do_not_move_and_the_others_fall(tables):
    points = tables.frames["stuck_points"]
    assert (points["gradient_norm"] < points["start_gradient"]).all() and (points["others"] == 14).all()
    assert (points["moved_own"] < points["moved_others"]).all()
    lines = tables.frames["stuck_lines"]
    middle = lines[lines["alpha"] == 0]
    assert middle["own"].tolist() == pytest.approx(points["loss"].tolist())
    assert middle["full"].tolist() == pytest.approx(points["full_before"].tolist())


def invented(power=-1.0, others=0.5, lowered=3):
    """Tables whose variances go as a power of the batch size, and points with gradients of one length."""
    rows = pd.DataFrame(
        [
            {"seed": seed, "epoch": 0, "batch_size": size, "variance": (1 + 0.01 * seed) * size**power}
            for seed in range(4)
            for size in (1, 4, 16)
        ]
    )
    rows = rows.assign(drawn="with replacement", factor=1.0, spread=1.0, parts_spread=1.0, parts_error=0.1, draws=9)
    rows = rows.assign(loss=1.0, accuracy=0.5, gradient_norm=1.0, noise_scale=3.0, standard_error=0.1)
    points = pd.DataFrame({"seed": range(4), "batch_size": 8, "gradient_norm": [1e-5, 2e-5, 1e-5, 1e-5]})
    points = points.assign(stuck=True, lowest=-1.0, others=3, other_gradient=others, other_shortest=others)
    points = points.assign(lowered=lowered, full_gradient=0.2, full_before=2.0, full_after_own=2.0, moved_own=0.0)
    points = points.assign(
        full_after_others=1.0, moved_others=1.0, start_loss=2.3, start_gradient=0.3, loss=2.2, fall=0.1
    )
    asked = {"kind": "gradient_noise", "stuck": {"near": 1e-3, "descent": 9}}
    return Tables(provenance={"experiment": asked}, batch_gradients=rows, stuck_points=points)


@pytest.mark.parametrize(
    ("table", "claim", "verdict"),
    [
        ({}, "L10", "holds"),
        ({"power": -0.8}, "L10", "does not hold"),
        ({}, "L7", "holds"),
        ({"others": 2e-5}, "L7", "does not hold"),
        ({"lowered": 2}, "L7", "does not hold"),
    ],
)
def test_verdicts_follow_the_numbers(table, claim, verdict):
    said = [line for line in sentences(invented(**table)) if line.startswith(claim)]
    assert said and all(f" {verdict}:" in line for line in said)
    assert any(f"{table.get('power', -1.0):.3f} [" in line for line in sentences(invented(**table)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_sizes=[60]", "batch_sizes must be below the 60 examples, got 60"),
        ("stuck={batch_sizes: [31]}", "stuck.batch_sizes must be at most half of the 60 examples"),
        ("pool=9", "pool must be at most the 8 pixels of a side of digits, got 9"),
        ("data={name: digits, examples: 5000}", "data.examples must be at most the 1437"),
    ],
)
def test_what_does_not_fit_is_refused(override, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        Study.of(load_experiment(SHIPPED, [*SMALL, override]), results=tmp_path)


def test_noise_of_a_single_draw_has_no_error(problem):
    network, data = problem
    assert math.isnan(scatter(network, data, torch.tensor([[0, 1]]), torch.zeros(1)).standard_error)
