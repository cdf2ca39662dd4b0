"""Points of a slice as they are evaluated, kept on disk so that a long slice can be taken up again."""

import json
from collections.abc import Callable
from pathlib import Path

from flatmin.core.errors import ResultsError

Index = tuple[int, ...]
Value = tuple[float, float]


class Points:
    """A file with one line per evaluated point; a line that a killed process left half-written is dropped.

    Args:
        path: The file; made with the first point.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self, name: str) -> dict[Index, Value]:
        """The points of the slice ``name`` evaluated so far."""
        found: dict[Index, Value] = {}
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else ():
            try:
                slice_name, index, (loss, accuracy) = json.loads(line)
            except (TypeError, ValueError):
                continue
            if slice_name == name:
                found[tuple(index)] = (loss, accuracy)
        return found

    def keep(self, name: str, advance: Callable[[], None]) -> Callable[[Index, Value], None]:
        """What writes down each new point of the slice ``name``, on a line of its own, and calls ``advance``."""

        def progress(index: Index, value: Value) -> None:
            try:
                with self.path.open("a") as file:
                    file.write("\n" + json.dumps([name, index, value]))
            except OSError as error:
                raise ResultsError(f"cannot write {self.path}: {error.strerror}.") from error
            advance()

        return progress
