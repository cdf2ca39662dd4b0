import errno
import json
import os
import random
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flatmin.core.errors import ResultsError
from flatmin.results import Store, formats, identity
from flatmin.results.record import _seal

SETUP = {"network": "F1", "data": "digits", "regime": "small_batch", "seed": 0, "lr": 1e-3}
CURVES = pd.DataFrame({"regime": ["small_batch"] * 2, "loss": [0.1, float("inf")]})

NUL, TEXT = (
    b'{"started": "2026", "ended": "2026", "wall_seconds": 1, %s}' % changed
    for changed in (b'"device": "a\\u0000"', b'"git": "text"')
)


@pytest.fixture
def record(tmp_path):
    return Store(tmp_path).record("trained", "F1-small_batch-0", SETUP)


def save(record, **kwargs):
    arrays = {"theta": np.linspace(0, 1, 7, dtype=np.float32)}
    record.save({"test_accuracy": 0.1 + 0.2}, arrays=arrays, tables={"curves": CURVES}, **kwargs)


@pytest.mark.parametrize(
    ("setup", "pinned"),
    [
        ({}, "5a56e2c477b16311dbbdad1ec72ce55508de4b5dc3b1d60187a76d72472f20eb"),
        (
            {"network": "C1", "seeds": [0, 1], "lr": 0.001, "plateau": None, "augment": False},
            "0da994b74ab8e32ddda02b6fa40dd0ed6a587c085dc77e5d257c3b5c8b672129",
        ),
    ],
)
def test_identity_is_pinned(setup, pinned):
    assert identity(setup) == pinned


def test_identity_sees_every_key_digit_and_type_but_not_the_order():
    setups = [SETUP, {**SETUP, "lr": 1e-3 + 1e-18}, {**SETUP, "seed": 0.0}, {**SETUP, "seed": False}]
    setups += [{**SETUP, "extra": None}, {**SETUP, "seed": "0"}]
    assert len({identity(setup) for setup in setups}) == len(setups)
    assert identity(dict(reversed(SETUP.items()))) == identity(SETUP)
    assert identity({"a": (1, 2)}) == identity({"a": [1, 2]})


def test_identity_refuses_what_it_cannot_write():
    with pytest.raises(ValueError, match=r"`setup\['lr'\]` must be finite, got nan"):
        identity({"lr": float("nan")})
    with pytest.raises(TypeError, match=r"`setup\['net'\]` .* got object"):
        identity({"net": object()})


def test_everything_saved_comes_back_bit_for_bit(record):
    result = {"loss": 1 / 3, "worst": float("inf"), "spread": float("nan"), "notes": ["nan", None, True, 3]}
    theta = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    curves = CURVES.assign(accuracy=np.random.default_rng(1).random(2))
    record.save(result, arrays={"theta": theta}, tables={"curves": curves})
    assert record.state == "finished"
    assert repr(record.result) == repr(result)
    assert record.arrays["theta"].tobytes() == theta.tobytes()
    pd.testing.assert_frame_equal(record.table("curves"), curves, check_exact=True)


def test_states_in_the_order_of_life(record):
    assert record.state == "new"
    assert not record.folder.exists()
    with record.lock():
        assert record.state == "interrupted"
    assert record.state == "interrupted"
    save(record)
    assert record.state == "finished"
    save(record, status="diverged")
    assert record.state == "diverged"


def test_unfinished_record_has_no_result(record):
    with pytest.raises(ResultsError, match="has no result yet"):
        _ = record.result


def test_absent_table_and_arrays(record):
    record.save({})
    assert record.arrays == {}
    with pytest.raises(ResultsError, match=r"has no curves\.csv"):
        record.table("curves")


def test_second_writer_is_refused(record, tmp_path):
    twin = Store(tmp_path).record("trained", "F1-small_batch-0", SETUP)
    with record.lock():
        assert twin.state == "running"
        with pytest.raises(ResultsError, match=f"is being written by process {os.getpid()}"):
            save(twin)
        save(record)
    assert twin.state == "finished"


def test_same_result_gives_the_same_bytes(record):
    names = ("result.json", "arrays.npz", "curves.csv", "setup.yaml")
    save(record)
    first = [(record.folder / name).read_bytes() for name in names]
    save(record)
    assert [(record.folder / name).read_bytes() for name in names] == first


def test_provenance_is_kept_apart_and_takes_additions(record):
    with record.lock():
        save(record, provenance={"device": "cuda:0", "data": {"verified": True}})
    assert record.provenance["device"] == "cuda:0"
    assert record.provenance["data"] == {"verified": True}
    assert record.provenance["wall_seconds"] >= 0
    assert "provenance.json" not in (record.folder / "result.json").read_text()


def test_lock_clears_what_a_killed_writer_left(record):
    record.folder.mkdir(parents=True)
    (record.folder / ".arrays.npz.123.tmp").write_text("half")
    with record.lock():
        assert sorted(path.name for path in record.folder.iterdir()) == [".lock", "setup.yaml"]


def test_checkpoints_of_the_work_stay(record):
    with record.lock():
        (record.folder / "last.ckpt").write_text("weights")
    save(record)
    assert (record.folder / "last.ckpt").read_text() == "weights"
    assert record.state == "finished"


@pytest.mark.parametrize("name", ["arrays.npz", "curves.csv", "result.json", "setup.yaml"])
def test_cut_off_file_is_broken(record, name):
    save(record)
    path = record.folder / name
    path.write_bytes(path.read_bytes()[:-5])
    assert record.state == "broken"
    assert name in record.problem


@pytest.mark.parametrize("name", ["arrays.npz", "curves.csv", "setup.yaml"])
def test_missing_file_is_broken(record, name):
    save(record)
    (record.folder / name).unlink()
    assert record.state == "broken"
    assert f"{name} is missing" in record.problem


def test_edited_table_is_broken_and_not_read(record):
    save(record)
    path = record.folder / "curves.csv"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(ResultsError, match=r"curves\.csv was changed or cut off"):
        record.table("curves")
    assert record.state == "broken"


def test_files_seen_good_are_hashed_once_until_they_change(record, monkeypatch):
    save(record)
    read = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or whole(path))
    assert [record.state for _ in range(3)] == ["finished"] * 3
    assert read.count("arrays.npz") == 3, "they are younger than the clock can tell"
    monkeypatch.setattr("flatmin.results.record.CLOCK_NANOSECONDS", -1)
    read.clear()
    assert [record.state for _ in range(3)] == ["finished"] * 3
    assert read.count("arrays.npz") == read.count("curves.csv") == 1
    path = record.folder / "arrays.npz"
    content = bytearray(whole(path))
    content[len(content) // 2] ^= 1
    time.sleep(0.02)
    path.write_bytes(content)
    assert record.state == "broken"


def test_edited_result_is_broken_and_not_read(record):
    save(record)
    path = record.folder / "result.json"
    path.write_text(path.read_text().replace("0.30000000000000004", "0.9"))
    with pytest.raises(ResultsError, match=r"result\.json was changed"):
        _ = record.result
    assert record.state == "broken"


def test_edited_setup_is_broken_also_when_found_by_listing(record, tmp_path):
    with record.lock():
        pass
    (record.folder / "setup.yaml").write_text(yaml.safe_dump({**SETUP, "seed": 1}))
    assert record.state == "broken"
    assert "is not the setup this record was made for" in record.problem
    assert [found.state for found in Store(tmp_path).records()] == ["broken"]


@pytest.mark.parametrize("content", [b"[]", b"{}", b"plain text", b"", b"\xff\xfe", b"null", b"[" * 100_000, NUL, TEXT])
def test_damaged_provenance_is_broken_and_not_read(record, content):
    save(record)
    (record.folder / "provenance.json").write_bytes(content)
    assert record.state == "broken"
    assert re.match(
        r".*provenance\.json (cannot be read: |was changed after it was written: it does not say ).*\Z", record.problem
    )
    with pytest.raises(ResultsError, match=r"provenance\.json"):
        _ = record.provenance


@pytest.mark.parametrize("name", ["setup.yaml", "result.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"a: &a [*a]\n", b"x: \x00", b"\xff"])
def test_a_file_that_no_program_wrote_is_broken_in_one_line(record, tmp_path, name, content):
    save(record)
    (record.folder / name).write_bytes(content)
    (found,) = Store(tmp_path).records()
    assert found.state == "broken"
    assert re.match(rf".*{name} (cannot be read: |is not the setup).*\Z", found.problem)


@pytest.mark.parametrize(
    "change", [{"status": "done"}, {"status": []}, {"files": []}, {"result": 3}, {"id": None}], ids=str
)
def test_a_sealed_result_of_the_wrong_shape_is_broken(record, change):
    save(record)
    body = {
        key: value for key, value in json.loads((record.folder / "result.json").read_text()).items() if key != "seal"
    }
    body |= change
    (record.folder / "result.json").write_bytes(formats.to_json(body | {"seal": _seal(body)}))
    assert record.state == "broken" and "is no result of this version" in record.problem


def test_result_of_another_setup_is_broken(record, tmp_path):
    other = Store(tmp_path).record("trained", "F1-small_batch-1", {**SETUP, "seed": 1})
    save(record)
    save(other)
    os.replace(other.folder / "result.json", record.folder / "result.json")
    assert "belongs to another setup" in record.problem


def test_saving_again_mends_a_broken_record(record):
    save(record)
    (record.folder / "curves.csv").write_text("")
    save(record)
    assert record.state == "finished"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_a_record_to_run_again(record, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with record.lock():
        pass
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(ResultsError, match="no space left on device writing"):
            save(record)
    assert record.state == "interrupted"
    assert sorted(path.name for path in record.folder.iterdir()) == [".lock", "setup.yaml"]


def test_wrong_status_and_names_are_refused(record):
    with pytest.raises(ValueError, match="`status` must be one of finished, diverged, got 'done'"):
        record.save({}, status="done")
    with pytest.raises(ValueError, match="`table` must be letters"):
        record.save({}, tables={"../curves": CURVES})
    with pytest.raises(TypeError, match=r"`result\['model'\]` must be made of"):
        record.save({"model": object()})
    assert record.state == "new"


def test_killed_writer_never_leaves_a_broken_record(record, tmp_path):
    """Kill a process that saves without pause, at random moments, and look at what is left."""
    script = tmp_path / "writer.py"
    script.write_text(
        textwrap.dedent("""
            import sys
            import numpy as np
            import pandas as pd
            from flatmin.results import Store

            record = Store(sys.argv[1]).record("trained", "F1-small_batch-0", eval(sys.argv[2]))
            frame = pd.DataFrame({"loss": np.arange(300.0)})
            print("ready", flush=True)
            for step in range(10**9):
                record.save({"step": step}, arrays={"theta": np.full(20_000, step)}, tables={"curves": frame + step})
        """)
    )
    states, delays = [], random.Random(0)
    for _ in range(10):
        command = [sys.executable, str(script), str(tmp_path), repr(SETUP)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(delays.uniform(0, 0.12))
            process.kill()
        states.append(record.state)
        if record.state == "finished":
            step = record.result["step"]
            assert set(record.arrays["theta"]) == {step}
            assert record.table("curves")["loss"].iloc[0] == step
    assert set(states) <= {"new", "interrupted", "finished"}
    save(record)
    assert record.state == "finished"
    assert not list(record.folder.glob(".*.tmp"))
