"""The study of momentum against recursions, a network and a loss written out in NumPy."""

import re
from itertools import chain, islice, repeat

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flatmin.core.errors import ConfigError
from flatmin.data.batches import ShuffledBatches
from flatmin.experiments import Study, load_experiment, run
from flatmin.studies.momentum import KIND
from flatmin.studies.momentum.found import sentences
from flatmin.studies.momentum.valley import FORMULA, HUMP

FILE = "name: m\nkind: momentum\ndata: {name: digits, examples: 40}\nwidth: 4\nresources: {wandb: {mode: disabled}}\n"
PARTS = ("identity", "ball", "saddle", "ends")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "momentum.yaml"
    path.write_text(FILE)
    return path


def study(file, tmp_path, part, *changes):
    """The study with one of its parts."""
    others = [f"{name}=null" for name in PARTS if name != part]
    return Study.of(load_experiment(file, [*others, *changes]), results=tmp_path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("momentum")
    (folder / "momentum.yaml").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def balls(place):
    return run(study(place / "momentum.yaml", place / "ball", "ball", "ball.momenta=12"))


@pytest.fixture(scope="module")
def saddles(place):
    return run(study(place / "momentum.yaml", place / "saddle", "saddle"))


@pytest.fixture(scope="module")
def ends(place):
    changes = "ends={epochs: 3, batch_size: 40, target: 2.25}", "seeds=[0, 1]"
    return run(study(place / "momentum.yaml", place / "ends", "ends", *changes))


def gradient_written_out(weights, inputs, classes):
    """Loss and gradient of the mean cross-entropy of a network with two hidden layers of tanh, by backpropagation."""
    (w1, b1, w2, b2, w3, b3), x = weights, inputs.reshape(len(inputs), -1)
    h1 = np.tanh(x @ w1.T + b1)
    h2 = np.tanh(h1 @ w2.T + b2)
    scores = h2 @ w3.T + b3
    odds = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    value = -np.log(odds[range(len(x)), classes]).mean()
    d3 = (odds - np.eye(10)[classes]) / len(x)
    d2 = d3 @ w3 * (1 - h2**2)
    d1 = d2 @ w2 * (1 - h1**2)
    return value, [d1.T @ x, d1.sum(0), d2.T @ h1, d2.sum(0), d3.T @ h2, d3.sum(0)]


def trained_by_hand(workplace, seed, rates, momentum, batch_size, buffer):
    """The lengths of the movements, the last loss over all examples and the distance gone; torch's way, or Lee's."""
    weights = [p.detach().double().numpy() for p in workplace.start(seed).parameters()]
    start, kept = [w.copy() for w in weights], [0 * w for w in weights]
    train, lengths = workplace.train, []
    batches = chain.from_iterable(repeat(ShuffledBatches(*train, batch_size, seed=seed)))
    for rate, batch in zip(rates, islice(batches, len(rates)), strict=True):
        _, gradient = gradient_written_out(weights, batch.inputs.double().numpy(), batch.targets.numpy())
        kept = [momentum * k + g if buffer else momentum * k - rate * g for k, g in zip(kept, gradient, strict=True)]
        moved = [-rate * k if buffer else k for k in kept]
        weights = [w + m for w, m in zip(weights, moved, strict=True)]
        lengths.append(np.sqrt(sum((m**2).sum() for m in moved)))
    value, _ = gradient_written_out(weights, train.inputs.double().numpy(), train.targets.numpy())
    return lengths, value, np.sqrt(sum(((w - s) ** 2).sum() for w, s in zip(weights, start, strict=True)))


def test_movements_are_those_of_a_network_and_two_recursions_written_out(file, tmp_path):
    asked = study(file, tmp_path, "identity", "identity={steps: 12, batch_size: 16}", "seeds=[0]")
    tables = run(asked)
    for schedule, way in tables.frames["momentum_identity"].groupby("schedule"):
        rates = [0.1] * 6 + [0.1 if schedule == "constant" else 0.01] * 6
        assert way["learning_rate"].tolist() == pytest.approx(rates)
        for column, buffer in (("movement", False), ("torch_movement", True)):
            lengths, *_ = trained_by_hand(asked.workplace, 0, rates, 0.9, 16, buffer)
            assert way[column].tolist() == pytest.approx(lengths, rel=1e-9)
    said = list(sentences(tables))
    assert said[0].startswith("L8 holds: over 12 steps of 1 seed") and "the two part" in said[1]
    off = tables.frames["momentum_identity"].assign(closed_form=1e-9)
    assert next(sentences(tables.having(momentum_identity=off))).startswith("L8 does not hold")


def loss_of_the_text(w):
    """The loss that the text of the formula says, for complex numbers too."""
    text = FORMULA.partition("= ")[2].replace("–", "-").replace("²", "**2")
    text = re.sub(r"([0-9.]+) (?=[w(e])", r"\1 * ", text)
    return eval(text, {"exp": np.exp, "w": w})


def test_balls_go_down_the_loss_of_the_formula(balls):
    rows = balls.frames["momentum_ball"]
    assert rows["loss"].to_numpy() == pytest.approx(loss_of_the_text(rows["w"].to_numpy()), abs=1e-12)
    slope = loss_of_the_text(rows["w"].to_numpy() + 1e-30j).imag / 1e-30
    assert rows["gradient"].to_numpy() == pytest.approx(slope, abs=1e-12)
    for momentum, way in rows.groupby("momentum"):
        place, movement = 0.0, 0.0
        for row in way.itertuples():
            assert row.w == pytest.approx(place, abs=1e-9)
            movement = momentum * movement - 0.2 * loss_of_the_text(place + 1e-30j).imag / 1e-30
            assert row.push + row.last == row.movement == pytest.approx(movement, abs=1e-9)
            place += movement
    grid = np.linspace(6.5, 8, 15_001)
    assert grid[loss_of_the_text(grid).argmax()] == pytest.approx(HUMP, abs=1e-3)


@pytest.mark.parametrize(("beside", "crosses"), [(-1e-5, False), (1e-5, True)])
def test_the_least_momentum_that_crosses_is_one_by_hand(balls, beside, crosses):
    momentum = balls.frames["momentum_sweep"]["critical_high"].iloc[0] + beside
    place, movement = 0.0, 0.0
    for _ in range(400):
        movement = momentum * movement - 0.2 * loss_of_the_text(place + 1e-30j).imag / 1e-30
        place += movement
    assert (place > HUMP) == crosses


def test_l9_is_judged_by_where_the_balls_end(balls):
    said = list(sentences(balls))
    assert said[0].startswith("L9 holds: from 0 at learning rate 0.2, gradient descent ends at 6.067")
    assert "The least momentum that crosses: 0.854910" in said[0]
    assert any("uphill" in line and "local minimum" in line and "plateau" in line for line in said)
    rows = balls.frames["momentum_ball"]
    stuck = rows.assign(w=rows["w"].clip(upper=6.0))
    assert next(sentences(balls.having(momentum_ball=stuck))).startswith("L9 does not hold")


def test_no_momentum_crosses_a_hump_that_rates_are_too_small_for(file, tmp_path):
    tables = run(study(file, tmp_path, "ball", "ball={momenta: 3, learning_rate: 1.0e-6, steps: 20}"))
    assert tables.frames["momentum_sweep"]["critical_high"].isna().all()
    assert "The least momentum that crosses: none" in next(sentences(tables))
    assert KIND.draw(tables, tmp_path / "drawn")


def test_descents_beside_the_saddle_are_the_recursion_written_out(saddles):
    for (method, moved), way in saddles.frames["momentum_saddle"].groupby(["method", "perturbation"]):
        weights, movement = np.array([0.5, -0.5]) + moved, np.zeros(2)
        for row in way.itertuples():
            assert [row.w1, row.w2] == pytest.approx(weights, abs=1e-9)
            gradient = -2 * weights[::-1] * (1 - weights.prod())
            movement = {"descent": 0.0, "momentum": 0.9}[method] * movement - 0.1 * gradient
            weights = weights + movement


def test_momentum_does_not_leave_the_stable_manifold_and_leaves_sooner_beside_it(saddles):
    said = list(sentences(saddles))
    assert said[0].startswith("Momentum does not help on the stable manifold")
    line = next(line for line in said if line.startswith("Moved by 1e-06"))
    assert "below 0.5 first after 73 steps without momentum and 33 steps with 0.9, 2.21 times as soon" in line
    assert line.endswith("below 0.001 for good after 83 steps and 96 steps.")
    assert "by 1.2 and by 1.5 a step, 12.6 and 5.7" in said[-1]


def test_networks_end_where_training_by_hand_ends(file, tmp_path):
    asked = study(file, tmp_path, "ends", "ends={epochs: 3, batch_size: 16, momenta: [0, 0.9]}", "seeds=[0]")
    rows = run(asked).frames["momentum_ends"].query("when == 'end'")
    assert len(rows) == 3
    for row in rows.itertuples():
        rate = 0.05 * (0.1 if row.equal == "effective_rate" else 1.0)
        assert row.rate == pytest.approx(rate)
        _, value, distance = trained_by_hand(asked.workplace, 0, [rate] * 9, row.momentum, 16, buffer=True)
        assert [row.train_loss, row.distance] == pytest.approx([value, distance], rel=1e-4)


def test_each_momentum_is_compared_with_none_by_seed(ends):
    said = " ".join(sentences(ends))
    rows = (
        ends.frames["momentum_ends"]
        .query("when == 'end'")
        .set_index(["equal", "momentum", "seed"])["train_loss"]
        .sort_index()
    )
    logs = np.log(rows["learning_rate", 0.9] / rows["learning_rate", 0.0])
    expected = f"training loss × {np.exp(logs.mean()):.4g} ["
    assert f"Momentum 0.9 at learning rate 0.05, at the end (2 seeds): {expected}" in said
    assert "At one learning rate" in said and "are told apart from those without: " in said


def test_a_training_that_diverges_is_said_and_leaves_no_interval(ends):
    rows = ends.frames["momentum_ends"]
    lost = (rows["momentum"] == 0.9) & (rows["equal"] == "learning_rate")
    numbers = ["train_loss", "test_accuracy", "test_loss", "distance", "top_eigenvalue"]
    gone = rows.copy()
    gone.loc[lost, numbers] = np.nan
    said = " ".join(sentences(ends.having(momentum_ends=gone)))
    assert "2 trainings diverged" in said and "nan" not in said


def test_figures_and_animations_of_the_parts_that_were_done_are_drawn(balls, saddles, ends, tmp_path):
    every = balls.having(momentum_saddle=saddles.frames["momentum_saddle"], momentum_ends=ends.frames["momentum_ends"])
    every.provenance["experiment"] |= {"saddle": saddles.experiment["saddle"], "ends": ends.experiment["ends"]}
    files = {path.name: path for path in KIND.draw(every, tmp_path / "drawn")}
    assert {name for name in files if name.endswith((".gif", ".html"))} == {
        *("momentum_ball_rolling.gif", "momentum_ball_rolling.html"),
        *("momentum_saddle_passing.gif", "momentum_saddle_passing.html"),
    }
    assert {"momentum_ball.png", "momentum_saddle.pdf", "momentum_ends.csv"} <= set(files)
    assert max(path.stat().st_size for path in files.values()) < 2e6
    with Image.open(files["momentum_ball_rolling.gif"]) as picture:
        assert picture.info["loop"] == 0


def test_a_budget_cuts_the_epochs_and_leaves_the_ball_its_way(file, tmp_path):
    planned = Study.of(load_experiment(file, ["budget=0.1", "data=digits"]), results=tmp_path)
    assert planned.reduced[-1].text == "4 of 40 epochs" and planned.experiment.ball.steps == 3000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["ends.momenta=[0.5, 0.9]"], "ends.momenta must have 0 and one to compare with it"),
        (["ball.momentum=1"], "ball.momentum must be below 1"),
        (["identity.steps=2"], "identity.steps must be at least 4"),
        (["balls=null"], "unknown key 'balls'; did you mean 'ball'?"),
        (["data={name: digits, examples: 9999}"], "data.examples must be at most the"),
        ([f"{name}=null" for name in PARTS], "must not all be null"),
    ],
)
def test_bad_settings_are_one_line(file, tmp_path, changes, message):
    with pytest.raises(ConfigError) as error:
        Study.of(load_experiment(file, changes), results=tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_empty_study_is_not_drawn(balls, tmp_path):
    empty = balls.having(**{name: pd.DataFrame(columns=columns) for name, columns in KIND.columns.items()})
    with pytest.raises(Exception, match="nothing to draw"):
        KIND.draw(empty, tmp_path)
