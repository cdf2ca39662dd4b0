"""The whole way: from a corpus, or from Kaldi's files, to a prepared set of frames."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from flatmin.core.errors import DataError
from flatmin.speech import kaldi
from flatmin.speech.corpus import (
    SAMPLE_SPEAKERS,
    Utterance,
    decoded_audio,
    decoded_segments,
    find_utterances,
    training_set,
)
from flatmin.speech.features import CONTEXT, NUM_MELS, Array, log_mels, normalized
from flatmin.speech.frames import Frames
from flatmin.speech.phones import PHONES, questions
from flatmin.speech.splits import require_split, split_frames
from flatmin.speech.states import triphone_states
from flatmin.speech.tying import StateStatistics, Tying, tie

Integers = npt.NDArray[np.int64]

STATES = 1973
"""The paper's number of classes."""
MIN_OCCUPANCY = 10
"""Fewest frames on either side of a split. The full corpus, with some 570 frames a state, is hardly touched by it."""
NUM_CEPSTRA = 13
_PACKAGES = ("flatmin", "numpy", "scipy", "soundfile", "kaldi-native-fbank", "kaldiio")


class _Voices(NamedTuple):
    """Whose utterances they are and how long, and the speaker of each frame."""

    names: list[str]
    lengths: Integers
    speakers: Integers

    @classmethod
    def of(cls, names: list[str], lengths: list[int]) -> "_Voices":
        numbers = np.unique(names, return_inverse=True)[1]
        return cls(names, np.array(lengths), np.repeat(numbers, lengths))


def from_corpus(
    folder: Path, *, split: str = "frames", states: int = STATES, min_occupancy: int = MIN_OCCUPANCY, seed: int = 0
) -> Frames:
    """Prepare TIMIT, or its freely distributed sample, from audio and phones.

    Forty log-mel energies every 10 ms, normalised per speaker; nine frames to an input of 360; three states of 48
    phones, tied by decision trees. The trees grow on 13 cepstra of the normalised energies (a discrete cosine
    transform): the Gaussians of a tree are diagonal, and cepstra are nearly uncorrelated. For the split by speakers
    they grow on the training frames alone. For the split by frames they grow on all of them: in the paper the
    states, too, were fixed by Kaldi before frames were drawn from them.

    Args:
        folder: The corpus; of the full one, Kaldi's training set is taken (:func:`training_set`).
        split: ``"frames"`` or ``"speakers"``; see :func:`split_frames`.
        states: Leaves asked for; there are fewer where no further split leaves ``min_occupancy`` frames on each side.
        min_occupancy: See there.
        seed: Of the split.

    Returns:
        The frames.

    Raises:
        DataError: If the corpus is absent, incomplete or damaged, or ``states`` are fewer than the data's phones have.
    """
    require_split(split)
    utterances = training_set(find_utterances(folder))
    digest = hashlib.md5(usedforsecurity=False)
    read = [_read(utterance, digest) for utterance in utterances]
    voices = _Voices.of([utterance.speaker for utterance in utterances], [len(energies) for energies, _ in read])
    features = normalized(np.concatenate([energies for energies, _ in read]), voices.speakers)
    contexts = np.concatenate([shown for _, shown in read])
    train, test = split_frames(voices.speakers, split, seed)
    grown_on = np.sort(train) if split == "speakers" else np.arange(len(contexts))
    tying = _tied(features, contexts, grown_on, states, min_occupancy)
    account = {
        "origin": folder.resolve().name,
        "files": 2 * len(utterances),
        "md5": digest.hexdigest(),
        "phone_set": f"{len(PHONES)} phones of Lee and Hon (1989)",
        "states_asked": states,
        "min_occupancy": min_occupancy,
        "features": f"{NUM_MELS} log-mel energies, 25 ms every 10 ms, mean 0 and variance 1 per speaker",
    }
    return _frames(
        "timit_sample" if set(voices.names) <= SAMPLE_SPEAKERS else "timit",
        features,
        voices,
        tying.leaf(contexts),
        tying.num_leaves,
        context=CONTEXT,
        rows=(train, test),
        account=account | {"split": split, "seed": seed},
    )


def from_kaldi(features: Path, alignments: Path, *, split: str = "frames", seed: int = 0) -> Frames:
    """Take features and states that Kaldi made.

    An utterance's speaker is its name up to the first ``_`` or ``-``, as Kaldi's recipe names them. Features are
    normalised per speaker; 40 of them are spliced with four neighbours on either side to the paper's 360, any other
    number is taken to be spliced or transformed already. Utterances without an alignment are left out. The states are
    those of the alignments: 0 to the largest pdf-id.

    Args:
        features: Matrices by utterance, ``.scp`` or archive; see :func:`flatmin.speech.kaldi.read_features`.
        alignments: Vectors of pdf-ids by utterance, as ``ali-to-pdf`` writes them.
        split: ``"frames"`` or ``"speakers"``; see :func:`split_frames`.
        seed: Of the split.

    Returns:
        The frames.

    Raises:
        DataError: If a file cannot be read or the two do not belong together.
    """
    require_split(split)
    matrices, states = kaldi.read_features(features), kaldi.read_alignments(alignments)
    common = [name for name in matrices if name in states]
    if not common:
        raise DataError(f"{features} and {alignments} have no utterance in common.")
    for name in common:
        frames, found = len(matrices[name]), len(states[name])
        if found != frames:
            raise DataError(f"{alignments}: {name} has {found} states, but {frames} frames in {features}.")
    voices = _Voices.of(
        [name.replace("-", "_").split("_")[0] for name in common], [len(matrices[name]) for name in common]
    )
    joined = normalized(np.concatenate([matrices[name] for name in common]), voices.speakers)
    targets = np.concatenate([states[name] for name in common])
    dim = joined.shape[1]
    account = {
        "origin": f"{features.name}, {alignments.name}",
        "files": 2,
        "md5": hashlib.md5(joined.tobytes() + targets.tobytes(), usedforsecurity=False).hexdigest(),
        "phone_set": "that of the alignments",
        "without_alignment": len(matrices) - len(common),
        "lowest_state": int(targets.min()),
        "features": f"{dim} of Kaldi, mean 0 and variance 1 per speaker",
    }
    return _frames(
        "timit",
        joined,
        voices,
        targets,
        int(targets.max()) + 1,
        context=CONTEXT if dim == NUM_MELS else 0,
        rows=split_frames(voices.speakers, split, seed),
        account=account | {"split": split, "seed": seed},
    )


def _read(utterance: Utterance, digest: Any) -> tuple[Array, Integers]:
    """Energies of an utterance, and what each frame shows.

    Raises:
        DataError: If a file cannot be read or is not what it should be, or the sound ends before its last phone begins.
    """
    audio, phones = utterance.audio, utterance.transcription
    contents = [_content(path, digest) for path in (audio, phones)]
    samples, segments = decoded_audio(contents[0], audio), decoded_segments(contents[1], phones)
    if segments[-1].start >= len(samples):
        raise DataError(f"{audio} is cut short: it ends at sample {len(samples)}, before its last phone begins.")
    energies = log_mels(samples, str(audio))
    return energies, triphone_states(segments, len(energies))


def _content(path: Path, digest: Any) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    digest.update(content)
    return content


def _tied(features: Array, contexts: Integers, rows: Integers, states: int, min_occupancy: int) -> Tying:
    cepstra = dct(features[rows], norm="ortho")[:, :NUM_CEPSTRA]
    return tie(
        StateStatistics.of(contexts[rows], cepstra),
        questions(),
        num_leaves=states,
        min_occupancy=min_occupancy,
        trees=np.unique(contexts[:, 0]).tolist(),
    )


def _frames(
    name: str,
    features: Array,
    voices: _Voices,
    targets: Integers,
    num_classes: int,
    *,
    context: int,
    rows: tuple[Integers, Integers],
    account: dict[str, Any],
) -> Frames:
    train, test = rows
    counted = {
        "name": name,
        "utterances": len(voices.lengths),
        "speakers": len(set(voices.names)),
        "frames": len(targets),
        "training_frames": len(train),
        "test_frames": len(test),
        "inputs": (2 * context + 1) * features.shape[1],
        "states": num_classes,
        "spliced": 2 * context + 1,
        "versions": _versions(),
    }
    return Frames(name, features, voices.lengths, targets, num_classes, context, train, test, counted | account)


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
