"""What a run does about steps that diverge, break, are interrupted, or are being done by another process."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import flatmin.training.trainer
from flatmin.core.errors import ConfigError, FlatminError, ResultsError
from flatmin.experiments import Reporter, registry, run
from flatmin.experiments.devices import resolved_device
from flatmin.experiments.runner import perform
from flatmin.results import Tables
from flatmin.training.record_keeping import RecordKeeper


class Listener(Reporter):
    def __init__(self):
        self.heard = []

    def ended(self, step, record):
        self.heard.append((step.label, record.state))

    def passed_over(self, step, reason):
        self.heard.append((step.label, reason))


def states(study):
    return {step.label: state for step, _, state in study.states()}


def folder(study, label):
    (found,) = (record.folder for step, record, _ in study.states() if step.label == label)
    return found


def explosive(input_shape, num_classes, width=4):
    """Without BatchNorm, several large steps end in infinity; a single one does not."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, 10))


def test_diverged_regime_leaves_the_other_alone(make, drawings, monkeypatch):
    monkeypatch.setitem(registry.ANY_INPUT, "F1", explosive)
    study = make(
        measured=True,
        regimes={"small_batch": {"batch_size": 2}, "large_batch": {"batch_size": "100%"}},
        training={"epochs": 3, "optimizer": "sgd", "learning_rate": 50.0},
    )
    listener = Listener()
    tables = run(study, listener, draw=study.kind.draw)
    heard = dict(listener.heard)
    assert heard["F1-digits-small_batch-seed0"] == "diverged"
    assert heard["F1-digits-large_batch-seed0"] == "finished"
    assert heard["F1-digits-small_batch-seed0-full-paper-batch"] == "F1-digits-small_batch-seed0 diverged"
    assert heard["F1-digits-seed0-linear-lines-batch"] == "F1-digits-small_batch-seed0 diverged"
    assert heard["F1-digits-large_batch-seed0-random-planes-batch"] == "finished"
    assert dict(zip(tables.minima["regime"], tables.minima["status"], strict=True)) == {
        "small_batch": "diverged",
        "large_batch": "chance",
    }
    assert set(tables.sharpness["regime"]) == {"large_batch"}
    assert drawings == [study.folder / "figures"]
    again = Listener()
    run(study, again, draw=study.kind.draw)
    assert {state for _, state in again.heard} == {"F1-digits-small_batch-seed0 diverged"}
    assert len(drawings) == 1


def test_infinite_loss_at_a_minimum_is_no_search(make, drawings, monkeypatch):
    study = make(sharpness={"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20})
    monkeypatch.setattr("flatmin.objective.objective.Objective.value", lambda self: torch.tensor(torch.inf))
    assert run(study).sharpness.empty
    assert [state for step, _, state in study.states() if step.kind == "sharpness"] == ["diverged"] * 2


def test_broken_record_is_named_and_nothing_is_done(make, drawings):
    study = make()
    run(study)
    broken = folder(study, "F1-digits-large_batch-seed0")
    content = bytearray((broken / "arrays.npz").read_bytes())
    content[100] ^= 1
    (broken / "arrays.npz").write_bytes(content)
    with pytest.raises(FlatminError, match=r"arrays.npz was changed or cut off .* Delete .* to do this step again\."):
        run(study)


@pytest.mark.parametrize("change", ["shape", "name", "type"])
def test_a_sealed_record_of_another_network_is_one_line(make, drawings, change):
    study = make(sharpness={"draws": 1, "subspace_dim": 2, "examples": 20, "spaces": ["full"], "methods": ["paper"]})
    trained = [step for step in study.steps if step.kind == "trained"]
    for step in trained:
        perform(step, study.workplace.record(step), study.workplace, Reporter())
    record = study.workplace.record(trained[0])
    name, *_ = arrays = record.arrays
    value = arrays.pop(name)
    changed = {"shape": {name: value[:1]}, "name": {"other": value}, "type": {name: np.array(["text"])}}[change]
    record.save(record.result, arrays=arrays | changed, tables={table: record.table(table) for table in record.tables})
    with pytest.raises(ResultsError, match=r"\A.*arrays\.npz does not hold this network .*Delete .*\Z"):
        run(study)


def test_damaged_checkpoint_is_named(make, drawings, monkeypatch):
    study = make(training={"epochs": 2})
    monkeypatch.setattr(flatmin.training.trainer, "CHECKPOINT_SECONDS", 0.0)
    interrupt_at(monkeypatch, epoch=2)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run(study)
    checkpoint = folder(study, "F1-digits-small_batch-seed0") / "training.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with pytest.raises(ResultsError, match=r"the checkpoint .*training.ckpt is damaged; delete it to train"):
        run(study)
    checkpoint.unlink()
    monkeypatch.undo()
    run(study)
    assert set(states(study).values()) == {"finished"}


def interrupt_at(monkeypatch, epoch):
    write_down = RecordKeeper._write_down

    def interrupted(self, trainer, module, now):
        if now == epoch:
            raise KeyboardInterrupt
        return write_down(self, trainer, module, now)

    monkeypatch.setattr(RecordKeeper, "_write_down", interrupted)


def test_leftovers_of_a_kill_after_the_last_write_go(make, drawings):
    study = make()
    run(study)
    place = folder(study, "F1-digits-small_batch-seed0")
    (place / "training.ckpt").touch()
    run(study)
    assert {path.name for path in place.iterdir()} == {
        *(".lock", "arrays.npz", "curves.csv", "minima.csv", "provenance.json", "result.json", "setup.yaml"),
    }


def test_figures_are_drawn_again_after_a_kill_while_drawing(make, drawings, monkeypatch):
    study = make()
    with monkeypatch.context() as patch:
        patch.setattr("flatmin.figures.render", lambda tables, out: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            run(study, draw=study.kind.draw)
    assert not drawings
    run(study, draw=study.kind.draw)
    (study.folder / "figures").rmdir()
    run(study, draw=study.kind.draw)
    run(study, draw=study.kind.draw)
    assert len(drawings) == 2


@pytest.mark.parametrize("victim", ["result.json", "arrays.npz", "training.ckpt"])
def test_full_disk_is_one_error_and_leaves_nothing_half_written(make, drawings, monkeypatch, victim):
    study = make(training={"epochs": 2})
    monkeypatch.setattr(flatmin.training.trainer, "CHECKPOINT_SECONDS", 0.0)
    replace = os.replace

    def full(source, target):
        if Path(target).name == victim:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(ResultsError, match=r"[Nn]o space left on device"):
            run(study)
    assert set(states(study).values()) == {"interrupted", "new"}
    assert not [path for path in study.folder.rglob("*") if path.name.endswith(".tmp")]
    run(study)
    assert set(states(study).values()) == {"finished"}


def test_full_disk_while_slicing(make, drawings, monkeypatch):
    study = make(slices={"planes": None, "paths": None, "examples": 20})
    opened = Path.open

    def full(path, mode="r", *args, **kwargs):
        if path.name == "points.jsonl" and mode == "a":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ResultsError, match=r"cannot write .*points.jsonl: No space left on device\."):
        run(study)


HOLDER = """
import sys, fcntl, os
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_step_of_another_process_is_passed_over(make, drawings):
    study = make(sharpness={"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch"], "examples": 20})
    place = folder(study, "F1-digits-small_batch-seed0")
    place.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(place / ".lock")]
    listener = Listener()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        tables = run(study, listener)
        holder.stdin.close()
    heard = dict(listener.heard)
    assert heard["F1-digits-small_batch-seed0"] == "another process is doing it"
    assert heard["F1-digits-small_batch-seed0-full-paper-batch"] == "F1-digits-small_batch-seed0 is not finished"
    assert set(tables.sharpness["regime"]) == {"large_batch"}
    run(study)
    assert set(states(study).values()) == {"finished"}


def test_step_taken_by_another_process_at_the_last_moment_is_passed_over(make, drawings, monkeypatch):
    study, listener = make(), Listener()
    small = folder(study, "F1-digits-small_batch-seed0")
    monkeypatch.setattr("flatmin.results.record.is_held", lambda path: False)
    small.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(small / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        run(study, listener)
        holder.stdin.close()
    assert listener.heard[0] == ("F1-digits-small_batch-seed0", "another process is doing it")


def test_one_process_a_seed_and_then_all_seeds_together(make, drawings):
    for seeds in ({0}, {0, 1}):
        assert set(run(make(seeds=[max(seeds)])).minima["seed"]) == seeds
    listener = Listener()
    study = make(seeds=[0, 1])
    assert set(run(study, listener).minima["seed"]) == {0, 1}
    assert not listener.heard
    assert len(Tables.read(study.folder / "tables").minima) == 4


def test_planning_writes_nothing(make, tmp_path):
    study = make(measured=True)
    assert set(states(study).values()) == {"new"}
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_absent_gpu(name):
    with pytest.raises(ConfigError, match=f"resources.device is '{name}', but torch sees 0 GPUs; use 'auto'"):
        resolved_device(name)
