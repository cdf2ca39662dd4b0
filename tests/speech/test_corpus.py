"""Both layouts and both audio formats, and what is said of files that are not right."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from flatmin.core.errors import DataError
from flatmin.speech.corpus import Segment, decoded_audio, decoded_segments, find_utterances, training_set
from flatmin.speech.phones import FOLDING, PHONES, questions

PHN = Path("sa1.phn")


def names(utterances):
    return [(one.part, one.dialect, one.speaker, one.sentence) for one in utterances]


@pytest.mark.parametrize(("layout", "part"), [("published", "train"), ("lower case", "train"), ("sample", "")])
def test_utterances_of_every_layout(tmp_path, fake_timit, layout, part):
    found = find_utterances(fake_timit(tmp_path, layout))
    assert names(found) == [
        (part, "dr1", "fcjf0", "si648"),
        (part, "dr1", "fcjf0", "sx37"),
        (part, "dr2", "mdac0", "si648"),
        (part, "dr2", "mdac0", "sx37"),
    ]
    assert all(one.transcription.is_file() for one in found)


def test_training_set_is_kaldis(tmp_path, fake_timit):
    fake_timit(tmp_path, "published", sentences="sa1 sa2 sx37")
    fake_timit(tmp_path / "other", "published", speakers="felc0")
    (tmp_path / "other" / "TRAIN").rename(tmp_path / "TEST")
    found = find_utterances(tmp_path)
    assert len(found) == 8
    assert names(training_set(found)) == [("train", "dr1", "fcjf0", "sx37"), ("train", "dr2", "mdac0", "sx37")]


def test_without_a_training_part_everything_is_used(tmp_path, fake_timit):
    found = find_utterances(fake_timit(tmp_path, "sample", sentences="sa1 sx37"))
    assert training_set(found) == found


def test_part_is_known_when_the_folder_is_the_part_itself(tmp_path, fake_timit):
    fake_timit(tmp_path, sentences="sa1 sx37")
    assert {one.part for one in find_utterances(tmp_path / "TRAIN")} == {"train"}


def test_folders_without_utterances(tmp_path):
    (tmp_path / "notes.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"no utterance of TIMIT: expected files such as TRAIN/DR1/FCJF0/SA1\.WAV"):
        find_utterances(tmp_path)
    with pytest.raises(DataError, match="absent is no folder"):
        find_utterances(tmp_path / "absent")


def test_two_copies_in_one_folder(tmp_path, fake_timit):
    fake_timit(tmp_path / "one", "published")
    fake_timit(tmp_path / "two", "sample")
    with pytest.raises(DataError, match=r"an utterance twice, .*one.*SI648\.WAV and .*two.*si648\.wav; name one copy"):
        find_utterances(tmp_path)


def test_missing_transcription(tmp_path, fake_timit):
    first = find_utterances(fake_timit(tmp_path, "sample"))[0]
    first.transcription.unlink()
    with pytest.raises(DataError, match=r"si648\.wav has no phones: .*si648\.phn is missing"):
        _ = first.transcription


def sphere(samples, order="01"):
    fields = [
        "NIST_1A\n   1024",
        "channel_count -i 1",
        f"sample_count -i {len(samples)}",
        "sample_rate -i 16000",
        "sample_n_bytes -i 2",
        f"sample_byte_format -s2 {order}",
        "sample_sig_bits -i 16",
        "end_head",
    ]
    header = "\n".join(fields).encode() + b"\n"
    return header.ljust(1024) + samples.astype("<i2" if order == "01" else ">i2").tobytes()


@pytest.mark.parametrize("order", ["01", "10"])
def test_sphere_written_by_hand(order):
    samples = np.array([0, 1, -1, 32767, -32768, 258] * 3)
    assert decoded_audio(sphere(samples, order), Path("SA1.WAV")).tolist() == samples.tolist()


@pytest.mark.parametrize("kind", ["NIST", "WAV"])
def test_samples_are_read_as_they_were_written(tmp_path, kind):
    samples = np.random.default_rng(1).integers(-32768, 32767, 1000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, "PCM_16", format=kind)
    content = (tmp_path / "a.wav").read_bytes()
    assert content.startswith(b"NIST_1A" if kind == "NIST" else b"RIFF")
    assert np.array_equal(decoded_audio(content, tmp_path / "a.wav"), samples)


@pytest.mark.parametrize(("shape", "rate", "found"), [((500,), 8000, "1 of 8000"), ((500, 2), 16_000, "2 of 16000")])
def test_audio_of_another_kind(tmp_path, shape, rate, found):
    soundfile.write(tmp_path / "a.wav", np.zeros(shape, np.int16), rate)
    with pytest.raises(DataError, match=rf"a\.wav: expected one channel of 16000 Hz, got {found} Hz"):
        decoded_audio((tmp_path / "a.wav").read_bytes(), tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_audio_that_is_none(content):
    with pytest.raises(DataError, match=r"a\.wav cannot be read as audio \(\w.*\w\): damaged, or neither"):
        decoded_audio(content, Path("a.wav"))


def test_absent_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(DataError, match=r"needs the package soundfile: run `pip install 'flatmin\[speech\]'`"):
        decoded_audio(b"", Path("a.wav"))


def test_segments():
    assert decoded_segments(b"0 10 h#\n10 25 sh\r\n\n25 30 q\n", PHN) == [
        Segment(0, 10, "h#"),
        Segment(10, 25, "sh"),
        Segment(25, 30, "q"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no phones"),
        (b"\n \n", "holds no phones"),
        (b"0 10 h#\n10 sh\n", r"sa1\.phn:2: expected `start end phone`, got '10 sh'"),
        (b"0 1x h#\n", r"sa1\.phn:1: expected `start end phone`"),
        (b"\xff\xfe0 10 h#\n", r"sa1\.phn:1: expected `start end phone`"),
        (b"0 10 h#\n10 10 sh\n", r"sa1\.phn:2: a segment must end after it begins, got 10 to 10"),
        (b"-5 10 h#\n", "must end after it begins, got -5 to 10"),
        (b"0 10 xx\n", r"sa1\.phn:1: 'xx' is none of TIMIT's 61 phones"),
        (b"0 10 h#\n9 20 sh\n", "'sh' begins at sample 9, before 'h#' ends at 10"),
        (b"10 20 sh\n0 10 h#\n", "'h#' begins at sample 0, before 'sh' ends at 20"),
    ],
)
def test_segments_that_are_not_right(content, message):
    with pytest.raises(DataError, match=message):
        decoded_segments(content, PHN)


def test_the_phones_are_61_folded_to_48():
    assert len(FOLDING) + 1 == 61
    assert len(PHONES) == 48
    assert questions().shape[1] == 48
    assert questions().any(axis=1).all()
    assert np.array_equal(questions()[-48:], np.eye(48, dtype=bool))
