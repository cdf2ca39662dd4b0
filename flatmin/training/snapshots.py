"""Weights on the way: kept after chosen epochs, on disk beside the checkpoint while a run is unfinished."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from flatmin.core.errors import ResultsError
from flatmin.training.checkpoints import AtomicCheckpointIO, read_checkpoint

State = dict[str, Tensor]


def state_of(network: nn.Module) -> State:
    """Copies of weights and buffers on the CPU."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


class Snapshots(pl.Callback):
    """Keeps the state of ``network`` after each of ``epochs``; 0 is the start.

    Each is written once, to a file of its own, so the checkpoint stays as small as it was. A resumed run reads those
    up to its checkpoint and takes the later ones again.

    Args:
        network: The network that is trained.
        epochs: When to keep it.
        checkpoint: The checkpoint that the files lie beside; ``None`` writes none.
    """

    def __init__(self, network: nn.Module, epochs: tuple[int, ...], checkpoint: Path | None) -> None:
        self.network, self.epochs, self.checkpoint = network, epochs, checkpoint
        self.states: dict[int, State] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the start, unless the run goes on from a checkpoint."""
        if not self.states:
            self._keep(0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch that has just ended."""
        self._keep(trainer.current_epoch + 1)

    def _keep(self, epoch: int) -> None:
        if epoch in self.epochs:
            self.states[epoch] = state_of(self.network)
            if self.checkpoint is not None:
                AtomicCheckpointIO().save_checkpoint(self.states[epoch], snapshot_file(self.checkpoint, epoch))

    def state_dict(self) -> dict[str, Any]:
        """The epochs kept so far travel in the checkpoint, the weights do not."""
        return {"epochs": list(self.states)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read back what was kept before the checkpoint.

        Raises:
            ResultsError: If a file is missing, damaged or holds no state of this network.
        """
        assert self.checkpoint is not None
        self.states = {epoch: self._read(epoch, self.checkpoint) for epoch in state_dict["epochs"]}

    def _read(self, epoch: int, checkpoint: Path) -> State:
        file = snapshot_file(checkpoint, epoch)
        state: State = read_checkpoint(file, checkpoint)
        if _shapes(state) != _shapes(self.network.state_dict()):
            raise ResultsError(
                f"the checkpoint {file} is of another network; delete {checkpoint} to train this run again from its "
                "start."
            )
        return state


def _shapes(state: dict[str, Any]) -> dict[str, Any]:
    return {name: (getattr(one, "shape", None), getattr(one, "dtype", None)) for name, one in state.items()}


def snapshot_file(checkpoint: Path, epoch: int) -> Path:
    """Such as ``training.epoch12.ckpt`` for ``training.ckpt``."""
    return checkpoint.with_name(f"{checkpoint.stem}.epoch{epoch}{checkpoint.suffix}")
