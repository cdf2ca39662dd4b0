"""Kaldi's archives: features and alignments that a user made with Kaldi.

The library kaldiio reads each entry. What it would also do is refused before it is asked: an ``.scp`` line may be
a shell command, and an archive may hold a Python pickle, which is a programme.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError
from flatmin.speech.extra import imported


def read_features(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Feature matrices (frames, dim) by utterance.

    Args:
        path: An ``.scp`` list, else an archive, binary or text.

    Returns:
        The matrices, in the order of the file.

    Raises:
        DataError: If the file cannot be read, an entry is no matrix or has another dim than the first.
    """
    features = {key: np.asarray(value, np.float32) for key, value in _entries(path)}
    dims = {value.shape[1:] for value in features.values()}
    if len(dims) > 1 or any(value.ndim != 2 or 0 in value.shape for value in features.values()):
        raise DataError(f"{path}: expected matrices (frames, dim) of one dim, got rows of shapes {sorted(dims)}.")
    return features


def read_alignments(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    """State (pdf-id) of each frame by utterance, as Kaldi's ``ali-to-pdf`` writes them.

    Args:
        path: An ``.scp`` list, else an archive, binary or text.

    Returns:
        The states, in the order of the file.

    Raises:
        DataError: If the file cannot be read or an entry is no vector of whole numbers from 0 up.
    """
    alignments = {}
    for key, value in _entries(path):
        vector = np.asarray(value)
        if vector.ndim != 1 or not np.issubdtype(vector.dtype, np.integer) or (vector < 0).any():
            raise DataError(f"{path}: {key} is no alignment: expected pdf-ids from 0 up; write them with `ali-to-pdf`.")
        alignments[key] = vector.astype(np.int64)
    return alignments


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    entries = _listed(path) if path.suffix == ".scp" else _archived(path)
    count = 0
    try:
        for count, entry in enumerate(entries, 1):  # noqa: B007
            yield entry
    except (ValueError, AssertionError, RuntimeError, EOFError, MemoryError, ArithmeticError, LookupError) as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is no Kaldi archive, or damaged, after {count} entries ({reason}).") from error
    if not count:
        raise DataError(f"{path} holds no entries.")


def _archived(path: Path) -> Iterator[tuple[str, Any]]:
    matio = imported("kaldiio.matio")
    with path.open("rb") as stream:
        while (key := matio.read_token(stream)) is not None:
            yield key.strip(), _value(matio, stream)


def _listed(path: Path) -> Iterator[tuple[str, Any]]:
    matio = imported("kaldiio.matio")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, place = line.strip().partition(" ")
        archive, _, offset = place.strip().rpartition(":")
        if not archive or not offset.isdigit() or "|" in place:
            raise DataError(f"{path}:{number}: expected `utterance archive:offset`, got {line.strip()!r}.")
        with open(archive, "rb") as stream:
            stream.seek(int(offset))
            yield key, _value(matio, stream)


def _value(matio: Any, stream: BinaryIO) -> Any:
    """Read one entry, if it begins as Kaldi's do: with a zero byte, or with a number in text.

    Raises:
        ValueError: If it begins with a letter, or the file ends before it.
    """
    start = stream.read(1)
    stream.seek(-len(start), 1)
    if not start or start.isalpha():
        raise ValueError("an entry is neither a Kaldi matrix nor a vector")
    return matio.read_kaldi(stream)
