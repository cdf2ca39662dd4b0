"""Files as they lie on disk: where they are searched, how they are read, whether they are the published ones."""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from flatmin.core.archives import LIMIT, gunzipped, read_whole, tar_members
from flatmin.core.errors import DataError

Unpack = Callable[[Path, Collection[str], int], Mapping[str, bytes]]


@dataclass(frozen=True)
class File:
    """Content of a file, or of a member of an archive, with what its publisher gives.

    Args:
        path: Where it lies.
        content: The file.
        published_md5: Its published md5.
        unpacked_md5: That of what it unpacks to, where it is gzipped and that is known.
        limit: Bytes that it may unpack to.
    """

    path: str
    content: bytes = field(repr=False)
    published_md5: str
    unpacked_md5: str | None = None
    limit: int = LIMIT

    @cached_property
    def unpacked(self) -> bytes:
        """What it holds, unpacked if its name ends in ``.gz``.

        Raises:
            DataError: If it is damaged or unpacks to more than its limit.
        """
        return gunzipped(self.path, self.content, self.limit) if self.path.endswith(".gz") else self.content

    @cached_property
    def md5(self) -> str:
        """The md5 as found; the published one of a file that was only compressed anew."""
        found = _md5(self.content)
        return self.published_md5 if found != self.published_md5 and self._packed_anew else found

    @property
    def verified(self) -> bool:
        """Whether this is the published file, bit for bit, or holds what that one holds."""
        return self.md5 == self.published_md5

    @property
    def _packed_anew(self) -> bool:
        try:
            return self.unpacked_md5 is not None and _md5(self.unpacked) == self.unpacked_md5
        except DataError:
            return False


@dataclass(frozen=True)
class Copy:
    """A data set as found: the place and its files by name."""

    place: str
    files: dict[str, File]

    @property
    def verified(self) -> bool:
        """Whether every file is the published one."""
        return not self.changed

    @property
    def changed(self) -> list[str]:
        """Names of the files that are not the published ones."""
        return [name for name, file in self.files.items() if not file.verified]

    def record(self) -> dict[str, Any]:
        """JSON-able account: ``place``, ``files`` (name -> md5 as found), ``changed`` and ``verified``."""
        md5 = {name: file.md5 for name, file in self.files.items()}
        return {"place": self.place, "files": md5, "changed": self.changed, "verified": self.verified}


@dataclass(frozen=True)
class Layout:
    """One way in which the files of a set lie under a root: loose in a folder, or in an archive.

    Args:
        folder: Folder that holds the files, under the root or inside the archive.
        md5: Published md5 of each file, by file name.
        archive: Path of the archive under the root; ``None`` for loose files.
        unpacked_md5: That of what a gzipped file unpacks to, by file name, where it is known.
        unpack: From the archive, the paths of the files inside and a number of bytes to the files.
    """

    folder: str
    md5: Mapping[str, str]
    archive: str | None = None
    unpacked_md5: Mapping[str, str] = field(default_factory=dict)
    unpack: Unpack = tar_members

    def paths(self, root: Path) -> list[Path]:
        """What has to exist under ``root``."""
        return [root / self.archive] if self.archive else [root / self.folder / name for name in self.md5]

    def missing(self, root: Path) -> list[Path]:
        """What of it does not exist."""
        return [path for path in self.paths(root) if not os.path.isfile(path)]

    def read(self, root: Path, limit: int = LIMIT) -> Copy:
        """Read every file.

        Args:
            root: A folder under which nothing of the layout is missing.
            limit: Bytes that a file may hold, and all in an archive together.

        Returns:
            The files, not yet compared with the published md5s.

        Raises:
            DataError: If a file cannot be read or is too long, or the archive is damaged or lacks a file.
        """
        inside = {name: f"{self.folder}/{name}" if self.folder else name for name in self.md5}
        if self.archive:
            place = root / self.archive
            members = self.unpack(place, inside.values(), limit)
            found = {name: (f"{place}:{member}", members[member]) for name, member in inside.items()}
        else:
            place = root / self.folder
            found = {path.name: (str(path), read_whole(path, limit)) for path in self.paths(root)}
        files = {
            name: File(path, content, self.md5[name], self.unpacked_md5.get(name), limit)
            for name, (path, content) in found.items()
        }
        return Copy(str(place), files)


def search_roots(root: str | Path | None = None) -> tuple[Path, ...]:
    """Folders searched for data sets, first to last: ``root``, $FLATMIN_DATA, the user's cache folder."""
    named = [Path(place).expanduser() for place in (root, os.environ.get("FLATMIN_DATA")) if place]
    return tuple(dict.fromkeys([*named, user_cache_path("flatmin") / "data"]))


def require_published(name: str, copy: Copy) -> None:
    """Refuse files whose md5 is not the published one.

    Args:
        name: The data set, for the message.
        copy: Its files as found.

    Raises:
        DataError: If an md5 differs.
    """
    if copy.changed:
        first = copy.files[copy.changed[0]]
        raise DataError(
            f"{first.path}: md5 {first.md5} differs from the published "
            f"{first.published_md5} ({len(copy.changed)} of {len(copy.files)} files differ): damaged, cut short "
            "or changed. "
            f"Move it away and run `flatmin data fetch {name}`, or set `verify: false` (`--no-verify`) to use it "
            "as it is; results then record it as not verified."
        )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
