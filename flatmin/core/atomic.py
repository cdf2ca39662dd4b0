"""Writing a folder so that a killed process or a full disk never leaves a half-written result.

Every file goes to a temporary name in the same folder, is flushed to the disk and then renamed. Of several
files that belong together the last one is the *seal*: it is taken away before the first of the others is
replaced and comes back after the last, so whoever sees the seal sees a complete set.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path

from flatmin.core.errors import ResultsError


class Incomplete(OSError):
    """Writing failed when files were being put in place, so that some may be new and others old."""


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write results that belong together as `replace_files` does.

    Raises:
        ResultsError: If the disk is full or the folder cannot be written. The message says whether
            anything was changed.
    """
    try:
        replace_files(folder, files)
    except OSError as error:
        left = "it is incomplete, run it again" if isinstance(error, Incomplete) else "nothing was changed"
        raise ResultsError(f"{_reason(error)} writing {folder}; {left}.") from error


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that belong together; the last one seals the set.

    Args:
        folder: Where to write; made if absent.
        files: File name to content. All are written in full before any existing file is touched.

    Raises:
        OSError: If the disk is full or the folder cannot be written, `Incomplete` once files were being put in
            place; no temporary file stays behind.
    """
    staged = {folder / name: folder / f".{name}.{os.getpid()}.tmp" for name in files}
    try:
        _stage(folder, dict(zip(staged.values(), files.values(), strict=True)))
        _commit(folder, staged)
    finally:
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what a process left that was killed while writing: every temporary file, or those of one file's name."""
    for temporary in folder.glob(f".{escape(name) or '*'}.*.tmp"):
        temporary.unlink(missing_ok=True)


def _stage(folder: Path, files: Mapping[Path, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _commit(folder: Path, staged: Mapping[Path, Path]) -> None:
    """Put the files in place.

    Raises:
        Incomplete: If that fails.
    """
    seal = list(staged)[-1]
    try:
        if len(staged) > 1:
            seal.unlink(missing_ok=True)
        for path, temporary in staged.items():
            os.replace(temporary, path)
        _flush_folder(folder)
    except OSError as error:
        raise Incomplete(error.errno, error.strerror or str(error)) from error


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
