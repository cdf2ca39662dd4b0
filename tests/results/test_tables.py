import errno
import json
import math
import os

import numpy as np
import pandas as pd
import pytest
from invented import rows_of

from flatmin.core.errors import ResultsError
from flatmin.results import COLUMNS
from flatmin.results.tables import Tables, empty


def curves(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"seed": seed, "epoch": range(4), "loss": random.random(4), "accuracy": random.random(4)})
    frame = frame.assign(running_loss=random.random(4), running_accuracy=random.random(4))
    return frame.assign(network="F1", data="digits", regime="small_batch", split="train")


def sharpness() -> pd.DataFrame:
    row = {"network": "F1", "data": "digits", "regime": "large_batch", "seed": 0, "space": "full"}
    row |= {"epoch": math.nan, "distribution": "identity"}
    row |= {"subspace_dim": math.nan, "draw": math.nan, "method": "paper", "batch_norm": "running"}
    row |= {"worst_loss": math.inf, "converged": True, "sharpness": 1 / 3}
    return rows_of("sharpness", [row], blank=0.1)


def test_written_tables_come_back_exactly(tmp_path):
    provenance = {"experiment": "fig2", "reduced": ["one seed"], "wall_seconds": 0.1, "worst": math.inf}
    tables = Tables(curves=curves(), sharpness=sharpness(), provenance=provenance)
    tables.write(tmp_path / "tables")
    found = Tables.read(tmp_path / "tables")
    assert found.provenance == provenance
    for name, frame in tables.frames.items():
        pd.testing.assert_frame_equal(found.frames[name], frame, check_exact=True)
    assert found.sharpness["converged"].dtype == bool


def test_columns_are_written_in_the_fixed_order(tmp_path):
    Tables(curves=curves()).write(tmp_path)
    header = (tmp_path / "curves.csv").read_text().splitlines()[0]
    assert header == "network,data,regime,seed,epoch,split,loss,accuracy,running_loss,running_accuracy"


def test_absent_table_is_empty_with_its_columns(tmp_path):
    Tables(curves=curves()).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.csv", "provenance.json"]
    found = Tables.read(tmp_path)
    for name in ("planes", "lines"):
        assert tuple(found.frames[name].columns) == COLUMNS[name]
        assert len(found.frames[name]) == 0


def test_missing_folder_and_incomplete_folder_say_so(tmp_path):
    with pytest.raises(ResultsError, match=r"no results at .*absent; run the experiment first"):
        Tables.read(tmp_path / "absent")
    Tables(curves=curves()).write(tmp_path)
    (tmp_path / "provenance.json").unlink()
    with pytest.raises(ResultsError, match=r"holds no complete tables: provenance\.json"):
        Tables.read(tmp_path)
    with pytest.raises(ResultsError, match=r"curves\.csv is a file; name the folder that holds the tables"):
        Tables.read(tmp_path / "curves.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("network,loss\nF1,0.1\n", r"curves\.csv must have the columns .* \(missing: data, .* unknown: none"),
        ("", r"curves\.csv cannot be read"),
        (
            "network,data,regime,seed,epoch,split,loss,accuracy,running_loss,running_accuracy\n"
            "F1,d,r,0,0,train,oops,1,1,1\n",
            "column 'loss' must be numeric",
        ),
    ],
)
def test_damaged_table_names_the_file_and_the_fault(tmp_path, content, message):
    Tables().write(tmp_path)
    (tmp_path / "curves.csv").write_text(content)
    with pytest.raises(ResultsError, match=message):
        Tables.read(tmp_path)


def test_damaged_provenance_is_a_results_error(tmp_path):
    Tables().write(tmp_path)
    (tmp_path / "provenance.json").write_text("{")
    with pytest.raises(ResultsError, match=r"provenance\.json cannot be read"):
        Tables.read(tmp_path)


def test_wrong_columns_are_refused_at_once():
    with pytest.raises(ValueError, match=r"curves must have .* \(missing: accuracy; unknown: acc\)"):
        Tables(curves=curves().rename(columns={"accuracy": "acc"}))


def test_full_disk_keeps_the_old_tables(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Tables(curves=curves(0)).write(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultsError, match=r"no space left .* nothing was changed"):
            Tables(curves=curves(1)).write(tmp_path)
    pd.testing.assert_frame_equal(Tables.read(tmp_path).curves, Tables(curves=curves(0)).frames["curves"])


def test_concat_stacks_rows_and_joins_provenance():
    first = Tables(curves=curves(0), provenance={"a": 1, "b": 1})
    second = Tables(curves=curves(1), sharpness=sharpness(), provenance={"b": 2})
    joined = Tables.concat([first, second])
    assert joined.curves["seed"].tolist() == [0] * 4 + [1] * 4
    assert joined.curves.index.tolist() == list(range(8))
    assert len(joined.sharpness) == 1
    assert joined.provenance == {"a": 1, "b": 2}
    assert Tables.concat([first, second], provenance={}).provenance == {}


def test_concat_of_nothing_is_empty():
    for name, frame in Tables.concat([]).frames.items():
        pd.testing.assert_frame_equal(frame, empty(name))


def test_a_table_that_has_no_rows_any_more_leaves_no_file(tmp_path):
    Tables(curves=curves()).write(tmp_path)
    Tables().write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="there is no table 'curve'; known: curves, minima"):
        Tables(curve=curves())


def harm_half(folder):
    path = folder / "curves.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))


def harm_value(folder):
    path = folder / "sharpness.csv"
    path.write_text(path.read_text().replace("0.333", "333."))


def harm_provenance(folder):
    path = folder / "provenance.json"
    path.write_text(path.read_text().replace("one seed", "all seeds"))


def harm_seal(folder):
    path = folder / "provenance.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"seal": [found["seal"]]}))


HARMS = {
    harm_half: r"curves\.csv was changed or cut off after it was written",
    harm_value: r"sharpness\.csv was changed or cut off",
    harm_provenance: r"provenance\.json cannot be read: it was changed after it was written",
    harm_seal: r"provenance\.json cannot be read: its seal is broken",
    lambda folder: (folder / "curves.csv").unlink(): r"curves\.csv is missing",
    lambda folder: empty("minima").to_csv(folder / "minima.csv", index=False): r"minima\.csv is none of the tables",
}


@pytest.mark.parametrize(("harm", "message"), HARMS.items(), ids=["half", "value", "words", "seal", "gone", "more"])
def test_tables_that_are_not_those_written_are_refused_with_the_way_out(tmp_path, harm, message):
    tables = Tables(curves=curves(), sharpness=sharpness(), provenance={"reduced": ["one seed"]})
    tables.write(tmp_path)
    assert tables.lie_in(tmp_path)
    harm(tmp_path)
    with pytest.raises(ResultsError, match=message + r".* `flatmin run` writes the tables again"):
        Tables.read(tmp_path)
    tables.write(tmp_path)
    assert Tables.read(tmp_path).digest() == tables.digest()


def test_tables_without_a_seal_are_read_with_a_word(tmp_path, caplog):
    tables = Tables(curves=curves(), provenance={"experiment": "fig2"})
    tables.write(tmp_path)
    Tables.read(tmp_path)
    assert not caplog.text
    (tmp_path / "provenance.json").write_text('{"experiment": "fig2"}')
    assert Tables.read(tmp_path).digest() == tables.digest()
    assert "has no seal" in caplog.text


@pytest.mark.parametrize("name", ["x/../../../escaped", "..", "a\0b", "", "a b", "n" * 200])
@pytest.mark.parametrize("column", ["network", "data", "regime"])
def test_a_name_that_cannot_stand_in_a_file_name_is_refused(column, name):
    with pytest.raises(ValueError, match=rf"curves: column '{column}' must be up to 80 letters.* no dot or dash first"):
        Tables(curves=curves().assign(**{column: name}))


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ("[]", "it holds no provenance"),
        ('{"experiment": 3}', "`experiment` must be keys with values, or text, got int"),
        (
            '{"experiment": {"variations": {"sweep": 7}}}',
            r"`experiment\.variations\.\*` must be keys with values, got int",
        ),
        ('{"made_with": {"git": [3]}}', r"`made_with\.git\.\*` must be keys with values, got int"),
        ('{"reduced": "much"}', "`reduced` must be a list, got str"),
        ('{"examples": {"curves": true}}', r"`examples\.\*` must be a whole number, got bool"),
        ('{"loss": "a\\u0000b"}', "it holds a text with control characters"),
        ('{"a": {"\\ud800": 1}}', "it holds a text with control characters"),
        ("[" * 10_000, "nested more than 50 levels deep"),
    ],
)
def test_a_provenance_of_the_wrong_shape_is_refused(tmp_path, provenance, message):
    (tmp_path / "provenance.json").write_text(provenance)
    with pytest.raises(ResultsError, match=rf"\A.*provenance\.json cannot be read: .*{message}.*\Z"):
        Tables.read(tmp_path)


def test_another_kind_has_settings_of_its_own(tmp_path):
    experiment = {"kind": "parabola", "sharpness": 20.0, "training": "none"}
    Tables(provenance={"experiment": experiment}).write(tmp_path)
    assert Tables.read(tmp_path).experiment == experiment
