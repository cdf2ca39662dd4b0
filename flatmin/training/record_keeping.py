"""What is written down after each epoch, and when training ends."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.nn import functional as F

from flatmin.data.batches import Pair
from flatmin.training.methods.method import Criterion
from flatmin.training.scores import Scores

EpochRow = dict[str, float]


class RecordKeeper(pl.Callback):
    """The scores of the network after every epoch; ends a run that diverged or stopped improving.

    The rule: training has stopped improving when the training loss has not fallen below its best value by more than
    the share ``min_improvement`` for ``patience`` epochs. A run whose training loss is not finite has diverged.

    Args:
        train: Training examples in fixed batches.
        test: Test examples in fixed batches.
        patience: Epochs to wait; ``None`` uses the whole budget.
        min_improvement: Share by which the best loss must fall to count.
        on_epoch: Called with each new row.
        stop_at_accuracy: Training accuracy, in the first reading, that ends the training; ``None`` for none.
        criterion: The mean loss of a batch.
    """

    def __init__(
        self,
        train: list[Pair],
        test: list[Pair],
        *,
        patience: int | None,
        min_improvement: float,
        on_epoch: Callable[[EpochRow], None],
        stop_at_accuracy: float | None = None,
        criterion: Criterion = F.cross_entropy,
    ) -> None:
        self.scores, self.stop_at_accuracy = Scores(train, test, criterion), stop_at_accuracy
        self.patience, self.min_improvement = patience, min_improvement
        self.on_epoch = on_epoch
        self.rows: list[EpochRow] = []
        self.status = "finished"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down the start, unless it came with the checkpoint."""
        if not self.rows:
            self._write_down(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down the epoch and decide whether to go on."""
        row = self._write_down(trainer, pl_module, trainer.current_epoch + 1)
        if not math.isfinite(row["train_loss"]):
            self.status, trainer.should_stop = "diverged", True
        elif self.stop_at_accuracy is not None and row["train_accuracy"] >= self.stop_at_accuracy:
            self.status, trainer.should_stop = "reached", True
        elif self._stopped_improving():
            self.status, trainer.should_stop = "plateau", True

    def _write_down(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int) -> EpochRow:
        row = self.row_of(module, epoch)
        self.rows.append(row)
        if trainer.logger is not None:
            trainer.logger.log_metrics(row, step=epoch)
        self.on_epoch(row)
        return row

    def row_of(self, module: nn.Module, epoch: int) -> EpochRow:
        """The row of a network as it is."""
        return {"epoch": epoch, **self.scores(module)}

    def _stopped_improving(self) -> bool:
        if self.patience is None:
            return False
        best, since = math.inf, 0
        for row in self.rows:
            improved = row["train_loss"] < best * (1 - self.min_improvement)
            best, since = (row["train_loss"], 0) if improved else (best, since + 1)
        return since >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The rows travel in the checkpoint, so weights and records never part."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows back from a checkpoint.

        Raises:
            ValueError: If they are not those of this record.
        """
        rows = [{key: float(value) for key, value in row.items()} for row in state_dict["rows"]]
        if not rows or [row["epoch"] for row in rows] != [*range(len(rows))]:
            raise ValueError("its rows are not one an epoch")
        self.rows = list(state_dict["rows"])


class Pulse(pl.Callback):
    """Says how far an epoch is, as a share of it, at most once in ``every`` seconds."""

    def __init__(self, said: Callable[[float], None], *, every: float) -> None:
        self.said, self.every = said, every
        self.last = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for a while before the first word."""
        self.last = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say it, if it is time."""
        if time.monotonic() - self.last >= self.every:
            self.said((batch_idx + 1) / float(trainer.num_training_batches))
            self.last = time.monotonic()


class Saver(pl.Callback):
    """Saves the whole training state at the end of an epoch, at most once in ``every`` seconds."""

    def __init__(self, path: Path, *, every: float) -> None:
        self.path, self.every = path, every
        self.last = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, if it is time."""
        if time.monotonic() - self.last >= self.every and not trainer.should_stop:
            trainer.save_checkpoint(self.path)
            self.last = time.monotonic()
