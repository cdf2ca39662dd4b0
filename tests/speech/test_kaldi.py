"""Kaldi's files as kaldiio writes them and as Kaldi's text form is, and what is refused."""

import pickle

import kaldiio
import numpy as np
import pytest

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


@pytest.mark.parametrize("line", ["utt touch {} |", "utt | touch {}", "utt", "utt feats.ark"])
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
