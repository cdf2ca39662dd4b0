"""A callback that lets the batch of any Lightning training grow."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from flatmin.training.growing_batch import Growth


class GrowBatch(pl.Callback):
    """Gives a data module the batch size of the epoch, and has its loader made anew each epoch.

    For any ``LightningDataModule`` that reads its ``batch_size``, or ``hparams.batch_size``, when it makes its training
    loader. The size is a function of the epoch alone: a resumed training has those that it would have had. The rate is
    not touched; what it is to do when the batch has reached its bound is a part of
    :func:`flatmin.training.rate_schedule`: ``rate_schedule(optimizer, growth.steps_per_epoch(epochs), growth)``.

    Where several processes train, sizes are those of one process.

    Args:
        growth: How large, when.

    Example:
        >>> from flatmin.data import LightningData
        >>> from flatmin.networks import LightningF1
        >>> from flatmin.training import GrowBatch, GrowingBatch
        >>> growth = GrowingBatch(epochs=(2, 4), factor=4).of(128, examples=1437)
        >>> trainer = pl.Trainer(max_epochs=6, callbacks=[GrowBatch(growth)])  # doctest: +SKIP
        >>> trainer.fit(LightningF1(), LightningData("digits", batch_size=128))  # doctest: +SKIP
    """

    def __init__(self, growth: Growth) -> None:
        self.growth = growth
        self._undo: Callable[[], None] = lambda: None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Stand between the data module and those who ask it for training batches.

        Raises:
            ValueError: If there is no data module with a batch size, it begins with another, or loaders are kept for
                several epochs.
        """
        if stage != "fit":
            return
        data, kept = trainer.datamodule, trainer.reload_dataloaders_every_n_epochs  # type: ignore[attr-defined]
        holder = data if hasattr(data, "batch_size") else getattr(data, "hparams", None)
        if holder is None or not hasattr(holder, "batch_size"):
            got = "no data module" if data is None else f"{type(data).__name__} without"
            raise ValueError(f"GrowBatch sets `batch_size` of a data module, got {got}; pass fit(..., datamodule=...).")
        first = self.growth.batch_size
        if isinstance(holder.batch_size, int) and holder.batch_size != first:
            raise ValueError(
                f"`batch_size` of the data module must be that of `growth`, {first}, got {holder.batch_size}."
            )
        if kept > 1:
            raise ValueError(f"`reload_dataloaders_every_n_epochs` must be left out with GrowBatch, got {kept}.")
        own = vars(data).get("train_dataloader")
        made = data.train_dataloader

        def grown() -> Any:
            return self._made(made, holder, trainer.current_epoch)

        def undo() -> None:
            del data.train_dataloader
            if own is not None:
                data.train_dataloader = own
            trainer.reload_dataloaders_every_n_epochs = kept  # type: ignore[attr-defined]

        data.train_dataloader, self._undo = grown, undo
        trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]

    def _made(self, make: Callable[[], Any], holder: Any, epoch: int) -> Any:
        """A loader of the batches of an epoch.

        Raises:
            ValueError: If it has batches of another size.
        """
        before, size = holder.batch_size, self.growth.batch_size_at(epoch)
        holder.batch_size = size
        try:
            loader = make()
        finally:
            holder.batch_size = before
        if (got := getattr(loader, "batch_size", size)) != size:
            raise ValueError(
                f"`train_dataloader` must make a new loader of `batch_size` at each call, {size}, got {got}."
            )
        return loader

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the data module as it was."""
        self._leave()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the data module as it was, if something stops the training."""
        self._leave()

    def _leave(self) -> None:
        undo, self._undo = self._undo, lambda: None
        undo()
