"""The networks of a SWAP, and how an unfinished one keeps them in its folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flatmin.core.atomic import write_files
from flatmin.core.errors import ResultsError
from flatmin.training.checkpoints import AtomicCheckpointIO, read_checkpoint
from flatmin.training.record_keeping import EpochRow
from flatmin.training.snapshots import State


@dataclass(frozen=True)
class Member:
    """One network of a SWAP.

    Attributes:
        state: Its weights and buffers, on the CPU.
        row: Losses and accuracies as in the record of :func:`flatmin.training.train`, in both readings of BatchNorm,
            and the epochs behind them; the mean has none.
    """

    state: State = field(repr=False)
    row: EpochRow


def claim(folder: Path, setup: dict[str, Any]) -> None:
    """Make a folder that of this run.

    Raises:
        ResultsError: If it is another one's.
    """
    file, content = folder / "swap.json", json.dumps(setup, sort_keys=True)
    if not file.exists():
        write_files(folder, {file.name: content.encode()})
    elif file.read_text() != content:
        raise ResultsError(
            f"{folder} holds a SWAP of other settings, network or data; delete it or take another folder."
        )


def write(file: Path, state: State, row: EpochRow, reached: bool = False) -> Member:
    """Leave one in a file; ``reached`` is whether its training ended by its accuracy."""
    AtomicCheckpointIO().save_checkpoint({"state": state, "row": dict(row), "reached": reached}, file)
    return Member(state, row)


def read(file: Path) -> tuple[Member, bool]:
    """One that was left, and whether its training ended by its accuracy.

    Raises:
        ResultsError: If the file is damaged.
    """
    kept = read_checkpoint(file, file)
    return Member(kept["state"], kept["row"]), kept["reached"]
