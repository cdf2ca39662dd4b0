"""The study of batch sizes: its trainings against Adam written out, its budgets against a clock of the test."""

import pandas as pd
import pytest
import torch

from flatmin.core.errors import ConfigError, ResultsError
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Tables
from flatmin.studies.batch_size import KIND
from flatmin.studies.batch_size import steps as module
from flatmin.studies.batch_size.found import sentences
from flatmin.studies.speed.network import relu_stack
from flatmin.training import start_network

FILE = (
    "name: sizes\nkind: batch_size\ndata: [{name: digits, examples: 30}]\nwidth: 4\nbatch_sizes: [7, 100%]\n"
    "epochs: 3\nupdates: 4\nseconds: 1.0e-3\nseeds: [0, 1]\nresources: {device: cpu, wandb: {mode: disabled}}\n"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sizes.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def tables(file, tmp_path):
    return run(Study.of(load_experiment(file), results=tmp_path))


def adam_written_out(updates):
    """The loss on all 30 digits after so many steps of Adam on them; float64."""
    train = load("digits").train.first(30)
    inputs, targets = train.inputs.double(), train.targets
    network = start_network(lambda: relu_stack(64, 10, depth=2, width=4), 0).double()
    weights = [*network.parameters()]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))

    def loss():
        scores = network(inputs)
        return (scores.exp().sum(1).log() - scores[torch.arange(30), targets]).mean()

    for step in range(1, updates + 1):
        for place, slope in enumerate(torch.autograd.grad(loss(), weights)):
            first[place] = 0.9 * first[place] + 0.1 * slope
            second[place] = 0.999 * second[place] + 0.001 * slope**2
            moved = (first[place] / (1 - 0.9**step)) / ((second[place] / (1 - 0.999**step)).sqrt() + 1e-8)
            weights[place].data -= 1e-3 * moved
    return float(loss().detach())


def test_a_full_batch_training_is_adam_written_out_and_is_read_after_each_budget(tables):
    rows = tables.frames["batch_size_scores"]
    whole = rows[(rows["batch_size"] == 30) & (rows["seed"] == 0)].set_index("equal")
    assert whole.loc[["epochs", "updates"], "updates"].tolist() == [3, 4]
    for equal in ("epochs", "updates"):
        assert whole.loc[equal, "train_loss"] == pytest.approx(adam_written_out(whole.loc[equal, "updates"]), rel=1e-5)


def test_epochs_and_updates_are_counted_by_batches_and_do_not_depend_on_the_time(file, tmp_path, tables):
    again = run(Study.of(load_experiment(file, ["seconds=0.2"]), results=tmp_path / "slow"))
    frames = [found.frames["batch_size_scores"].query("equal != 'seconds'") for found in (tables, again)]
    same = [frame.drop(columns="seconds").reset_index(drop=True).sort_index(axis=1) for frame in frames]
    keys = ["batch_size", "seed", "equal"]
    pd.testing.assert_frame_equal(*(frame.sort_values(keys).reset_index(drop=True) for frame in same))
    small = frames[0][frames[0]["batch_size"] == 7].set_index("equal")
    assert (small.loc["epochs", "updates"] == 15).all() and (small.loc["updates", "epochs"] == 4 / 5).all()


def test_time_is_that_of_updates_alone(file, tmp_path, monkeypatch):
    clock = {"time": 0.0}

    class Watch:
        def __init__(self, device):
            pass

        def now(self):
            return clock["time"]

    def slow(network, train, rate):
        def update(batch):
            clock["time"] += 0.25

        return update

    def seen(network, room):
        clock["time"] += 1000.0
        return dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy", "at_chance"), 0.5)

    monkeypatch.setattr(module, "Stopwatch", Watch)
    monkeypatch.setattr(module, "warm_updater", slow)
    monkeypatch.setattr(module, "seen", seen)
    study = Study.of(load_experiment(file, ["seconds=10.1", "updates=2"]), results=tmp_path)
    rows = run(study).frames["batch_size_scores"].set_index(["batch_size", "seed", "equal"])
    assert rows.loc[(7, 0, "seconds"), ["updates", "seconds"]].tolist() == [41, 10.25]
    assert rows.loc[(7, 0, "epochs"), ["updates", "seconds"]].tolist() == [15, 3.75]
    assert rows.loc[(30, 1, "updates"), ["updates", "seconds"]].tolist() == [2, 0.5]


def test_a_training_whose_loss_is_not_finite_is_said_to_have_diverged(file, tmp_path):
    study = Study.of(load_experiment(file, ["learning_rate=1e30"]), results=tmp_path)
    rows = run(study).frames["batch_size_scores"]
    finite = rows.groupby(["batch_size", "seed"])["train_loss"].apply(
        lambda losses: bool((losses < float("inf")).all())
    )
    states = {(step.batch_size, step.seed): state for step, _, state in study.states()}
    assert states == {key: "finished" if known else "diverged" for key, known in finite.items()}
    assert "diverged" in states.values()


def invented(**points):
    """Scores of three seeds: for what is equal the accuracies in per cent by batch size, on train and test alike."""
    rows = [
        {"data": data, "equal": equal, "batch_size": size, "seed": seed, "examples": 1000, "epochs": 5.0}
        | {
            "updates": 5000 // size,
            "seconds": 1.0,
            "train_loss": 0.1,
            "test_loss": 0.1,
            "at_chance": float(accuracy < 20),
        }
        | dict.fromkeys(("train_accuracy", "test_accuracy"), (accuracy + wobble) / 100)
        for data in ("mnist", "cifar10")
        for equal, by_size in points.items()
        for size, accuracy in by_size.items()
        for seed, wobble in enumerate((-0.5, 0.0, 0.5 + size / 1e4))
    ]
    frame = pd.DataFrame(rows)[list(KIND.columns["batch_size_scores"])]
    asked = {"kind": "batch_size", "epochs": 5, "updates": 300, "seconds": 1.0, "depth": 2, "width": 64}
    return Tables(batch_size_scores=frame, provenance={"experiment": asked | {"learning_rate": 1e-3}})


FALLING, LEVEL, RISING = {10: 90, 100: 85, 1000: 50}, {10: 90, 100: 85.05, 1000: 85.0}, {10: 60, 100: 85, 1000: 95}


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [(FALLING, "holds"), (LEVEL, "undecided"), (RISING, "does not hold"), ({1: 9, 10: 8}, "undecided")],
)
def test_the_claim_is_judged_for_each_budget_by_paired_intervals(scores, verdict):
    said = list(sentences(invented(epochs=scores, updates=RISING, seconds=FALLING)))
    assert said[0].startswith(("L6 " + verdict, "L6 at equal epochs " + verdict))
    assert said[1].startswith(
        "L6 at equal updates instead does not hold: all examples in one batch against batches of 100"
    )
    assert "MNIST training +10.0 [" in said[1] and "3 seeds, paired" in said[1]
    assert said[2].startswith("L6 at equal seconds instead holds")


def test_the_best_size_is_named_with_those_that_cannot_be_told_from_it():
    said = list(sentences(invented(epochs=FALLING, updates={10: 85, 100: 85.002, 1000: 85.01}, seconds=RISING)))
    assert "MNIST, equal epochs: the best test accuracy, 90.0 [" in said[3] and "all others lie below" in said[3]
    assert "is that of B = 1,000; not told from it: B = 10, 100" in said[4]
    assert "1.00 s of training buy B = 10: 500 updates, 5.00 epochs, B = 100: 50 updates" in said[6]


def test_sizes_that_learn_nothing_are_named():
    said = list(sentences(invented(epochs={1: 10, 100: 40}, updates=RISING, seconds=RISING)))
    guesses = [line for line in said if "no better than a guess" in line]
    assert [line.partition(":")[0] for line in guesses] == ["MNIST", "CIFAR-10"] and "with B = 1 name" in guesses[0]


def test_one_seed_has_no_interval_and_no_verdict():
    found = invented(epochs=FALLING, updates=FALLING, seconds=FALLING)
    rows = found.frames["batch_size_scores"]
    said = next(sentences(found.having(batch_size_scores=rows[rows["seed"] == 0])))
    assert said.startswith("L6 undecided") and "one value, no interval" in said


def test_it_is_drawn_with_a_panel_for_each_set_and_budget(tables, tmp_path):
    assert {path.suffix for path in KIND.draw(tables, tmp_path)} == {".csv", ".pdf", ".png"}
    assert KIND.draw(invented(epochs=FALLING, updates=LEVEL, seconds=RISING), tmp_path / "two")
    frames, numbers = KIND.logged(tables)
    assert list(frames) == ["tables/batch_size_scores"] and len(numbers) == 6
    assert "batch_size/digits/equal_epochs/batch_7/test_accuracy" in numbers
    empty = tables.having(batch_size_scores=tables.frames["batch_size_scores"].head(0))
    assert not list(sentences(empty))
    with pytest.raises(ResultsError, match="is empty"):
        KIND.draw(empty, tmp_path)


def test_a_budget_cuts_epochs_and_examples_and_says_so(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.5", "batch_sizes=[7, 20, 100%]"]), results=tmp_path)
    told = [remark.text for remark in study.reduced]
    assert told[0] == "2 of 3 epochs" and told[1].startswith("The first 15 of 1,437 training examples of ")
    assert {step.batch_size for step in study.steps} == {7, 15}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["batch_sizes=[31, 100%]"], "batch_sizes must have two that the 30 examples of digits allow, got [30]"),
        (["data=[{name: digits, examples: 2000}]"], "data.examples must be at most the 1437 of digits, got 2000"),
        (["data=[digits, {name: digits, examples: 9}]"], "data must not name a set twice, got digits, digits"),
        (["seconds=0"], "seconds must be positive, got 0"),
    ],
)
def test_bad_settings_are_one_line(file, changes, message, tmp_path):
    with pytest.raises(ConfigError) as error:
        Study.of(load_experiment(file, changes), results=tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)
