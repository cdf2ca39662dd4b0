"""A record: one piece of work on disk, known by the hash of everything that fixes its numbers.

``<label>-<id>/`` holds ``setup.yaml``, ``arrays.npz``, the tables as CSV, ``provenance.json`` and, written
last, ``result.json`` with checksums of the setup, the arrays and the tables. A folder without ``result.json`` is
unfinished; one that does not match its checksums is broken and says why.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from flatmin.core.atomic import remove_leftovers, write_files
from flatmin.core.errors import ResultsError
from flatmin.core.texts import unprintable
from flatmin.results import formats
from flatmin.results.lock import exclusive, is_held
from flatmin.results.naming import ID_LENGTH, SCHEMA, checked_name, identity
from flatmin.results.provenance import checkout
from flatmin.results.provenance import provenance as provenance_now

STATUSES = ("finished", "diverged")
PROVENANCE = {"started": str, "ended": str, "wall_seconds": int | float, "git": dict | None}
"""What every record's provenance says, for what is made of several."""
CLOCK_NANOSECONDS = 2_000_000_000
_seen_good: dict[Path, tuple[str, int, int, int, int]] = {}

RecordState = Literal["new", "running", "interrupted", "finished", "diverged", "stale", "broken"]


class Record:
    """One folder of results and the setup it belongs to.

    Args:
        folder: ``<root>/<kind>/<label>-<first digits of the id>``.
        kind: What was done.
        label: The readable part of the folder's name.
        setup: Everything that fixes the numbers.
    """

    def __init__(self, folder: Path, kind: str, label: str, setup: Mapping[str, Any]) -> None:
        self.folder = folder
        self.kind = kind
        self.label = label
        self.id = identity(setup)
        self.setup: dict[str, Any] = formats.plain(setup)
        self._locked_since: datetime | None = None
        self._monotonic = 0.0

    def __repr__(self) -> str:
        return f"Record({self.kind}/{self.folder.name})"

    @property
    def state(self) -> RecordState:
        """How far the work has come, read from the disk each time.

        "running" means that another process, or another `Record` object, holds the lock; inside its own
        `lock` a record reports what is on disk. "stale" is what was made from a record that has since been made anew
        with other numbers.
        """
        if self._locked_since is None and is_held(self.folder / ".lock"):
            return "running"
        if self.problem:
            return "broken"
        if (self.folder / "result.json").exists():
            status: RecordState = self._sealed()["status"]
            return "stale" if self.changed_ground else status
        return "interrupted" if (self.folder / "setup.yaml").exists() else "new"

    @property
    def problem(self) -> str | None:
        """What is wrong with the folder, or ``None``."""
        try:
            self._check_setup()
            if (self.folder / "result.json").exists():
                for name, digest in self._sealed()["files"].items():
                    if not _known_good(self.folder / name, digest):
                        self._checked(name)
                _ = self.provenance
        except ResultsError as error:
            return str(error)
        return None

    @property
    def digest(self) -> str:
        """What stands for its numbers, files and setup: the same for the same, whenever and wherever it was made."""
        return _seal(self._sealed())

    @property
    def name(self) -> str:
        """Its folder as seen from the experiment's."""
        return f"{self.kind}/{self.folder.name}"

    @property
    def changed_ground(self) -> list[str]:
        """The records that it was made from, by name, which hold other numbers now; those that are gone count not."""
        found = []
        for name, digest in self._sealed().get("rests_on", {}).items():
            kind, _, folder = name.partition("/")
            other = Record(self.folder.parents[1] / kind / folder, kind, "", {})
            try:
                if (other.folder / "result.json").exists() and other._body()["seal"] != digest:
                    found.append(name)
            except (ResultsError, KeyError):
                found.append(name)
        return found

    @property
    def result(self) -> dict[str, Any]:
        """The numbers that were saved."""
        result: dict[str, Any] = self._sealed()["result"]
        return result

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that were saved, none if there were none.

        Raises:
            ResultsError: If they are damaged.
        """
        if "arrays.npz" not in self._sealed()["files"]:
            return {}
        content = self._checked("arrays.npz")
        try:
            return formats.from_npz(content)
        except Exception as error:
            raise ResultsError(f"{self.folder / 'arrays.npz'} cannot be read: {error}.") from error

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, commit, machine and times of the run that saved the result.

        Raises:
            ResultsError: If it is missing or damaged.
        """
        path = self.folder / "provenance.json"
        try:
            found = formats.from_json(self._read("provenance.json"))
        except (TypeError, ValueError) as error:
            raise ResultsError(f"{path} cannot be read: {error}.") from error
        for key, kind in PROVENANCE.items():
            if not isinstance(found, dict) or not isinstance(found.get(key), kind):
                raise ResultsError(f"{path} was changed after it was written: it does not say {key!r}.")
        if unprintable(found) is not None:
            raise ResultsError(f"{path} was changed after it was written: it does not say everything in plain text.")
        return dict(found)

    @property
    def tables(self) -> list[str]:
        """Names of the saved tables."""
        return [name.removesuffix(".csv") for name in self._sealed()["files"] if name.endswith(".csv")]

    def table(self, name: str) -> pd.DataFrame:
        """One saved table.

        Raises:
            ResultsError: If there is none of this name, or it is damaged.
        """
        content = self._checked(f"{name}.csv")
        try:
            return formats.from_csv(content, name)
        except ValueError as error:
            raise ResultsError(f"{self.folder / name}.csv cannot be read: {error}.") from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing this record.

        The system drops the lock when the process ends, however it ends. Look at `state` again once inside:
        another process may have finished the work in the meantime.

        Raises:
            ResultsError: If another process holds the lock.
        """
        if self._locked_since is not None:
            yield
            return
        checkout()  # cached from here on: a git process forked under the lock would hold it past a kill
        with exclusive(self.folder / ".lock"):
            self._locked_since, self._monotonic = datetime.now(UTC), time.monotonic()
            try:
                remove_leftovers(self.folder)
                if not (self.folder / "setup.yaml").exists():
                    write_files(self.folder, {"setup.yaml": formats.to_yaml(self.setup)})
                yield
            finally:
                self._locked_since = None

    def save(
        self,
        result: Mapping[str, Any],
        *,
        arrays: Mapping[str, Any] | None = None,
        tables: Mapping[str, pd.DataFrame] | None = None,
        status: str = "finished",
        provenance: Mapping[str, Any] | None = None,
        rests_on: Mapping[str, str] | None = None,
    ) -> None:
        """Write the whole record; it counts as finished only once every file is on disk.

        Args:
            result: Numbers and text by name. Infinity and not-a-number are kept.
            arrays: Numeric arrays by name.
            tables: Frames by name; each becomes ``<name>.csv``.
            status: "finished", or "diverged" when the work ended without a usable result.
            provenance: Entries to add to the standard ones, such as the device.
            rests_on: Names and digests of the records that were read.

        Raises:
            ResultsError: If the disk is full or another process is writing the record.
            TypeError: If a value has no plain form.
            ValueError: If the status or a table's name is not a known one.
        """
        if status not in STATUSES:
            raise ValueError(f"`status` must be one of {', '.join(STATUSES)}, got {status!r}.")
        files = {"setup.yaml": formats.to_yaml(self.setup)}
        if arrays:
            files["arrays.npz"] = formats.to_npz(arrays)
        for name, frame in (tables or {}).items():
            files[f"{checked_name(name, 'table')}.csv"] = formats.to_csv(frame)
        body = {
            "schema": SCHEMA,
            "id": self.id,
            "status": status,
            "result": formats.plain(result, "result"),
            "files": {name: sha256(content).hexdigest() for name, content in files.items()},
        } | ({"rests_on": dict(rests_on)} if rests_on else {})
        with self.lock():
            origin = {
                **provenance_now(self._locked_since, seconds=time.monotonic() - self._monotonic),
                **(provenance or {}),
            }
            files["provenance.json"] = formats.to_json(formats.plain(origin, "provenance"))
            files["result.json"] = formats.to_json({**body, "seal": _seal(body)})
            write_files(self.folder, files)

    def _check_setup(self) -> None:
        if not (self.folder / "setup.yaml").exists() and not (self.folder / "result.json").exists():
            return
        try:
            found = _identity_written(self._read("setup.yaml"))
        except (TypeError, ValueError) as error:
            raise ResultsError(f"{self.folder / 'setup.yaml'} cannot be read: {error}.") from error
        if found != self.id or not self.folder.name.endswith(f"-{found[:ID_LENGTH]}"):
            raise ResultsError(f"{self.folder / 'setup.yaml'} is not the setup this record was made for.")

    def _sealed(self) -> dict[str, Any]:
        path = self.folder / "result.json"
        if not path.exists():
            raise ResultsError(f"{self.folder} has no result yet.")
        body = self._body()
        seal = body.pop("seal", None)
        if seal != _seal(body):
            raise ResultsError(f"{path} was changed after it was written.")
        for key, kind in {"id": str, "status": str, "result": dict, "files": dict}.items():
            if not isinstance(body.get(key), kind) or body.get("status") not in STATUSES:
                raise ResultsError(f"{path} is no result of this version.")
        if body["id"] != self.id:
            raise ResultsError(f"{path} belongs to another setup.")
        return body

    def _body(self) -> dict[str, Any]:
        try:
            return dict(formats.from_json(self._read("result.json")))
        except (TypeError, ValueError) as error:
            raise ResultsError(f"{self.folder / 'result.json'} cannot be read: {error}.") from error

    def _checked(self, name: str) -> bytes:
        files = self._sealed()["files"]
        if name not in files:
            raise ResultsError(f"{self.folder} has no {name}; it has {', '.join(files)}.")
        content = self._read(name)
        if sha256(content).hexdigest() != files[name]:
            raise ResultsError(f"{self.folder / name} was changed or cut off after it was written.")
        return content

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise ResultsError(f"{self.folder / name} is missing.") from error
        except OSError as error:
            raise ResultsError(f"{self.folder / name} cannot be read: {error.strerror}.") from error


def _known_good(path: Path, digest: str) -> bool:
    """Whether a file holds what it should, read anew only where it has changed since it was last seen good.

    A file that is younger than its clock can tell from another version of it is read each time.
    """
    try:
        found = path.stat()
        stamp = (digest, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if _seen_good.get(path) == stamp:
            return True
        good = sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False
    if good and time.time_ns() - found.st_ctime_ns > CLOCK_NANOSECONDS:
        _seen_good[path] = stamp
    return good


@lru_cache(maxsize=2048)
def _identity_written(content: bytes) -> str:
    """The identity of a setup as it was written."""
    return identity(formats.from_yaml(content))


def _seal(body: Mapping[str, Any]) -> str:
    return sha256(formats.canonical(body).encode()).hexdigest()
