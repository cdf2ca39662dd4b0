"""The tidy tables of an experiment, all that figures and reports ever read.

One CSV per table with one row per number, and ``provenance.json``, which is written last: a folder without it is
incomplete. The columns are fixed in `COLUMNS`. In `curves` and `minima`, losses and accuracies are those with the
batch's BatchNorm statistics, as in the authors' code; those with running averages have names that begin with
`running_`. In `minima`, `start_epoch` is the epoch of the small-batch iterate that training started from, NaN for the
start of the seed. In `sharpness`, `epoch` is NaN for a minimum and a number for a network on its way to it,
`distribution` is that of the entries of A, "identity" in the full space, `partition` the size of the batches that the
loss is evaluated in, `gradient_norm` the length of the gradient where the search began, and `heldout_sharpness` and
`test_sharpness` the rise at the worst point found, on training examples that were not searched on (NaN where all were)
and on test examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from flatmin.core.errors import ResultsError
from flatmin.results import formats
from flatmin.results.atomic import write_files

COLUMNS: dict[str, tuple[str, ...]] = {
    "curves": (
        *("network", "data", "regime", "seed", "epoch", "split"),
        *("loss", "accuracy", "running_loss", "running_accuracy"),
    ),
    "minima": (
        *("network", "data", "regime", "batch_size", "start_epoch", "seed", "status", "epochs"),
        *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        *("running_train_loss", "running_train_accuracy", "running_test_loss", "running_test_accuracy"),
        "distance_from_start",
    ),
    "sharpness": (
        *("network", "data", "regime", "seed", "epoch", "space", "subspace_dim", "distribution", "draw", "epsilon"),
        *("method", "batch_norm", "examples", "sharpness", "base_loss", "worst_loss", "evaluations"),
        *("share_at_bound", "perturbation_norm", "spread", "converged", "partition", "gradient_norm"),
        *("standard_error", "heldout_sharpness", "heldout_standard_error", "test_sharpness", "test_standard_error"),
    ),
    "effort": (
        *("network", "data", "regime", "seed", "space", "epsilon", "batch_norm", "examples"),
        *("climber", "start", "evaluations", "sharpness"),
    ),
    "lines": (
        *("network", "data", "seed", "kind", "regime", "batch_norm"),
        *("alpha", "split", "loss", "accuracy"),
    ),
    "planes": (
        *("network", "data", "seed", "kind", "regime", "batch_norm"),
        *("alpha", "beta", "split", "loss", "accuracy"),
    ),
    "points": ("network", "data", "seed", "kind", "label", "alpha", "beta"),
}


def empty(name: str) -> pd.DataFrame:
    """The table `name` without rows.

    Example:
        >>> list(empty("points").columns)
        ['network', 'data', 'seed', 'kind', 'label', 'alpha', 'beta']
    """
    kinds = {column: "str" if column in formats.TEXT else "float64" for column in COLUMNS[name]}
    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})


@dataclass(frozen=True, eq=False)
class Tables:
    """All tables of one experiment; a `ValueError` says which column a frame lacks or should not have.

    Attributes:
        curves: Loss and accuracy per epoch; epoch 0 is the starting point.
        minima: One row per trained network.
        sharpness: One row per search.
        effort: The highest sharpness that a climber had found after so many evaluations.
        lines: Values along straight and curved paths and random directions.
        planes: Values on random planes and on the plane through three points.
        points: Where named points lie in those planes.
        provenance: Experiment, settings, versions, and the sentences on reduced settings under "reduced".
    """

    curves: pd.DataFrame = field(default_factory=lambda: empty("curves"))
    minima: pd.DataFrame = field(default_factory=lambda: empty("minima"))
    sharpness: pd.DataFrame = field(default_factory=lambda: empty("sharpness"))
    effort: pd.DataFrame = field(default_factory=lambda: empty("effort"))
    lines: pd.DataFrame = field(default_factory=lambda: empty("lines"))
    planes: pd.DataFrame = field(default_factory=lambda: empty("planes"))
    points: pd.DataFrame = field(default_factory=lambda: empty("points"))
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in COLUMNS:
            _check(getattr(self, name), name, name)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, columns in the order of `COLUMNS`."""
        return {name: getattr(self, name)[list(COLUMNS[name])] for name in COLUMNS}

    @classmethod
    def read(cls, folder: Path | str) -> "Tables":
        """Read what `write` wrote; a table without a file is empty.

        Raises:
            ResultsError: If the folder is missing or incomplete, or a table in it is not what it should be.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ResultsError(f"no results at {folder}; run the experiment first.")
        if not (folder / "provenance.json").exists():
            raise ResultsError(f"{folder} holds no complete tables: provenance.json, written last, is missing.")
        frames = {name: _read_frame(folder / f"{name}.csv", name) for name in COLUMNS}
        return cls(**frames, provenance=_read_provenance(folder / "provenance.json"))

    def digest(self) -> str:
        """A SHA-256 of all that `write` writes."""
        return sha256(b"\0".join(self._files().values())).hexdigest()

    def write(self, folder: Path | str) -> None:
        """Write every table and the provenance, all or nothing.

        Raises:
            ResultsError: If the disk is full or the folder cannot be written.
        """
        write_files(Path(folder), self._files())

    def _files(self) -> dict[str, bytes]:
        files = {f"{name}.csv": formats.to_csv(frame) for name, frame in self.frames.items()}
        return files | {"provenance.json": formats.to_json(formats.plain(self.provenance, "provenance"))}

    @classmethod
    def concat(cls, parts: Sequence["Tables"], provenance: Mapping[str, Any] | None = None) -> "Tables":
        """The rows of several sets of tables in one.

        Args:
            parts: What to join, in this order.
            provenance: Of the whole; by default the parts' own, the last word on each key winning.
        """
        frames = {name: _stack([part.frames[name] for part in parts], name) for name in COLUMNS}
        joined: dict[str, Any] = {}
        for part in parts:
            joined |= part.provenance
        return cls(**frames, provenance=joined if provenance is None else dict(provenance))


def _stack(frames: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else empty(name)


def _read_frame(path: Path, name: str) -> pd.DataFrame:
    if not path.exists():
        return empty(name)
    try:
        frame = formats.from_csv(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read: {error}.") from error
    try:
        _check(frame, name, str(path))
    except ValueError as error:
        raise ResultsError(str(error)) from error
    return frame if len(frame) else empty(name)


def _read_provenance(path: Path) -> dict[str, Any]:
    try:
        return dict(formats.from_json(path.read_bytes()))
    except (OSError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read: {error}.") from error


def _check(frame: pd.DataFrame, name: str, where: str) -> None:
    """The columns of `name` in any order, numbers where numbers belong."""
    if sorted(map(str, frame.columns)) != sorted(COLUMNS[name]):
        missing = [column for column in COLUMNS[name] if column not in frame]
        unknown = [str(column) for column in frame if column not in COLUMNS[name]]
        detail = f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        raise ValueError(f"{where} must have the columns {', '.join(COLUMNS[name])} ({detail}).")
    for column in frame if len(frame) else ():
        if column not in formats.TEXT and not (is_numeric_dtype(frame[column]) or is_bool_dtype(frame[column])):
            raise ValueError(f"{where}: column {column!r} must be numeric, got {frame[column].dtype}.")
