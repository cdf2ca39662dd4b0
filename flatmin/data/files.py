"""Files as they lie on disk: where they are searched, how they are read, whether they are the published ones."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from flatmin.core.errors import DataError


@dataclass(frozen=True)
class File:
    """Content of a file, or of a member of an archive, with the md5 that its publisher gives."""

    path: str
    content: bytes
    published_md5: str

    @cached_property
    def md5(self) -> str:
        """The md5 as found."""
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()

    @property
    def verified(self) -> bool:
        """Whether this is the published file, bit for bit."""
        return self.md5 == self.published_md5


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
    """One way in which the files of a set lie under a root: loose in a folder, or in a tar archive.

    Args:
        folder: Folder that holds the files, under the root or inside the archive.
        md5: Published md5 of each file, by file name.
        archive: Path of the archive under the root; ``None`` for loose files.
    """

    folder: str
    md5: Mapping[str, str]
    archive: str | None = None

    def paths(self, root: Path) -> list[Path]:
        """What has to exist under ``root``."""
        return [root / self.archive] if self.archive else [root / self.folder / name for name in self.md5]

    def missing(self, root: Path) -> list[Path]:
        """What of it does not exist."""
        return [path for path in self.paths(root) if not os.path.isfile(path)]

    def read(self, root: Path) -> Copy:
        """Read every file.

        Args:
            root: A folder under which nothing of the layout is missing.

        Returns:
            The files, not yet compared with the published md5s.

        Raises:
            DataError: If a file cannot be read, or the archive is damaged or lacks a file.
        """
        members = _archived(self, root) if self.archive else _loose(self, root)
        files = {name: File(path, content, self.md5[name]) for name, path, content in members}
        return Copy(str(root / (self.archive or self.folder)), files)


def _loose(layout: Layout, root: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in layout.paths(root):
        try:
            yield path.name, str(path), path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _archived(layout: Layout, root: Path) -> Iterator[tuple[str, str, bytes]]:
    """Read the archive in one pass, in memory: nothing is unpacked to disk.

    Raises:
        DataError: If the archive cannot be read, is damaged or lacks a file.
    """
    (path,) = layout.paths(root)
    wanted = {f"{layout.folder}/{name}": name for name in layout.md5}
    found = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.name in wanted and (stream := archive.extractfile(member)) is not None:
                    found[member.name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is cut short or damaged ({error}). Delete it and fetch it again.") from error
    if lacking := wanted.keys() - found.keys():
        raise DataError(f"{path} lacks {min(lacking)}. Delete it and fetch it again.")
    return ((name, f"{path}:{member}", found[member]) for member, name in wanted.items())


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
