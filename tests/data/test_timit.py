"""The prepared set: written by the command, read by `load`, from tiny corpora of noise and from the real sample."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from flatmin.cli.data import app
from flatmin.core.errors import DataError
from flatmin.data import load, timit
from flatmin.speech.corpus import SAMPLE_SPEAKERS
from flatmin.speech.preparation import from_corpus

SAMPLE = " ".join(sorted(SAMPLE_SPEAKERS)[:3])


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture
def corpus(tmp_path, fake_timit):
    return fake_timit(tmp_path / "corpus", speakers="fcjf0 mdac0 felc0")


@pytest.fixture
def prepared(tmp_path, corpus):
    """A root with the corpus prepared by frames."""
    timit.write(from_corpus(corpus, states=30), tmp_path / "root")
    return tmp_path / "root"


def files_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_command_prepares_what_load_reads(tmp_path, corpus):
    root = tmp_path / "root"
    result = invoke("timit", "--corpus", corpus, "--states", "30", "--data", root)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    dataset = load("timit", root=root)
    total = len(dataset.train) + len(dataset.test)
    assert lines[0] == "timit: 6 utterances of 3 speakers"
    assert lines[1].startswith(f"  {total:,} frames of 360 inputs: 40 log-mel energies, ")
    assert lines[2] == "  30 states"
    assert lines[3] == (
        f"  {len(dataset.train):,} training and {len(dataset.test):,} test frames, by frames: "
        "neighbours of test frames are training frames"
    )
    assert lines[4] == f"  written to {root / 'timit' / 'frames.npz'}"
    assert files_under(root) == ["timit/frames.json", "timit/frames.npz"]


def test_command_says_when_there_are_fewer_states(tmp_path, corpus):
    result = invoke("timit", "--corpus", corpus, "--split", "speakers", "--data", tmp_path)
    dataset = load("timit", root=tmp_path, split="speakers")
    assert f"  {dataset.num_classes} states, fewer than the 1,973 asked for: no further split" in result.output
    assert "by speakers\n" in result.output


def test_the_data_set(prepared, corpus):
    dataset = load("timit", root=prepared)
    frames = from_corpus(corpus, states=30)
    assert (dataset.name, dataset.input_shape, dataset.num_classes) == ("timit", (360,), 30)
    for split, rows in ((dataset.train, frames.train), (dataset.test, frames.test)):
        inputs, targets = frames.examples(rows)
        assert torch.equal(split.inputs, torch.tensor(inputs))
        assert torch.equal(split.targets, torch.tensor(targets))
    assert dataset.train.inputs.min() < 0


def test_provenance(prepared):
    provenance = load("timit", root=prepared).provenance
    assert json.loads(json.dumps(provenance)) == provenance
    md5 = hashlib.md5((prepared / "timit/frames.npz").read_bytes()).hexdigest()
    assert provenance["files"] == {"frames.npz": md5}
    assert (provenance["verified"], provenance["changed"]) == (True, [])
    assert provenance["place"] == str(prepared / "timit")
    assert provenance["source"] == "https://catalog.ldc.upenn.edu/LDC93S1"
    details = provenance["timit"]
    assert (details["states_asked"], details["states"], details["split"]) == (30, 30, "frames")
    assert "48 phones" in details["phone_set"] and "log-mel" in details["features"]


def test_corpus_before_sample_and_sample_before_nothing(tmp_path, prepared, fake_timit):
    sample = tmp_path / "sample"
    folder = fake_timit(sample / "timit-sample" / "timit", "sample", speakers=SAMPLE)
    assert load("timit", root=sample).name == "timit_sample"
    assert files_under(sample)[0].startswith("timit-sample/"), "prepared in memory: nothing is written"
    result = invoke("timit", "--corpus", folder, "--data", prepared)
    assert f"written to {prepared / 'timit_sample'}" in result.output
    assert load("timit", root=prepared).name == "timit"
    (prepared / "timit").rename(tmp_path / "elsewhere")
    assert load("timit", root=prepared).name == "timit_sample"


def test_sample_prepared_in_memory_is_the_one_prepared_on_disk(tmp_path, fake_timit):
    folder = fake_timit(tmp_path / "timit-sample" / "timit", "sample", speakers=SAMPLE)
    in_memory = load("timit", root=tmp_path)
    invoke("timit", "--corpus", folder, "--data", tmp_path)
    on_disk = load("timit", root=tmp_path)
    assert in_memory.provenance["files"] == on_disk.provenance["files"]
    assert in_memory.provenance["timit"] == on_disk.provenance["timit"]
    assert torch.equal(in_memory.train.inputs, on_disk.train.inputs)


def test_both_splits_lie_side_by_side(prepared, corpus):
    with pytest.raises(DataError, match=r"holds the split by frames alone.*--corpus PATH --split speakers` for the"):
        load("timit", root=prepared, split="speakers")
    timit.write(from_corpus(corpus, states=30, split="speakers"), prepared)
    assert load("timit", root=prepared, split="speakers").provenance["timit"]["split"] == "speakers"
    assert load("timit", root=prepared).provenance["timit"]["split"] == "frames"


def test_absent(tmp_path):
    with pytest.raises(
        DataError,
        match=r"timit was not found: searched for timit/, timit_sample/, timit-sample/timit/ under .*"
        r"`flatmin data timit --corpus PATH`; a sample .* corpus `timit` of NLTK's data",
    ):
        load("timit", root=tmp_path)


def test_splits_that_are_not():
    with pytest.raises(DataError, match="`split` must be one of 'frames', 'speakers', got 'utterances'"):
        load("timit", split="utterances")
    with pytest.raises(DataError, match=r"`split` is a choice for timit alone; digits has .* got 'speakers'"):
        load("digits", split="speakers")


def test_changed_frames_are_refused_unless_accepted(tmp_path, prepared, corpus):
    other = from_corpus(corpus, states=29)
    (prepared / "timit" / "frames.npz").write_bytes(other.packed())
    with pytest.raises(DataError, match=r"frames\.npz: md5 \w{32} differs from \w{32} in its account.*--no-verify"):
        load("timit", root=prepared)
    dataset = load("timit", root=prepared, verify=False)
    assert dataset.provenance["changed"] == ["frames.npz"]
    assert not dataset.provenance["verified"]
    assert dataset.num_classes == 29


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04."])
def test_damaged_frames(prepared, content):
    (prepared / "timit" / "frames.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"frames\.npz is no archive of prepared frames .*flatmin data timit"):
        load("timit", root=prepared, verify=False)


@pytest.mark.parametrize("content", ["", "[]", "{}", "{'a': 1}"])
def test_damaged_account(prepared, content):
    (prepared / "timit" / "frames.json").write_text(content)
    with pytest.raises(DataError, match=r"frames\.json is no account of prepared frames"):
        load("timit", root=prepared)


def test_account_without_its_frames(prepared):
    (prepared / "timit" / "frames.npz").unlink()
    with pytest.raises(DataError, match=r"frames\.npz cannot be read: No such file.*flatmin data timit"):
        load("timit", root=prepared)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_the_old_set_or_none(tmp_path, prepared, corpus, monkeypatch, step):
    before = load("timit", root=prepared).provenance["files"]
    calls = []

    def fail(*arguments):
        calls.append(arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(DataError, match=r"frames\.npz cannot be written: No space left on device"):
        timit.write(from_corpus(corpus, states=29), prepared)
    monkeypatch.undo()
    monkeypatch.setattr("flatmin.data.files.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("FLATMIN_DATA", raising=False)
    assert calls
    if step == "fsync":
        assert load("timit", root=prepared).provenance["files"] == before
        assert files_under(prepared) == ["timit/frames.json", "timit/frames.npz"]
    else:
        assert files_under(prepared) == ["timit/frames.npz"]
        with pytest.raises(DataError, match="timit was not found"):
            load("timit", root=prepared)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--features", "a.ark"],
        ["--alignments", "a.ark"],
        ["--corpus", "c", "--features", "a.ark"],
        ["--features", "a.ark", "--alignments", "b.ark", "--states", "100"],
    ],
)
def test_choice_of_the_source(arguments):
    result = invoke("timit", *arguments)
    assert result.exit_code == 2
    assert "give either --corpus (and --states), or both --features and --alignments" in result.output


def test_command_on_kaldis_files(tmp_path):
    import kaldiio

    rng = np.random.default_rng(0)
    names = ["fcjf0_sx37", "mdac0_sx37"]
    features = {name: rng.normal(size=(30, 360)).astype(np.float32) for name in [*names, "felc0_sx37"]}
    kaldiio.save_ark(str(tmp_path / "f.ark"), features)
    states = {name: rng.integers(0, 1973, 30).astype(np.int32) for name in names}
    states["mdac0_sx37"][-1] = 1972
    kaldiio.save_ark(str(tmp_path / "a.ark"), states)
    result = invoke("timit", "--features", tmp_path / "f.ark", "--alignments", tmp_path / "a.ark", "--data", tmp_path)
    assert result.exit_code == 0
    assert result.output.startswith("timit: 2 utterances of 2 speakers, 1 more without an alignment\n")
    assert "60 frames of 360 inputs: 360 of Kaldi" in result.output
    assert "1,973 states\n" in result.output
    dataset = load("timit", root=tmp_path)
    assert (dataset.num_classes, dataset.input_shape, len(dataset.train)) == (1973, (360,), 42)


def test_list_check_and_fetch(tmp_path, prepared, fake_timit):
    assert "not found" in next(line for line in invoke("list").output.splitlines() if "timit" in line)
    row = next(line for line in invoke("list", "--data", prepared).output.splitlines() if "timit, by frames" in line)
    assert str(prepared)[:20] in row and "yes" in row
    (prepared / "timit" / "frames.npz").write_bytes(b"")
    assert "differs" in invoke("list", "--data", prepared).output
    (prepared / "timit" / "frames.json").write_bytes(b"")
    assert "damaged" in invoke("list", "--data", prepared).output
    fake_timit(tmp_path / "timit-sample" / "timit", "sample", speakers=SAMPLE)
    assert "the sample, prepared at every use" in " ".join(invoke("list", "--data", tmp_path).output.split())
    checked = invoke("check", "timit", "--split", "speakers", "--data", tmp_path).output
    assert checked.startswith("timit_sample: ") and checked.endswith("  speakers.npz\nverified\n")
    with pytest.raises(DataError, match="TIMIT is licensed and cannot be downloaded"):
        raise invoke("fetch", "timit", "--data", prepared).exception


def test_listing_and_loading_need_no_package_for_speech(prepared):
    block = "import sys; sys.modules.update(dict.fromkeys(['soundfile', 'kaldi_native_fbank', 'kaldiio']));"
    code = f"{block} from flatmin.data import load; print(load('timit', root={str(prepared)!r}).name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "timit\n"


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory):
    """Folder with the real sample, unpacked as it is distributed."""
    if named := os.environ.get("FLATMIN_DATA"):
        root = Path(named)
    else:
        unpack = Path(__file__).resolve().parents[3] / "shared" / "data" / "unpack.py"
        if not (unpack.parent / "timit-sample.tar.xz").is_file():
            pytest.skip(f"no real TIMIT: $FLATMIN_DATA is not set and {unpack.parent}/timit-sample.tar.xz is absent")
        root = tmp_path_factory.mktemp("sample")
        subprocess.run([sys.executable, str(unpack), str(root), "timit-sample"], check=True, stdout=subprocess.DEVNULL)
    if timit.unpacked_sample([root]) is None:
        pytest.skip(f"no real TIMIT: {root / timit.UNPACKED_SAMPLE} does not exist")
    return root


@pytest.fixture(scope="module", params=["frames", "speakers"])
def real(request, sample_root):
    return from_corpus(timit.unpacked_sample([sample_root]), split=request.param)


@pytest.mark.data
def test_real_sizes(sample_root, real):
    samples = [(path.stat().st_size - 44) // 2 for path in timit.unpacked_sample([sample_root]).glob("*/*.wav")]
    assert len(samples) == 160
    assert sum(1 + (count - 400) // 160 for count in samples) == 48_695 == len(real.targets)
    assert real.name == "timit_sample"
    assert real.account["speakers"] == 16
    sizes = {"frames": (34_086, 14_609), "speakers": (33_425, 15_270)}
    assert (len(real.train), len(real.test)) == sizes[real.account["split"]]
    assert real.num_classes == 1973


@pytest.mark.data
def test_every_real_state_has_frames(real):
    trained = np.bincount(real.targets[real.train], minlength=1973)
    assert trained.min() >= (10 if real.account["split"] == "speakers" else 1)


@pytest.mark.data
def test_real_features_are_normalised(real):
    assert np.abs(real.features.mean(0)).max() < 1e-4
    assert np.abs(real.features.std(0) - 1).max() < 1e-4
    assert np.isfinite(real.features).all()


@pytest.mark.data
def test_real_states_can_be_told_from_the_features(real):
    """The nearest class mean among 1,973 is right at least three times as often as the commonest class."""
    train, test = (real.features[rows] for rows in (real.train, real.test[:3000]))
    means = np.stack([train[real.targets[real.train] == state].mean(0) for state in range(1973)])
    nearest = ((means**2).sum(1) - 2 * test @ means.T).argmin(1)
    accuracy = (nearest == real.targets[real.test[:3000]]).mean()
    commonest = np.bincount(real.targets).max() / len(real.targets)
    assert accuracy > 3 * commonest
