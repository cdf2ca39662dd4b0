"""Weight averaging in a Lightning training."""

from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from flatmin.core.random_states import undisturbed
from flatmin.training.averaging import Averaging, Mean
from flatmin.training.batch_statistics import inputs_forward, reestimate_batch_norm


class WeightAverage(pl.Callback):
    """The network ends as the mean of what it was after chosen epochs, with BatchNorm's averages found anew.

    For any Trainer that knows its number of epochs. The mean of all parameters is kept in float64 beside the weights
    and travels in every checkpoint: a run that was killed, even at its very end, and resumed ends as one that was not.
    Buffers are not averaged. The mean is put in place when training ends, be it early; a training that ends before the
    first epoch that counts keeps its own weights. For BatchNorm the batches of the Trainer's train loader are walked
    through once more, as training has them, on the device and augmented: see
    :func:`~flatmin.training.reestimate_batch_norm`.

    Args:
        averaging: Which weights; those of the last quarter of the epochs unless given.
        forward: Runs the module on a batch of the loader, for BatchNorm: ``forward(module, batch)``. The default calls
            the module on the batch, or on its first part where it is a tuple or list.

    Attributes:
        count: How many weights the mean is of.

    Raises:
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> callback = WeightAverage(Averaging(start=0.75, learning_rate=0.01))
        >>> pl.Trainer(max_epochs=20, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self, averaging: Averaging | None = None, *, forward: Callable[[nn.Module, Any], Any] = inputs_forward
    ) -> None:
        averaging = Averaging() if averaging is None else averaging
        if not isinstance(averaging, Averaging):
            raise TypeError(f"`averaging` must be an Averaging, got {type(averaging).__name__}.")
        if not callable(forward):
            raise TypeError(f"`forward` must be callable, got {type(forward).__name__}.")
        self.averaging, self.forward = averaging, forward
        self._mean, self._epochs = Mean(), range(0)
        self._placed = self._resumed = False

    @property
    def count(self) -> int:
        """How many weights the mean is of."""
        return self._mean.count

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settle the epochs; a training that begins has no mean yet, whatever the last one left.

        Raises:
            ValueError: If the Trainer has no number of epochs, or fewer than the first that counts.
        """
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            raise ValueError("WeightAverage needs a Trainer with a number of epochs: set max_epochs.")
        self._epochs = self.averaging.epochs(trainer.max_epochs)
        if not self._resumed and trainer.current_epoch == 0:
            self._mean = Mean()
        self._placed = self._resumed = False

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Hold the learning rate, whatever a schedule has made of it since the last step."""
        if self.averaging.learning_rate is not None and trainer.current_epoch >= self._epochs[0]:
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.averaging.learning_rate

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the weights."""
        if trainer.current_epoch + 1 in self._epochs:
            self._mean.add(dict(pl_module.named_parameters()))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the mean in place."""
        self._place(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put it in place after a resumed run that had nothing left to train."""
        self._place(trainer, pl_module)

    @torch.no_grad()
    def _place(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._placed or not self.count:
            return
        self._placed, device = True, module.device
        module.to(trainer.strategy.root_device)  # Lightning has taken it back to the CPU when fit ends
        for name, parameter in module.named_parameters():
            parameter.copy_(self._mean.tensors[name])
        with undisturbed():
            torch.manual_seed(trainer.current_epoch)  # what a loader or dropout draws is the same in a resumed run
            reestimate_batch_norm(module, _batches(trainer), self.forward)
        module.to(device)

    def state_dict(self) -> dict[str, Any]:
        """The mean so far."""
        return {"count": self.count, "mean": self._mean.tensors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back from a checkpoint."""
        self._mean, self._resumed = Mean(), True
        self._mean.count = state_dict["count"]
        self._mean.tensors = {name: tensor.clone() for name, tensor in state_dict["mean"].items()}


def _batches(trainer: pl.Trainer) -> Iterator[Any]:
    """The training batches as a step gets them, in the order of the epoch that would come next."""
    loader: Any = trainer.train_dataloader
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    if set_epoch is not None:
        set_epoch(trainer.current_epoch)
    for batch in loader:
        yield trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch), dataloader_idx=0)
