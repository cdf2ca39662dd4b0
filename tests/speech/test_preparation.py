"""The whole way on tiny corpora of noise."""

import json

import numpy as np
import pytest
import soundfile

from flatmin.core.errors import DataError
from flatmin.speech.corpus import SAMPLE_SPEAKERS, find_utterances
from flatmin.speech.frames import Frames
from flatmin.speech.preparation import from_corpus
from flatmin.speech.states import triphone_states


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, fake_timit):
    speakers = "fcjf0 mdac0 felc0 mcef0 fdtd0"
    return fake_timit(tmp_path_factory.mktemp("corpus"), speakers=speakers, sentences="sx37 sx127 si648")


@pytest.fixture(scope="module")
def frames(corpus):
    return from_corpus(corpus, states=60)


@pytest.mark.parametrize("layout", ["lower case", "sample"])
def test_every_layout_gives_the_same_frames(tmp_path, fake_timit, layout):
    one = from_corpus(fake_timit(tmp_path / "one"), states=40)
    other = from_corpus(fake_timit(tmp_path / "other", layout), states=40)
    assert one.packed() == other.packed()
    assert one.account["md5"] != other.account["md5"], "SPHERE and RIFF are other files"


def test_no_frame_is_lost(corpus, frames):
    expected = [1 + (soundfile.info(one.audio).frames - 400) // 160 for one in find_utterances(corpus)]
    assert frames.lengths.tolist() == expected
    assert sum(expected) == len(frames.targets) == len(frames.features) == len(frames.train) + len(frames.test)
    assert sorted([*frames.train, *frames.test]) == list(range(sum(expected)))
    assert set(frames.targets) <= set(range(frames.num_classes))


def test_inputs_are_nine_frames(frames):
    inputs, targets = frames.examples(frames.test)
    assert inputs.shape == (len(frames.test), 360)
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs[:, 160:200], frames.features[frames.test]), "the frame itself in the middle"
    assert np.array_equal(targets, frames.targets[frames.test])


def test_account(corpus, frames):
    account = json.loads(json.dumps(frames.account))
    assert account == frames.account
    assert account["origin"] == corpus.name
    assert (account["utterances"], account["speakers"], account["files"]) == (15, 5, 30)
    assert account["states_asked"] == 60
    assert account["states"] == frames.num_classes == 60
    assert account["training_frames"] == round(0.7 * account["frames"])
    assert {"numpy", "soundfile", "kaldi-native-fbank"} <= set(account["versions"])


def test_preparing_again_gives_the_same_bytes(corpus, frames):
    assert from_corpus(corpus, states=60).packed() == frames.packed()


def test_packed_frames_are_read_as_they_were(frames):
    again = Frames.unpacked(frames.packed(), frames.account)
    assert again.packed() == frames.packed()
    assert (again.name, again.num_classes, again.context) == (frames.name, frames.num_classes, frames.context)


def test_fewer_states_where_the_data_carry_no_more(corpus):
    few = from_corpus(corpus, states=1973, min_occupancy=40)
    assert few.num_classes < 1973
    assert few.account["states_asked"] == 1973
    assert few.account["states"] == few.num_classes


def test_trees_of_the_split_by_speakers_know_nothing_of_its_test_speakers(tmp_path, fake_timit):
    """Other sounds from the test speakers, the same phones: the states stay the same."""
    folder = fake_timit(tmp_path, speakers="fcjf0 mdac0 felc0", sentences="sx37 sx127 si648")
    before = from_corpus(folder, split="speakers", states=50)
    tested = {int(np.searchsorted(np.cumsum(before.lengths), row, side="right")) for row in before.test}
    for number in tested:
        audio = find_utterances(folder)[number].audio
        samples, rate = soundfile.read(audio, dtype="int16")
        noise = np.random.default_rng(number).integers(-9000, 9000, len(samples)).astype(np.int16)
        soundfile.write(audio, noise, rate, "PCM_16", format="NIST")
    after = from_corpus(folder, split="speakers", states=50)
    assert not np.array_equal(before.features, after.features)
    assert np.array_equal(before.targets, after.targets)
    assert not np.array_equal(from_corpus(folder, states=50).targets[before.train], before.targets[before.train]), (
        "the trees of the split by frames see the test speakers"
    )


def test_frames_of_one_state_show_one_third_of_one_phone(corpus, frames):
    from flatmin.speech.corpus import decoded_segments

    utterances = find_utterances(corpus)
    segments = [decoded_segments(one.transcription.read_bytes(), one.transcription) for one in utterances]
    shown = np.concatenate([triphone_states(*pair)[:, 0] for pair in zip(segments, frames.lengths, strict=True)])
    for state in range(frames.num_classes):
        assert len(set(shown[frames.targets == state])) == 1


def test_the_sample_is_known_by_its_speakers(tmp_path, fake_timit):
    some = " ".join(sorted(SAMPLE_SPEAKERS)[:2])
    assert from_corpus(fake_timit(tmp_path / "timit", speakers=some), states=40).name == "timit_sample"
    assert from_corpus(fake_timit(tmp_path / "timit_sample", speakers=f"{some} fcjf0"), states=40).name == "timit"


def test_refusals(tmp_path, fake_timit):
    folder = fake_timit(tmp_path)
    with pytest.raises(DataError, match=r"`states` must be at least \d+, one for each state of each phone"):
        from_corpus(folder, states=5)
    with pytest.raises(DataError, match="`split` must be one of"):
        from_corpus(folder, split="phones")
    audio = find_utterances(folder)[0].audio
    soundfile.write(audio, np.zeros(500, np.int16), 16_000, "PCM_16", format="NIST")
    with pytest.raises(DataError, match=r"SI648\.WAV is cut short: it ends at sample 500, before its last phone"):
        from_corpus(folder)
    audio.unlink()
    audio.mkdir()
    with pytest.raises(DataError, match=r"SI648\.WAV cannot be read: Is a directory"):
        from_corpus(folder)
