import errno
import os
from pathlib import Path

import pytest

from flatmin.core.atomic import Incomplete, remove_leftovers, replace_files, write_files
from flatmin.core.errors import ResultsError

OLD = {"a.csv": b"old a", "seal.json": b"old seal"}
NEW = {"a.csv": b"new a", "seal.json": b"new seal"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_files_replace_older_ones(tmp_path):
    write_files(tmp_path / "new" / "folder", OLD)
    write_files(tmp_path / "new" / "folder", NEW)
    assert content(tmp_path / "new" / "folder") == NEW


def test_full_disk_while_writing_changes_nothing(tmp_path, monkeypatch):
    write_files(tmp_path, OLD)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ResultsError, match=f"no space left on device writing {tmp_path}; nothing was changed"):
        write_files(tmp_path, NEW)
    assert content(tmp_path) == OLD


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no /dev/full on this system")
def test_real_enospc_from_the_system(tmp_path):
    (tmp_path / f".a.csv.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(ResultsError, match="no space left on device"):
        write_files(tmp_path, NEW)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("renames", [0, 1])
def test_full_disk_while_renaming_leaves_no_seal_and_no_temporary_file(tmp_path, monkeypatch, renames):
    write_files(tmp_path, OLD)
    replace, done = os.replace, []

    def failing_replace(source: Path, target: Path) -> None:
        if len(done) == renames:
            full_disk()
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(ResultsError, match=r"no space left .* it is incomplete, run it again"):
        write_files(tmp_path, NEW)
    assert content(tmp_path) == {"a.csv": (NEW if renames else OLD)["a.csv"]}


@pytest.mark.parametrize(("step", "kind"), [("fsync", OSError), ("replace", Incomplete)])
def test_who_has_words_of_his_own_gets_the_systems_error(tmp_path, monkeypatch, step, kind):
    replace_files(tmp_path, OLD)
    monkeypatch.setattr(os, step, full_disk)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as failed:
        replace_files(tmp_path, NEW)
    assert (type(failed.value), failed.value.errno) == (kind, errno.ENOSPC)
    assert content(tmp_path) == (OLD if step == "fsync" else {"a.csv": OLD["a.csv"]})


def test_folder_that_is_a_file_is_a_results_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="nothing was changed"):
        write_files(tmp_path / "file", NEW)


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    write_files(tmp_path, OLD)
    (tmp_path / ".a.csv.123.tmp").write_text("half")
    (tmp_path / ".lock").write_text("123")
    remove_leftovers(tmp_path)
    assert content(tmp_path) == {**OLD, ".lock": b"123"}


def test_leftovers_of_one_file_are_removed_alone(tmp_path):
    for name in (".run[1].ckpt.12.tmp", ".run1.ckpt.12.tmp", ".other.12.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "run[1].ckpt")
    assert set(content(tmp_path)) == {".run1.ckpt.12.tmp", ".other.12.tmp"}
