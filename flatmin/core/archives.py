"""What files and archives hold, read in memory and no further than they can be long.

A few hundred bytes can announce 40 GB, and eight million can unpack to eight billion. Nothing is unpacked to disk, and
nothing is read beyond the bytes that the reader allows.
"""

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

from flatmin.core.errors import DataError

LIMIT = 2**28
"""Bytes that a file may hold where nobody says how long it is."""


class TooLong(DataError):
    """A file holds, or announces, more than it may.

    Args:
        path: The file.
        limit: Bytes that it may hold.
    """

    def __init__(self, path: str, limit: int) -> None:
        super().__init__(
            f"{path} is refused: it holds or announces more than {limit:,} bytes, more than such a file can have. "
            "Delete it and fetch or write it again."
        )


def read_whole(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a file of at most ``limit`` bytes.

    Raises:
        DataError: If it cannot be read.
        TooLong: If it is longer.
    """
    try:
        if path.stat().st_size > limit:
            raise TooLong(str(path), limit)
        with path.open("rb") as stream:
            return _Bounded(stream, str(path), limit).read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def gunzipped(path: str, content: bytes, limit: int = LIMIT) -> bytes:
    """What gzipped content unpacks to.

    Args:
        path: File to name in the message.
        content: The file.
        limit: Bytes that it may unpack to.

    Raises:
        DataError: If it is cut short, damaged or unpacks to more.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _Bounded(stream, path, limit).read()
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path} is cut short or damaged ({error}; {len(content)} bytes). "
            "Delete it and fetch it again, a data set with `flatmin data fetch`."
        ) from error


def tar_members(path: Path, wanted: Collection[str], limit: int = LIMIT) -> dict[str, bytes]:
    """Members of a gzipped tar archive by name, read in one pass; ``./`` before a name does not count.

    Args:
        path: The archive.
        wanted: Names of regular files in it.
        limit: Bytes that the archive may unpack to, and its members announce together.

    Raises:
        DataError: If the archive cannot be read, is damaged or lacks a file.
        TooLong: If it holds or announces more.
    """
    found: dict[str, bytes] = {}
    left = limit
    try:
        with gzip.open(path) as packed, _tar(_Bounded(packed, str(path), limit)) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]
                name = posixpath.normpath(member.name)
                left -= member.size
                if member.size < 0 or left < 0:
                    raise TooLong(f"{path}:{name}", limit)
                if name in wanted and member.isreg() and (stream := archive.extractfile(member)) is not None:
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise DataError(f"{path} is cut short or damaged ({error}). Delete it and fetch it again.") from error
    if lacking := set(wanted) - found.keys():
        raise DataError(f"{path} lacks {min(lacking)}. Delete it and fetch it again.")
    return found


def _tar(stream: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")


class _Bounded:
    """A stream of which no more than ``limit`` bytes are read."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, path: str, limit: int) -> None:
        self.stream, self.path, self.limit, self.left = stream, path, limit, limit

    def read(self, size: int = -1) -> bytes:
        """As a file's.

        Raises:
            TooLong: If there is more than the limit.
        """
        wanted = self.left + 1 if size < 0 else min(size, self.left + 1)
        content = self.stream.read(wanted)
        self.left -= len(content)
        if self.left < 0:
            raise TooLong(self.path, self.limit)
        return content
