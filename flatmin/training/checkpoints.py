"""Checkpoints that a killed process cannot tear: written aside, renamed, and checked when read."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from flatmin.core.atomic import remove_leftovers, replace_files
from flatmin.core.errors import FlatminError, ResultsError

_DIGEST = hashlib.sha256().digest_size


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints as a SHA-256 digest followed by torch's bytes, replaced in one step."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` to ``path`` as a whole or not at all.

        Raises:
            ResultsError: If the disk refuses; the file that was there stays as it was.
        """
        buffer = io.BytesIO(bytes(_DIGEST))
        buffer.seek(_DIGEST)
        torch.save(checkpoint, buffer)
        with buffer.getbuffer() as content:
            content[:_DIGEST] = hashlib.sha256(content[_DIGEST:]).digest()
        target = Path(path)
        try:
            remove_leftovers(target.parent, target.name)
            replace_files(target.parent, {target.name: buffer.getvalue()})
        except OSError as error:
            raise ResultsError(f"cannot write the checkpoint {target}: {error.strerror or error}.") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint back.

        Raises:
            ResultsError: If it cannot be read or its content is not what was written.
        """
        return read_checkpoint(Path(path), Path(path))


def read_checkpoint(path: Path, governing: Path) -> dict[str, Any]:
    """Read a file that :class:`AtomicCheckpointIO` wrote.

    Args:
        path: The file.
        governing: The checkpoint to delete if it is not what was written, so that training begins anew.

    Raises:
        ResultsError: If it cannot be read or its content is not what was written.
    """
    deleted = "it" if path == governing else governing
    way_out = f"delete {deleted} to train this run again from its start."
    try:
        content = path.read_bytes()
    except OSError as error:
        then = "." if path == governing else f"; {way_out}"
        raise ResultsError(f"cannot read the checkpoint {path}: {error.strerror or error}{then}") from error
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ResultsError(f"the checkpoint {path} is damaged; {way_out}")
    try:
        loaded = torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)
    except Exception as error:
        raise ResultsError(f"the checkpoint {path} is none ({_said(error)}); {way_out}") from error
    if not isinstance(loaded, dict):
        raise ResultsError(f"the checkpoint {path} holds no state of a training; {way_out}")
    return loaded


class Resumption(pl.Callback):
    """Sees whether the state of an earlier training fits this one.

    Args:
        checkpoint: Where the state comes from; ``None`` for a training that begins.
    """

    def __init__(self, checkpoint: Path | None) -> None:
        self.checkpoint = checkpoint
        self.begun = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hold the optimiser's moments to the weights: torch reads beyond shorter ones.

        Raises:
            ValueError: If one has another shape.
        """
        for optimizer in trainer.optimizers:
            for weight, state in optimizer.state.items():
                for name, moment in state.items():
                    if isinstance(moment, Tensor) and moment.ndim and moment.shape != weight.shape:
                        raise ValueError(f"{name} has shape {tuple(moment.shape)}, not {tuple(weight.shape)}")

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Note that a step has been done."""
        self.begun = True

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what goes wrong before the first step as what it is: a checkpoint of another training.

        Raises:
            ResultsError: If its state does not fit.
            Exception: If something else goes wrong.
        """
        try:
            yield
        except Exception as error:
            passes = isinstance(error, FlatminError | MemoryError | torch.OutOfMemoryError)
            if self.checkpoint is None or self.begun or passes:
                raise
            raise ResultsError(
                f"the checkpoint {self.checkpoint} does not fit this training ({_said(error)}); delete it to train "
                "this run again from its start."
            ) from error


def _said(error: Exception) -> str:
    """An error in so many words as fit in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
