"""Kaldi's files as kaldiio writes them and as Kaldi's text form is, and what is refused."""

import gzip
import pickle

import kaldiio
import numpy as np
import pytest

from flatmin.cli.data import _summary
from flatmin.core.errors import DataError
from flatmin.speech.kaldi import read_alignments, read_features
from flatmin.speech.preparation import from_kaldi

LENGTHS = {"fcjf0_si648": 7, "fcjf0_sx37": 5, "mdac0-sx37": 9}


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return {name: rng.normal(3, 2, (length, 40)).astype(np.float32) for name, length in LENGTHS.items()}


@pytest.fixture
def alignments():
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 12, length).astype(np.int32) for name, length in LENGTHS.items()}


@pytest.fixture
def files(tmp_path, features, alignments):
    kaldiio.save_ark(str(tmp_path / "feats.ark"), features, scp=str(tmp_path / "feats.scp"))
    kaldiio.save_ark(str(tmp_path / "ali.ark"), alignments)
    return tmp_path


@pytest.mark.parametrize("name", ["feats.scp", "feats.ark"])
def test_features(files, features, name):
    found = read_features(files / name)
    assert list(found) == list(LENGTHS)
    assert all(np.array_equal(found[key], features[key]) for key in LENGTHS)


@pytest.mark.parametrize("text", [False, True])
def test_alignments(tmp_path, alignments, text):
    if text:
        lines = [f"{key} {' '.join(map(str, value))} \n" for key, value in alignments.items()]
        (tmp_path / "ali").write_text("".join(lines))
    else:
        kaldiio.save_ark(str(tmp_path / "ali"), alignments)
    found = read_alignments(tmp_path / "ali")
    assert {key: value.tolist() for key, value in found.items()} == {k: v.tolist() for k, v in alignments.items()}


def test_text_features(tmp_path):
    (tmp_path / "feats.txt").write_text("a  [\n  1.5 2.0\n  3.0 4.0 ]\nb  [\n  5.0 6.0 ]\n")
    found = read_features(tmp_path / "feats.txt")
    assert {key: value.tolist() for key, value in found.items()} == {"a": [[1.5, 2], [3, 4]], "b": [[5, 6]]}


def test_frames_of_kaldi(files, features, alignments):
    frames = from_kaldi(files / "feats.scp", files / "ali.ark")
    assert frames.targets.tolist() == [state for key in LENGTHS for state in alignments[key]]
    assert frames.num_classes == frames.targets.max() + 1
    assert frames.examples(np.arange(21))[0].shape == (21, 360)
    women = np.concatenate([features["fcjf0_si648"], features["fcjf0_sx37"]])
    np.testing.assert_allclose(frames.features[:12], (women - women.mean(0)) / women.std(0), atol=1e-5)
    assert frames.account["speakers"] == 2
    train, test = (set(rows.tolist()) for rows in (frames.train, frames.test))
    assert train | test == set(range(21))
    sides = from_kaldi(files / "feats.scp", files / "ali.ark", split="speakers")
    assert {len(sides.train), len(sides.test)} == {12, 9}


def test_features_of_another_dim_are_not_spliced(tmp_path, files, features):
    kaldiio.save_ark(str(tmp_path / "wide.ark"), {key: value.repeat(3, axis=1) for key, value in features.items()})
    frames = from_kaldi(tmp_path / "wide.ark", files / "ali.ark")
    assert (frames.context, frames.num_inputs) == (0, 120)


def test_utterances_without_alignment_are_left_out(tmp_path, files, alignments):
    del alignments["fcjf0_sx37"]
    kaldiio.save_ark(str(tmp_path / "less.ark"), alignments)
    frames = from_kaldi(files / "feats.ark", tmp_path / "less.ark")
    assert frames.lengths.tolist() == [7, 9]
    assert frames.account["without_alignment"] == 1


def test_files_that_do_not_belong_together(tmp_path, files, alignments):
    kaldiio.save_ark(str(tmp_path / "short.ark"), alignments | {"fcjf0_sx37": np.arange(4, dtype=np.int32)})
    with pytest.raises(DataError, match=r"short\.ark: fcjf0_sx37 has 4 states, but 5 frames in .*feats\.ark"):
        from_kaldi(files / "feats.ark", tmp_path / "short.ark")
    kaldiio.save_ark(str(tmp_path / "other.ark"), {"x": np.arange(4, dtype=np.int32)})
    with pytest.raises(DataError, match=r"feats\.ark and .*other\.ark have no utterance in common"):
        from_kaldi(files / "feats.ark", tmp_path / "other.ark")


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickle_in_an_archive_is_not_run(tmp_path):
    target = tmp_path / "written"
    (tmp_path / "evil.ark").write_bytes(b"utt PKL" + pickle.dumps(Touch(str(target))))
    with pytest.raises(DataError, match=r"evil\.ark is no Kaldi archive, or damaged, after 0 entries"):
        read_features(tmp_path / "evil.ark")
    assert not target.exists()


@pytest.mark.parametrize("line", ["utt touch {} |", "utt | touch {}", "utt", "utt feats.ark:9[0:1]"])
def test_commands_in_a_list_are_not_run(tmp_path, line):
    target = tmp_path / "written"
    (tmp_path / "evil.scp").write_text(line.format(target))
    with pytest.raises(DataError, match=r"evil\.scp:1: expected `utterance archive:offset`, got 'utt"):
        read_features(tmp_path / "evil.scp")
    assert not target.exists()


@pytest.mark.parametrize("keep", [30, 500, 1000])
def test_archive_cut_short(files, keep):
    content = (files / "feats.ark").read_bytes()
    (files / "cut.ark").write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"cut\.ark is no Kaldi archive, or damaged, after 0 entries"):
        read_features(files / "cut.ark")


def test_what_is_neither_features_nor_alignments(tmp_path, files, features):
    (tmp_path / "empty.ark").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.ark holds no entries"):
        read_features(tmp_path / "empty.ark")
    with pytest.raises(DataError, match=r"ali\.ark: expected matrices \(frames, dim\) of one dim"):
        read_features(files / "ali.ark")
    kaldiio.save_ark(
        str(tmp_path / "mixed.ark"), {"a": np.zeros((2, 3), np.float32), "b": np.zeros((2, 4), np.float32)}
    )
    with pytest.raises(DataError, match=r"mixed\.ark: expected matrices .* got rows of shapes \[\(3,\), \(4,\)\]"):
        read_features(tmp_path / "mixed.ark")
    with pytest.raises(DataError, match=r"feats\.ark: fcjf0_si648 is no alignment: expected pdf-ids"):
        read_alignments(files / "feats.ark")


def test_gzipped_archives_of_a_pattern(tmp_path, alignments):
    for number, (key, value) in enumerate(alignments.items(), 9):
        kaldiio.save_ark(str(tmp_path / "one"), {key: value})
        (tmp_path / f"ali.{number}.gz").write_bytes(gzip.compress((tmp_path / "one").read_bytes()))
    found = read_alignments(tmp_path / "ali.*.gz")
    assert list(found) == list(alignments)
    assert all(np.array_equal(found[key], value) for key, value in alignments.items())
    with pytest.raises(DataError, match=r"tmp.*gone\.\*\.gz was not found, and no file matches it"):
        read_alignments(tmp_path / "gone.*.gz")


def test_gzipped_archive_that_is_damaged_or_a_bomb(tmp_path, monkeypatch):
    (tmp_path / "ali.1.gz").write_bytes(gzip.compress(b"utt 1 2 3\n")[:-5])
    with pytest.raises(DataError, match=r"ali\.1\.gz is cut short or damaged"):
        read_alignments(tmp_path / "ali.1.gz")
    monkeypatch.setattr("flatmin.speech.kaldi.MOST_BYTES", 2**20)
    (tmp_path / "ali.1.gz").write_bytes(gzip.compress(bytes(2**21)))
    with pytest.raises(DataError, match=r"ali\.1\.gz is refused: it holds or announces more than 1,048,576 bytes"):
        read_alignments(tmp_path / "ali.1.gz")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_list_of_files_without_offsets(tmp_path, features, absolute):
    lines = []
    for key, value in features.items():
        kaldiio.save_mat(str(tmp_path / f"{key}.mat"), value)
        lines.append(f"{key} {tmp_path / key if absolute else key}.mat\n")
    (tmp_path / "feats.scp").write_text("".join(lines))
    found = read_features(tmp_path / "feats.scp")
    assert all(np.array_equal(found[key], value) for key, value in features.items())
    (tmp_path / "feats.scp").write_text("utt gone.mat\n")
    with pytest.raises(DataError, match=r"gone\.mat cannot be read: No such file"):
        read_features(tmp_path / "feats.scp")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_named(tmp_path, features, wrong):
    features["mdac0-sx37"][4, 7] = wrong
    kaldiio.save_ark(str(tmp_path / "feats.ark"), features)
    with pytest.raises(DataError, match=r"feats\.ark: mdac0-sx37 has a feature that is not finite, at \(4, 7\)"):
        read_features(tmp_path / "feats.ark")


def test_a_target_out_of_range_is_named(tmp_path, alignments):
    alignments["fcjf0_sx37"][2] = 2**20
    kaldiio.save_ark(str(tmp_path / "ali.ark"), alignments)
    with pytest.raises(DataError, match=r"ali\.ark: fcjf0_sx37 has a pdf-id of 1048576, expected them below 65,536"):
        read_alignments(tmp_path / "ali.ark")


def test_states_that_never_are_0_are_said_to_look_like_transitions(tmp_path, files, alignments):
    kaldiio.save_ark(str(tmp_path / "ids.ark"), {key: value + 1 for key, value in alignments.items()})
    plain, shifted = (from_kaldi(files / "feats.ark", tmp_path / name).account for name in ("ali.ark", "ids.ark"))
    assert "ali-to-pdf" in " ".join(_summary(shifted)) and "ali-to-pdf" not in " ".join(_summary(plain))
