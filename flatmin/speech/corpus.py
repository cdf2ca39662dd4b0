"""TIMIT on disk: which utterances there are, their audio and their phones. Garofolo et al. (1993), LDC93S1."""

import io
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.speech.extra import imported
from flatmin.speech.phones import DELETED, FOLDING

SAMPLE_RATE = 16_000

SAMPLE_SPEAKERS = {
    *("fvmh0", "mcpm0", "faem0", "marc0", "falk0", "madc0", "falr0", "maeb0"),
    *("ftlg0", "mbgt0", "fapb0", "mbma1", "fblv0", "madd0", "fbcg1", "mbcg0"),
}
"""The sixteen speakers of the freely distributed sample (NLTK's corpus ``timit``), ten utterances each."""

_LAYOUT = re.compile(r"(?:/(train|test))?/(dr[1-8])[-/](\w+)/(\w+)\.wav$")


class Segment(NamedTuple):
    """A phone from sample ``start`` to before sample ``end``."""

    start: int
    end: int
    phone: str


@dataclass(frozen=True)
class Utterance:
    """One recorded sentence.

    Args:
        audio: The audio file.
        part: ``"train"``, ``"test"``, or ``""`` where the corpus has no such parts.
        dialect: ``"dr1"`` to ``"dr8"``.
        speaker: Such as ``"fcjf0"``; the first letter tells women from men.
        sentence: Such as ``"sx37"``; ``sa`` sentences are read by every speaker.
    """

    audio: Path
    part: str
    dialect: str
    speaker: str
    sentence: str

    @property
    def transcription(self) -> Path:
        """The file of phones beside the audio.

        Raises:
            DataError: If there is none.
        """
        for suffix in (".phn", ".PHN"):
            path = self.audio.with_suffix(suffix)
            if path.is_file():
                return path
        raise DataError(f"{self.audio} has no phones: {self.audio.with_suffix('.phn')} is missing.")


def find_utterances(folder: Path) -> list[Utterance]:
    """Every utterance below a folder, ordered by dialect, speaker and sentence.

    Understood are the published layout, ``TRAIN/DR1/FCJF0/SA1.WAV`` in capitals or not, and that of the
    sample, ``dr1-fvmh0/sa1.wav``.

    Args:
        folder: The corpus, or a part of it.

    Returns:
        The utterances.

    Raises:
        DataError: If there is none, or one twice.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.")
    matches = [(path, _LAYOUT.search(path.as_posix().lower())) for path in folder.resolve().rglob("*")]
    found = [Utterance(path, match[1] or "", match[2], match[3], match[4]) for path, match in matches if match]
    if not found:
        raise DataError(
            f"{folder} holds no utterance of TIMIT: expected files such as TRAIN/DR1/FCJF0/SA1.WAV (the published "
            "corpus) or dr1-fvmh0/sa1.wav (the sample) in it."
        )
    found.sort(key=lambda one: (one.dialect, one.speaker, one.sentence, one.audio))
    for one, other in itertools.pairwise(found):
        if (one.speaker, one.sentence) == (other.speaker, other.sentence):
            raise DataError(f"{folder} holds an utterance twice, {one.audio} and {other.audio}; name one copy.")
    return found


def training_set(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Kaldi's training set: the part TRAIN without the ``sa`` sentences; everything if there is no such part.

    In the full corpus these are 3,696 utterances of 462 speakers, about 1.12 million frames. The paper's
    1,031,950 frames are nearer to this than to all of TIMIT (6,300 utterances); which ones they are it does not say.
    """
    utterances = list(utterances)
    chosen = [one for one in utterances if one.part == "train" and not one.sentence.startswith("sa")]
    return chosen or utterances


def decoded_audio(content: bytes, path: Path) -> npt.NDArray[np.int16]:
    """Samples of a RIFF or NIST SPHERE file.

    Args:
        content: The file's bytes.
        path: Its name, for messages.

    Returns:
        ``(samples,)``, 16-bit.

    Raises:
        DataError: If it cannot be read, or is not 16 kHz and mono.
    """
    soundfile = imported("soundfile")
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise DataError(f"{path} cannot be read as audio ({reason}): damaged, or neither RIFF nor SPHERE.") from error
    if rate != SAMPLE_RATE or samples.shape[1] != 1:
        raise DataError(f"{path}: expected one channel of {SAMPLE_RATE} Hz, got {samples.shape[1]} of {rate} Hz.")
    audio: npt.NDArray[np.int16] = samples[:, 0]
    return audio


def decoded_segments(content: bytes, path: Path) -> list[Segment]:
    """Phones of a ``.phn`` file: a line ``start end phone`` for each, in samples.

    Args:
        content: The file's bytes.
        path: Its name, for messages.

    Returns:
        The segments, in order.

    Raises:
        DataError: If a line is no segment, a phone is unknown, or segments overlap or are out of order.
    """
    lines = content.decode("ascii", "replace").splitlines()
    segments = [_segment(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not segments:
        raise DataError(f"{path} holds no phones.")
    for one, other in itertools.pairwise(segments):
        if other.start < one.end:
            raise DataError(
                f"{path}: segments must follow one another, but {other.phone!r} begins at sample {other.start}, "
                f"before {one.phone!r} ends at {one.end}."
            )
    return segments


def _segment(line: str, where: str) -> Segment:
    try:
        start, end, phone = line.split()
        segment = Segment(int(start), int(end), phone)
    except ValueError:
        raise DataError(f"{where}: expected `start end phone`, got {line.strip()!r}.") from None
    if not 0 <= segment.start < segment.end:
        raise DataError(f"{where}: a segment must end after it begins, got {segment.start} to {segment.end}.")
    if phone != DELETED and phone not in FOLDING:
        raise DataError(f"{where}: {phone!r} is none of TIMIT's 61 phones.")
    return segment
