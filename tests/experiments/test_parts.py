"""What a record says of the parts in which it was made."""

from datetime import UTC, datetime, timedelta

import pytest

import flatmin.training.trainer
from flatmin.experiments import parts, run
from flatmin.results import provenance, record
from flatmin.training.record_keeping import RecordKeeper

NOW = datetime.now(UTC)


@pytest.fixture
def interrupted(make, monkeypatch):
    """A study whose first network was interrupted in its last epoch, by another commit."""
    study = make(training={"epochs": 3})
    write_down = RecordKeeper._write_down

    def interrupt(self, trainer, module, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return write_down(self, trainer, module, epoch)

    monkeypatch.setattr(flatmin.training.trainer, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(RecordKeeper, "_write_down", interrupt)
        patch.setattr(parts, "checkout", lambda: {"commit": "a" * 40, "dirty": False})
        with pytest.raises(KeyboardInterrupt):
            run(study)
    return study


def test_record_finished_by_another_commit_names_both(interrupted):
    tables = run(interrupted)
    first = interrupted.workplace.record(interrupted.steps[0])
    (before,) = first.provenance["earlier"]
    assert before["git"]["commit"] == "a" * 40 and before["wall_seconds"] > 0
    assert "a" * 40 in [git["commit"] for git in tables.provenance["made_with"]["git"] if git]
    assert len(tables.provenance["made_with"]["git"]) == 2
    whole = [interrupted.workplace.record(step).provenance["wall_seconds"] for step in interrupted.steps]
    assert tables.provenance["wall_seconds"] == pytest.approx(sum(whole) + before["wall_seconds"])
    assert not (first.folder / parts.PARTS).exists()


def test_part_that_left_nothing_to_go_on_from_does_not_count(interrupted):
    folder = interrupted.workplace.record(interrupted.steps[0]).folder
    for path in folder.glob("training*.ckpt"):
        path.unlink()
    run(interrupted)
    assert "earlier" not in interrupted.workplace.record(interrupted.steps[0]).provenance


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'[{"git": null}]', b"\xff"])
def test_notes_that_cannot_be_read_are_no_parts(tmp_path, damage):
    (tmp_path / parts.PARTS).write_bytes(damage)
    (tmp_path / "points.jsonl").touch()
    assert parts.begin(tmp_path, [tmp_path / "points.jsonl"]) == []


class SetBack(datetime):
    """A clock that goes an hour back at every look."""

    looks = 0

    @classmethod
    def now(cls, zone):
        cls.looks += 1
        return NOW - timedelta(hours=cls.looks)


def test_clock_that_is_set_back_takes_no_time(make, monkeypatch):
    monkeypatch.setattr(record, "datetime", SetBack)
    monkeypatch.setattr(provenance, "datetime", SetBack)
    study = make()
    tables = run(study)
    seen = [study.workplace.record(step).provenance for step in study.steps]
    assert all(0 < origin["wall_seconds"] < 60 and origin["started"] <= origin["ended"] for origin in seen)
    assert tables.provenance["wall_seconds"] > 0
