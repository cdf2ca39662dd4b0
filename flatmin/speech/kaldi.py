"""Kaldi's archives: features and alignments that a user made with Kaldi.

A file is an archive, gzipped or not, or an ``.scp`` list of places in archives; ``ali.*.gz`` stands for all that match.
The library kaldiio reads each entry. What it would also do is refused before it is asked: an ``.scp`` line may be
a shell command, and an archive may hold a Python pickle, which is a programme.
"""

import glob
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from flatmin.core.archives import gunzipped
from flatmin.core.errors import DataError
from flatmin.speech.extra import imported

MOST_BYTES = 2**32
"""Bytes that a gzipped archive may unpack to."""
MOST_STATES = 2**16
"""States that no alignment has: the paper's has 1,973, the largest systems some ten thousand."""


def read_features(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Feature matrices (frames, dim) by utterance.

    Args:
        path: An ``.scp`` list, else an archive, binary or text, gzipped or not; or a pattern of them.

    Returns:
        The matrices, in the order of the file.

    Raises:
        DataError: If the file cannot be read, an entry is no matrix, has another dim than the first or is not finite.
    """
    with np.errstate(over="ignore"):
        features = {key: np.asarray(value, np.float32) for key, value in _entries(path)}
    for key, value in features.items():
        if not np.isfinite(value).all():
            place = ", ".join(map(str, np.argwhere(~np.isfinite(value))[0]))
            raise DataError(f"{path}: {key} has a feature that is not finite, at ({place}); make its features again.")
    dims = {value.shape[1:] for value in features.values()}
    if len(dims) > 1 or any(value.ndim != 2 or 0 in value.shape for value in features.values()):
        raise DataError(f"{path}: expected matrices (frames, dim) of one dim, got rows of shapes {sorted(dims)}.")
    return features


def read_alignments(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    """State (pdf-id) of each frame by utterance, as Kaldi's ``ali-to-pdf`` writes them.

    Args:
        path: An ``.scp`` list, else an archive, binary or text, gzipped or not; or a pattern of them.

    Returns:
        The states, in the order of the file.

    Raises:
        DataError: If the file cannot be read or an entry is no vector of whole numbers from 0 up,
            below ``MOST_STATES``.
    """
    alignments = {}
    for key, value in _entries(path):
        vector = np.asarray(value)
        if vector.ndim != 1 or not np.issubdtype(vector.dtype, np.integer) or (vector < 0).any():
            raise DataError(f"{path}: {key} is no alignment: expected pdf-ids from 0 up; write them with `ali-to-pdf`.")
        if (vector >= MOST_STATES).any():
            raise DataError(f"{path}: {key} has a pdf-id of {vector.max()}, expected them below {MOST_STATES:,}.")
        alignments[key] = vector.astype(np.int64)
    return alignments


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    count = 0
    for place in _files(path):
        entries = _listed(place) if place.suffix == ".scp" else _archived(place)
        try:
            for entry in entries:
                count += 1
                yield entry
        except (ValueError, AssertionError, RuntimeError, EOFError, MemoryError, ArithmeticError, LookupError) as error:
            reason = str(error) or type(error).__name__
            raise DataError(f"{place} is no Kaldi archive, or damaged, after {count} entries ({reason}).") from error
    if not count:
        raise DataError(f"{path} holds no entries.")


def _files(path: Path) -> list[Path]:
    """The file itself, else all that match, ``ali.2.gz`` before ``ali.10.gz``.

    Raises:
        DataError: If there is none.
    """
    found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path))]
    if not found:
        raise DataError(f"{path} was not found, and no file matches it.")
    return sorted(
        found, key=lambda one: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(one))]
    )


def _opened(path: Path) -> BinaryIO:
    """The archive, unpacked if it is gzipped.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        if path.suffix == ".gz":
            return io.BytesIO(gunzipped(str(path), path.read_bytes(), MOST_BYTES))
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _archived(path: Path) -> Iterator[tuple[str, Any]]:
    matio = imported("kaldiio.matio")
    with _opened(path) as stream:
        while (key := matio.read_token(stream)) is not None:
            yield key.strip(), _value(matio, stream)


def _listed(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a list, each at an offset of an archive or a file of its own.

    Raises:
        DataError: If a line is something else, or its archive cannot be read.
    """
    matio = imported("kaldiio.matio")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, place = line.strip().partition(" ")
        found = re.fullmatch(r"([^|\[\]]+?)(?::(\d+))?", place.strip())
        if found is None:
            raise DataError(f"{path}:{number}: expected `utterance archive:offset`, got {line.strip()!r}.")
        archive = Path(found[1])
        with _opened(archive if archive.exists() else path.parent / archive) as stream:
            stream.seek(int(found[2] or 0))
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
