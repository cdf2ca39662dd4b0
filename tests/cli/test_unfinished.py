"""What the commands say of a run that was stopped, or that others are doing."""

import fcntl
import os

import pytest

import flatmin.figures
from flatmin.experiments import Study, load_experiment
from flatmin.training.record_keeping import RecordKeeper

OFF = "resources.wandb.mode=disabled"
CHANGES = (OFF, "sharpness=null", "slices=null", "seeds=[0, 1]")


@pytest.fixture
def drawn(monkeypatch):
    seen = []

    def render(tables, out):
        out.mkdir(exist_ok=True, parents=True)
        seen.append(len(tables.minima))
        return []

    monkeypatch.setattr(flatmin.figures, "render", render)
    return seen


@pytest.fixture
def stopped(file, tmp_path, flatmin, monkeypatch, drawn):
    """A run whose third of four networks was not finished."""
    rows = []

    def interrupt(self, *args):
        rows.append(write_down(self, *args))
        if len(rows) == 8:
            raise KeyboardInterrupt
        return rows[-1]

    write_down = RecordKeeper._write_down
    with monkeypatch.context() as patch:
        patch.setattr(RecordKeeper, "_write_down", interrupt)
        assert flatmin("run", file, *CHANGES, "--results", tmp_path).status == 130
    return tmp_path / "tiny"


def test_figures_of_an_unfinished_run_are_those_of_what_is_done(stopped, file, flatmin, drawn, tmp_path):
    said = flatmin("figures", stopped)
    note = f"{stopped} is unfinished, 2 of 4 steps are done: `flatmin run` with its file goes on."
    assert (said.status, said.err) == (0, "") and said.out.splitlines()[-1] == note and drawn == [2]
    for command in (("report",), ("wandb", "report")):
        said = flatmin(*command, stopped)
        assert said.status == 2
        assert said.err == f"Error: {note} `flatmin figures {stopped}` draws what there is.\n"
    assert flatmin("run", file, *CHANGES, "--results", tmp_path).status == 0
    assert "is unfinished" not in flatmin("figures", stopped).out and drawn == [2, 4, 4]


def test_diverged_networks_leave_no_run_unfinished(file, tmp_path, flatmin, drawn):
    changes = (*CHANGES[:1], "training.optimizer=sgd", "training.learning_rate=1e30", "--results", tmp_path)
    assert flatmin("run", file, *changes).status == 0
    said = flatmin("figures", tmp_path / "tiny")
    assert said.status == 0 and "is unfinished" not in said.out


def test_run_with_nothing_done_yet_says_so(stopped, flatmin):
    for result in stopped.rglob("result.json"):
        result.unlink()
    said = flatmin("figures", stopped)
    assert said.status == 2 and "is unfinished, 0 of 4 steps are done" in said.err


def test_process_that_finds_others_at_work_says_so(file, tmp_path, flatmin, drawn):
    study = Study.of(load_experiment(file, CHANGES), results=tmp_path)
    locks = []
    for _, record, _ in study.states():
        record.folder.mkdir(parents=True)
        locks.append(os.open(record.folder / ".lock", os.O_RDWR | os.O_CREAT))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
    said = flatmin("run", file, *CHANGES, "--results", tmp_path)
    for lock in locks:
        os.close(lock)
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("Nothing to do here: other processes are at work on ")


def test_study_whose_networks_all_diverged_is_told_so(file, tmp_path, flatmin, drawn):
    changes = (*CHANGES, "training.optimizer=sgd", "training.learning_rate=1e30", "--results", tmp_path)
    said = flatmin("run", file, *changes)
    assert said.status == 0 and "empty" not in said.out
    assert "all 4 networks diverged: the loss was no longer finite; take a smaller training.learning_rate." in said.out
    assert "F1 on digits (8×8): no verdict, every network diverged." in said.out
