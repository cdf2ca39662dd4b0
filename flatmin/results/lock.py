"""A lock between processes that the system drops when its holder ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flatmin.core.errors import ResultsError

PATIENCE = 0.5


class Busy(ResultsError):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file `path`, made with its folder if absent.

    Args:
        path: The lock file.
        patience: Seconds to wait for another process to let go of it.

    Raises:
        Busy: If another process holds it.
        ResultsError: If the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ResultsError(f"{path.parent} cannot be written: {error.strerror}.") from error
    try:
        if not _acquired(descriptor, path, patience):
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            raise Busy(f"{path.parent} is being written by process {holder}.")
        with suppress(OSError):  # a full disk costs the holder's number, not the lock
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock file `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _acquired(descriptor: int, path: Path, patience: float) -> bool:
    """Try for a while: `is_held` takes the lock too, for an instant.

    Raises:
        ResultsError: If it fails for another reason than that another process holds the lock.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        except OSError as error:
            raise ResultsError(f"{path} cannot be locked: {error.strerror}; use a local disk.") from error
