"""One experiment's folder: records by kind, each found again by its setup."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flatmin.results import formats
from flatmin.results.naming import ID_LENGTH, checked_name, identity
from flatmin.results.record import Record

RECORDS = f"*-{'[0-9a-f]' * ID_LENGTH}"


class Store:
    """The records of one experiment, ``<root>/<kind>/<label>-<id>/``.

    Args:
        root: The experiment's folder, as in ``results/fig2``; made when the first record is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def record(self, kind: str, label: str, setup: Mapping[str, Any]) -> Record:
        """The record of a setup, whether it exists yet or not.

        Args:
            kind: "trained", "slices", the name of a measure, or what else a step calls itself.
            label: What a reader should see in the folder's name; it plays no part in the identity.
            setup: Everything that fixes the numbers. Any change leads to another folder.

        Raises:
            TypeError: If the setup cannot be written as JSON.
            ValueError: If a number is not finite, or the kind or the label cannot stand in a file name.
        """
        name = f"{checked_name(label, 'label')}-{identity(setup)[:ID_LENGTH]}"
        return Record(self._folder(kind) / name, kind, label, setup)

    def records(self, kind: str | None = None) -> list[Record]:
        """All records on disk, sorted by kind and folder name.

        Args:
            kind: Only these; ``None`` for all kinds.
        """
        return [
            _from_disk(folder, folder.parent.name)
            for folder in sorted(self.root.glob(f"{'*' if kind is None else kind}/{RECORDS}"))
            if folder.is_dir()
        ]

    def _folder(self, kind: str) -> Path:
        return self.root / checked_name(kind, "kind")


def _from_disk(folder: Path, kind: str) -> Record:
    """A record by its folder; a damaged ``setup.yaml`` is taken as empty, and `Record.problem` reports it."""
    label = folder.name[: -ID_LENGTH - 1]
    try:
        return Record(folder, kind, label, formats.from_yaml((folder / "setup.yaml").read_bytes()))
    except Exception:
        return Record(folder, kind, label, {})
