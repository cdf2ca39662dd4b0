import errno
import fcntl
import os
import subprocess
import sys

import pytest

from flatmin.core.errors import ResultsError
from flatmin.results.lock import exclusive, is_held

HOLD = """
import pathlib, signal, sys
from flatmin.results.lock import exclusive

with exclusive(pathlib.Path(sys.argv[1])):
    print("ready", flush=True)
    signal.pause()
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_second_process_is_told_who_holds_the_lock(tmp_path, holder):
    assert is_held(tmp_path / ".lock")
    with (
        pytest.raises(ResultsError, match=f"{tmp_path} is being written by process {holder.pid}"),
        exclusive(tmp_path / ".lock"),
    ):
        pass


def test_killed_holder_leaves_no_stale_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert not is_held(tmp_path / ".lock")
    with exclusive(tmp_path / ".lock"):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_lock_is_released_when_the_work_raises(tmp_path):
    with pytest.raises(KeyError, match="oops"), exclusive(tmp_path / ".lock"):
        raise KeyError("oops")
    assert not is_held(tmp_path / ".lock")


def test_absent_lock_is_not_held_and_asking_makes_no_file(tmp_path):
    assert not is_held(tmp_path / "absent" / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_a_results_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"), exclusive(tmp_path / "file" / ".lock"):
        pass


def test_full_disk_costs_the_number_of_the_holder_only(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with exclusive(tmp_path / ".lock"):
        assert is_held(tmp_path / ".lock")


def test_file_system_without_locks_is_a_results_error(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(ResultsError, match="cannot be locked: No locks available"), exclusive(tmp_path / ".lock"):
        pass
