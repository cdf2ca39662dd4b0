"""Points of a slice as they are evaluated, kept on disk so that a long slice can be taken up again."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from flatmin.core.errors import ResultsError

Index = tuple[int, ...]
Value = tuple[float, float]


class Points:
    """A file with one line per evaluated point, a digest before each.

    A line that a killed process left half-written, or that is not as it was written, is dropped: its point is done
    again.

    Args:
        path: The file; made with the first point.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self, name: str) -> dict[Index, Value]:
        """The points of the slice ``name`` evaluated so far."""
        found: dict[Index, Value] = {}
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else ():
            digest, _, text = line.partition(" ")
            if digest != _digest(text):
                continue
            try:
                slice_name, index, (loss, accuracy) = json.loads(text)
                point = tuple(map(int, index)), (float(loss), float(accuracy))
            except (TypeError, ValueError, RecursionError):
                continue
            if slice_name == name:
                found[point[0]] = point[1]
        return found

    def keep(self, name: str, advance: Callable[[], None]) -> Callable[[Index, Value], None]:
        """What writes down each new point of the slice ``name``, on a line of its own, and calls ``advance``."""

        def progress(index: Index, value: Value) -> None:
            text = json.dumps([name, index, value])
            try:
                with self.path.open("a") as file:
                    file.write(f"\n{_digest(text)} {text}")
            except OSError as error:
                raise ResultsError(f"cannot write {self.path}: {error.strerror}.") from error
            advance()

        return progress


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
