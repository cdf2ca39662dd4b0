"""Records that rest on others: what happens when the ground changes under them."""

import json
import shutil

import pytest

from flatmin.experiments import Reporter, laboratory, run
from flatmin.experiments.runner import GROUND
from flatmin.results import Store

ONE_SEARCH = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "epsilons": [1e-3], "examples": 20}
WARM = {"batch_size": "50%", "start": {"epochs": [1]}}


class Listener(Reporter):
    def __init__(self):
        self.redone, self.done = [], []

    def stale(self, step, grounds):
        self.redone.append((step.label, *(name.rpartition("-")[0] for name in grounds)))

    def ended(self, step, record):
        self.done.append(step.label)


@pytest.fixture
def study(make):
    made = make(sharpness=ONE_SEARCH, regimes={"small_batch": {"batch_size": 16}}, variations={"warm": WARM})
    run(made)
    return made


@pytest.fixture
def other_numbers(monkeypatch):
    """Training that starts elsewhere, as it does with another number of threads or another processor."""
    start = laboratory.start_network
    return lambda: monkeypatch.setattr(laboratory, "start_network", lambda build, seed: start(build, seed + 1))


def trained(study, regime):
    (found,) = (study.folder / "trained").glob(f"*-{regime}-*")
    return found


def test_what_was_made_from_a_network_is_done_again_with_it(study, other_numbers):
    shutil.rmtree(trained(study, "small_batch"))
    other_numbers()
    listener = Listener()
    tables = run(study, listener)
    small, warm = "F1-digits-small_batch-seed0", "F1-digits-warm_1-seed0"
    assert listener.redone == [
        (warm, f"trained/{small}"),
        (f"{small}-full-paper-batch", f"trained/{small}"),
        (f"{warm}-full-paper-batch", f"trained/{warm}"),
    ]
    losses = tables.minima.set_index("regime")["train_loss"]
    again = Listener()
    assert run(study, again).minima.set_index("regime")["train_loss"].equals(losses) and not again.done


def test_network_trained_anew_to_the_same_numbers_changes_nothing(study):
    shutil.rmtree(trained(study, "small_batch"))
    listener = Listener()
    run(study, listener)
    assert listener.done == ["F1-digits-small_batch-seed0"] and not listener.redone


def test_stale_records_are_listed_and_left_out_of_tables(study, other_numbers, monkeypatch):
    shutil.rmtree(trained(study, "small_batch"))
    other_numbers()
    steps, study.steps[:] = list(study.steps), study.steps[:1]
    run(study)
    study.steps[:] = steps
    states = [record.state for record in Store(study.folder).records()]
    assert sorted(states) == ["finished", "finished", "stale", "stale"]
    assert set(study.tables().minima["regime"]) == {"small_batch"}


def test_records_without_digests_stay_valid(study, other_numbers):
    for record in Store(study.folder).records("sharpness"):
        with record.lock():
            record.save(record.result, tables={name: record.table(name) for name in record.tables})
        assert "rests_on" not in json.loads((record.folder / "result.json").read_text())
    shutil.rmtree(trained(study, "small_batch"))
    other_numbers()
    listener = Listener()
    run(study, listener)
    assert [label for label, *_ in listener.redone] == ["F1-digits-warm_1-seed0"]


def test_half_a_slice_of_the_old_network_is_dropped(make, other_numbers, monkeypatch, tmp_path):
    study = make(regimes={"small_batch": {"batch_size": 16}}, slices={"paths": None, "planes": None, "examples": 20})
    run(study)
    whole = study.tables().frames["lines"]
    (line,) = (study.folder / "slices").iterdir()
    (line / "result.json").unlink()
    points = [["train", [index], [9.0, 9.0]] for index in range(3)]
    (line / "points.jsonl").write_text("\n".join(map(json.dumps, points)))
    (line / GROUND).write_text("{}")
    assert run(study).frames["lines"].equals(whole)
    assert sorted(path.name for path in line.iterdir() if not path.name.startswith(".")) == [
        *("lines.csv", "provenance.json", "result.json", "setup.yaml"),
    ]
