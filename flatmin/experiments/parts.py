"""The parts of a step that was interrupted: each may have been done by another commit, and all took their time."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flatmin.core.atomic import write_files
from flatmin.results import formats
from flatmin.results.provenance import checkout

PARTS = "parts.json"
EARLIER = "earlier"
"""Where a record's provenance has the parts before the last."""


def begin(folder: Path, half_done: list[Path]) -> list[dict[str, Any]]:
    """Note that a part begins, and return those before it whose work it goes on with.

    Args:
        folder: The record's.
        half_done: What earlier parts left to go on from; without any, this part is the first.

    Returns:
        Commit, beginning and seconds of each, to its last sign of life.
    """
    before = _read(folder / PARTS) if half_done else []
    if before:
        signs = [path.stat().st_mtime for path in half_done]
        begun = datetime.fromisoformat(before[-1]["started"]).timestamp()
        before[-1]["wall_seconds"] = max(0.0, round(max(signs) - begun, 3))
    now = {"git": checkout(), "started": datetime.now(UTC).isoformat(timespec="seconds"), "wall_seconds": 0.0}
    write_files(folder, {PARTS: formats.to_json([*before, now])})
    return before


def _read(path: Path) -> list[dict[str, Any]]:
    """Parts on disk; none where that cannot be read, for they are notes and no result."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return [
            {"git": part["git"], "started": str(part["started"]), "wall_seconds": float(part["wall_seconds"])}
            for part in formats.from_json(path.read_bytes())
        ]
    return []
