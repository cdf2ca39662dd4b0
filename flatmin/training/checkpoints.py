"""Checkpoints that a killed process cannot tear: written aside, renamed, and checked when read."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from flatmin.core.atomic import remove_leftovers, replace_files
from flatmin.core.errors import ResultsError

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
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ResultsError(f"cannot read the checkpoint {path}: {error.strerror or error}.") from error
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            raise ResultsError(f"the checkpoint {path} is damaged; delete it to train this run again from its start.")
        loaded: dict[str, Any] = torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)
        return loaded
