"""``flatmin list``: the state of every record, in words."""

import re

import pytest

from flatmin.results import Store

BARE = ("resources.wandb.mode=disabled", "sharpness=null", "slices=null", "training.epochs=1")


@pytest.fixture
def results(file, tmp_path, flatmin, monkeypatch):
    import flatmin.figures as figures

    monkeypatch.setattr(figures, "render", lambda tables, out: out.mkdir(exist_ok=True) or [])
    assert flatmin("run", file, *BARE, "--results", tmp_path).status == 0
    return tmp_path


def counts(out):
    (row,) = (line for line in out.splitlines() if "tiny" in line and "│" in line)
    return [cell.strip() for cell in re.split("[│┃]", row)[1:-1]]


def test_finished_only(results, flatmin):
    said = flatmin("list", results)
    assert (said.status, said.err) == (0, "")
    assert counts(said.out) == ["tiny", "2", "-", "-", "-", "-", "-"]
    assert "finished    " not in said.out


def test_one_experiment_with_every_record(results, flatmin):
    said = flatmin("list", results / "tiny", "--all")
    assert counts(said.out)[:2] == ["tiny", "2"]
    assert said.out.count("\nfinished    ") == 2


def test_states_apart(results, flatmin):
    store = Store(results / "tiny")
    store.record("trained", "F1-diverged", {"a": 1}).save({"epochs": 1}, status="diverged")
    with store.record("trained", "F1-interrupted", {"a": 2}).lock():
        pass
    broken = store.record("trained", "F1-broken", {"a": 3})
    broken.save({"epochs": 1})
    (broken.folder / "result.json").write_text("{")
    with store.record("trained", "F1-running", {"a": 4}).lock():
        said = flatmin("list", results)
    assert counts(said.out) == ["tiny", "2", "1", "1", "1", "-", "1"]
    lines = [line for line in said.out.splitlines() if str(results) in line]
    assert [line.split()[0] for line in lines] == ["broken", "interrupted", "running"]
    assert f"broken      {broken.folder}: {broken.folder / 'result.json'} cannot be read" in lines[0]


def test_nothing_to_list(tmp_path, flatmin):
    said = flatmin("list", tmp_path / "none")
    assert said == (2, "", f"Error: no results at {tmp_path / 'none'}; run an experiment first, or name the folder.\n")
    said = flatmin("list", tmp_path)
    assert said == (2, "", f"Error: {tmp_path} holds no experiment.\n")


def test_what_is_broken_is_said_with_the_way_out(results, flatmin):
    record = Store(results / "tiny").records()[0]
    (record.folder / "provenance.json").write_text("[]")
    said = flatmin("list", results)
    assert counts(said.out)[-1] == "1"
    assert "provenance.json was changed" in said.out and "Delete the folder to do it again." in said.out
