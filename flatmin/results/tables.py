"""The tidy tables of an experiment, all that figures and reports ever read.

One CSV per table with one row per number, and ``provenance.json``, which is written last and seals them: a folder
without it is incomplete, and tables that are not those it names are refused. The columns are fixed in
`flatmin.results.schema`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from flatmin.core.atomic import write_files
from flatmin.core.errors import ResultsError
from flatmin.core.fields import file_safe
from flatmin.results import formats, seal
from flatmin.results.schema import COLUMNS, columns, own_tables, text_columns
from flatmin.results.shape import check_shape

NAMES = ("network", "data", "regime", "kind", "split", "batch_norm", "space")
"""Columns whose text becomes a part of the names of files."""
AGAIN = "`flatmin run` writes the tables again from the records of the experiment; else take the whole folder anew."

logger = logging.getLogger(__name__)


def empty(name: str) -> pd.DataFrame:
    """The table `name` without rows.

    Example:
        >>> list(empty("points").columns)
        ['network', 'data', 'seed', 'kind', 'label', 'alpha', 'beta']
    """
    return _without_rows(tuple((column, column in text_columns(name)) for column in columns()[name])).copy()


@cache
def _without_rows(named: tuple[tuple[str, bool], ...]) -> pd.DataFrame:
    """No rows of these columns, each with whether it holds text."""
    return pd.DataFrame({column: pd.Series(dtype="str" if is_text else "float64") for column, is_text in named})


@dataclass(frozen=True, eq=False, init=False)
class Tables:
    """All tables of one experiment, by name and as attributes; one that was not given is empty.

    Args:
        provenance: Experiment, settings, versions, and `flatmin.results.remarks` under "reduced" and "cautions".
        **frames: Tables by the names of `flatmin.results.schema.columns`, such as ``curves`` (loss and accuracy per
            epoch; epoch 0 is the starting point), ``minima`` (one row per trained network), ``lines`` (values along
            paths and random directions), ``planes``, ``points`` (where named points lie in those planes), or the
            table of a measure.

    Raises:
        ValueError: If there is no such table, or a frame lacks a column or should not have it.
    """

    frames: dict[str, pd.DataFrame]
    provenance: dict[str, Any]

    if TYPE_CHECKING:
        curves: pd.DataFrame
        minima: pd.DataFrame
        sharpness: pd.DataFrame
        effort: pd.DataFrame
        lines: pd.DataFrame
        planes: pd.DataFrame
        points: pd.DataFrame

    def __init__(self, *, provenance: dict[str, Any] | None = None, **frames: pd.DataFrame) -> None:
        known = columns()
        for name, frame in frames.items():
            if name not in known:
                raise ValueError(f"there is no table {name!r}; known: {', '.join(known)}.")
            _check(frame, name, name)
        here = {*COLUMNS, *frames, *own_tables(provenance or {})}
        whole = {
            name: frames[name][list(known[name])] if name in frames else empty(name) for name in known if name in here
        }
        object.__setattr__(self, "frames", whole)
        object.__setattr__(self, "provenance", {} if provenance is None else provenance)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name in ("frames", "provenance") or name not in self.frames:
            raise AttributeError(f"tables have no {name!r}")
        return self.frames[name]

    @property
    def experiment(self) -> Mapping[str, Any]:
        """The settings in the provenance, none where it has none."""
        found = self.provenance.get("experiment")
        return found if isinstance(found, Mapping) else {}

    def having(self, **frames: pd.DataFrame) -> "Tables":
        """The same tables with others in the place of some."""
        return Tables(**self.frames | frames, provenance=self.provenance)

    @classmethod
    def read(cls, folder: Path | str) -> "Tables":
        """Read what `write` wrote; a table without a file is empty.

        Raises:
            ResultsError: If the folder is missing or incomplete, or a table in it is not what it should be or not the
                one that was written.
        """
        folder = Path(folder)
        if folder.is_file():
            raise ResultsError(f"{folder} is a file; name the folder that holds the tables.")
        if not folder.is_dir():
            raise ResultsError(f"no results at {folder}; run the experiment first.")
        if not (folder / "provenance.json").exists():
            raise ResultsError(
                f"{folder} holds no complete tables: provenance.json, written last, is missing; `flatmin run` with the "
                "same settings goes on and writes it."
            )
        provenance, digests = _read_provenance(folder / "provenance.json")
        contents = _contents(folder, [*COLUMNS, *own_tables(provenance)])
        frames = {name: _frame(content, folder / f"{name}.csv", name) for name, content in contents.items()}
        if digests is None:
            logger.warning("%s has no seal: nobody can tell whether its tables are as they were written.", folder)
        else:
            _compare(folder, {f"{name}.csv": content for name, content in contents.items()}, digests)
        return cls(**frames, provenance=provenance)

    def lie_in(self, folder: Path | str) -> bool:
        """Whether a folder holds these very tables, and their seal."""
        try:
            return all((Path(folder) / name).read_bytes() == content for name, content in self._files().items())
        except OSError:
            return False

    def digest(self) -> str:
        """A SHA-256 of all that `write` writes."""
        return sha256(b"\0".join(self._files().values())).hexdigest()

    def write(self, folder: Path | str) -> None:
        """Write every table that has rows and the provenance, all or nothing; remove earlier ones that have none now.

        Raises:
            ResultsError: If the disk is full or the folder cannot be written.
        """
        folder, files = Path(folder), self._files()
        write_files(folder, files)
        for name in columns():
            if f"{name}.csv" not in files:
                (folder / f"{name}.csv").unlink(missing_ok=True)

    def _files(self) -> dict[str, bytes]:
        files = {f"{name}.csv": formats.to_csv(frame) for name, frame in self.frames.items() if len(frame)}
        provenance = seal.sealed(formats.plain(self.provenance, "provenance"), files)
        return files | {"provenance.json": formats.to_json(provenance)}

    @classmethod
    def concat(cls, parts: Sequence["Tables"], provenance: Mapping[str, Any] | None = None) -> "Tables":
        """The rows of several sets of tables in one.

        Args:
            parts: What to join, in this order.
            provenance: Of the whole; by default the parts' own, the last word on each key winning.
        """
        names = dict.fromkeys(name for part in parts for name in part.frames)
        frames = {name: _stack([part.frames[name] for part in parts if name in part.frames], name) for name in names}
        joined: dict[str, Any] = {}
        for part in parts:
            joined |= part.provenance
        return cls(**frames, provenance=joined if provenance is None else dict(provenance))


def _stack(frames: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else empty(name)


def _contents(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """What the tables' files hold, of those that exist.

    Raises:
        ResultsError: If one cannot be read.
    """
    found = {}
    for path in (folder / f"{name}.csv" for name in names):
        try:
            if path.exists():
                found[path.stem] = path.read_bytes()
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror}.") from error
    return found


def _frame(content: bytes, path: Path, name: str) -> pd.DataFrame:
    try:
        frame = formats.from_csv(content, name)
    except ValueError as error:
        raise ResultsError(f"{path} cannot be read: {error}. {AGAIN}") from error
    try:
        _check(frame, name, str(path))
    except ValueError as error:
        raise ResultsError(str(error)) from error
    return frame if len(frame) else empty(name)


def _compare(folder: Path, contents: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    """Hold the tables to their seal.

    Raises:
        ResultsError: If one is missing, changed, or not among those that were sealed.
    """
    for name in {**digests, **contents}:
        if name not in contents:
            raise ResultsError(f"{folder / name} is missing. {AGAIN}")
        if name not in digests:
            raise ResultsError(f"{folder / name} is none of the tables that were written there. {AGAIN}")
        if sha256(contents[name]).hexdigest() != digests[name]:
            raise ResultsError(f"{folder / name} was changed or cut off after it was written. {AGAIN}")


def _read_provenance(path: Path) -> tuple[dict[str, Any], dict[str, str] | None]:
    try:
        provenance, digests = seal.opened(formats.from_json(path.read_bytes()))
        check_shape(provenance)
        return provenance, digests
    except (OSError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read: {error}. {AGAIN}") from error


def _check(frame: pd.DataFrame, name: str, where: str) -> None:
    """The columns of `name` in any order, numbers where numbers belong, names that can stand in a file name.

    Raises:
        ValueError: If a column is missing, unknown or there twice, or one holds what it should not.
    """
    wanted, text = columns()[name], text_columns(name)
    if sorted(map(str, frame.columns)) != sorted(wanted):
        missing = [column for column in wanted if column not in frame]
        unknown = [str(column) for column in frame if column not in wanted]
        detail = f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        raise ValueError(f"{where} must have the columns {', '.join(wanted)} ({detail}).")
    for column in frame if len(frame) else ():
        if column not in text and not (is_numeric_dtype(frame[column]) or is_bool_dtype(frame[column])):
            raise ValueError(f"{where}: column {column!r} must be numeric, got {frame[column].dtype}.")
        if name in COLUMNS and column in NAMES:
            for value in frame[column].dropna().unique():
                try:
                    file_safe(str(value))
                except ValueError as error:
                    raise ValueError(f"{where}: column {column!r} {error}.") from error
