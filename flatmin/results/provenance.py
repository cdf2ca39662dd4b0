"""Where a result came from: versions, commit, machine and time.

Provenance never takes part in an identity or a checksum, so that the same setup gives the same result files
on another day and after any number of interruptions. `platform.platform` is not asked: it starts a process, which,
forked under a record's lock, would hold that lock past a kill of this one.
"""

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from flatmin import __version__

PACKAGES = ("torch", "pytorch-lightning", "numpy", "scipy", "pandas", "loss-landscapes")


def provenance(started: datetime | None = None, *, device: str = "cpu", seconds: float | None = None) -> dict[str, Any]:
    """What a reader needs to know about the run that ends now.

    Args:
        started: When it began, with its time zone; ``None`` leaves the times at this moment.
        device: What it computed on, as in ``"cuda:0 (NVIDIA H100)"``.
        seconds: How long it took by a clock that nobody sets; ``None`` for the time since it began.

    Returns:
        A dict that can be written as JSON.
    """
    now = datetime.now(UTC)
    started = started or now
    took = max(0.0, (now - started).total_seconds()) if seconds is None else seconds
    ended = max(now, started)
    return {
        "flatmin": __version__,
        "git": checkout(),
        "python": platform.python_version(),
        "platform": "-".join((platform.system(), platform.release(), platform.machine())),
        "processor": _processor(),
        "device": device,
        "versions": {name: _package_version(name) for name in PACKAGES},
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "wall_seconds": took,
    }


@lru_cache(maxsize=1)
def checkout(package: Path = Path(__file__).parents[1]) -> dict[str, Any] | None:
    """The git commit the package runs from and whether its code was changed since.

    Args:
        package: The package's folder.

    Returns:
        ``{"commit": ..., "dirty": ...}``, or ``None`` without git, outside a checkout, or where the checkout
        around the package does not track it.
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(package, "status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def _package_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def portable(value: Any) -> Any:
    """A value of JSON's types without the folders of this machine: of an absolute path only its last two parts.

    Example:
        >>> portable({"place": "/home/me/data/MNIST/raw", "files": {"a": "0f3c"}})
        {'place': 'MNIST/raw', 'files': {'a': '0f3c'}}
    """
    if isinstance(value, Mapping):
        return {key: portable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [portable(one) for one in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return "/".join(Path(value).parts[-2:]).lstrip("/")
    return value
