import subprocess
import sys

import pytest

from flatmin.results import Store, identity


def test_folder_is_named_by_label_and_identity(tmp_path):
    record = Store(tmp_path / "fig2").record("trained", "C1-large_batch-3", {"seed": 3})
    assert record.folder == tmp_path / "fig2" / "trained" / f"C1-large_batch-3-{identity({'seed': 3})[:12]}"
    assert (record.kind, record.label, record.setup) == ("trained", "C1-large_batch-3", {"seed": 3})


def test_changed_setup_is_another_record(tmp_path):
    store = Store(tmp_path)
    store.record("trained", "C1", {"seed": 0}).save({})
    assert store.record("trained", "C1", {"seed": 0}).state == "finished"
    assert store.record("trained", "C1", {"seed": 0, "new_default": True}).state == "new"


def test_records_lists_what_is_on_disk(tmp_path):
    store = Store(tmp_path)
    assert store.records() == []
    store.record("sharpness", "b-2", {"x": 1.5, "y": [None, "1e-3"]}).save({"sharpness": 2.0})
    store.record("trained", "a-1", {"x": 1}).save({})
    with store.record("trained", "c", {"x": 2}).lock():
        assert [record.state for record in store.records()] == ["finished", "finished", "running"]
    found = store.records()
    assert [(record.kind, record.label, record.state) for record in found] == [
        ("sharpness", "b-2", "finished"),
        ("trained", "a-1", "finished"),
        ("trained", "c", "interrupted"),
    ]
    assert found[0].setup == {"x": 1.5, "y": [None, "1e-3"]}
    assert found[0].result == {"sharpness": 2.0}
    assert [record.label for record in store.records("sharpness")] == ["b-2"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1, 2", b"- 1\n", b"a: .nan\n", b"1: 2\n"])
def test_damaged_setup_is_listed_as_broken(tmp_path, content):
    store = Store(tmp_path)
    record = store.record("trained", "a", {"x": 1})
    record.save({})
    (record.folder / "setup.yaml").write_bytes(content)
    assert record.state == "broken"
    assert [found.state for found in store.records()] == ["broken"]
    assert "setup.yaml" in store.records()[0].problem


def test_kinds_and_labels_that_cannot_stand_in_a_file_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`kind` must be letters"):
        Store(tmp_path).record("../up", "a", {})
    assert Store(tmp_path).records("x") == []
    for label in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="`label` must be letters"):
            Store(tmp_path).record("trained", label, {})


def test_results_are_read_without_torch():
    code = "import sys, flatmin.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
