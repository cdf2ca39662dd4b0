"""A Lightning module around any network, and the data module that feeds it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from flatmin.data.batches import Pair, ShuffledBatches, epoch_seed
from flatmin.optimizers.named import OptimizerName, optimizer_named
from flatmin.training.augmentation import Augmentation
from flatmin.training.methods.method import Criterion, Method
from flatmin.training.rates import RateFactor
from flatmin.training.schedules import rate_schedule
from flatmin.training.settings import Training


class Classifier(pl.LightningModule):
    """A mean loss of ``network``, minimised.

    Args:
        network: Any module.
        optimizer: As in :class:`flatmin.training.settings.Training`.
        learning_rate: As there.
        momentum: As there.
        weight_decay: As there.
        schedule: What the learning rate is multiplied by in the course of training.
        steps_per_epoch: Batches in each epoch, for a schedule and for optimisers that go by epochs.
        method: How a batch becomes a step; ``None`` is plain training.
        criterion: The mean loss of a batch.

    Raises:
        TypeError: If ``learning_rate`` or ``momentum`` is not a number.
        ValueError: If a setting is out of range, or there is a momentum that the optimiser does not use.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: OptimizerName = Training.optimizer,
        learning_rate: float = Training.learning_rate,
        momentum: float = Training.momentum,
        weight_decay: float = Training.weight_decay,
        schedule: Sequence[RateFactor] = (),
        steps_per_epoch: Sequence[int] = (),
        method: Method | None = None,
        criterion: Criterion = cross_entropy,
    ) -> None:
        super().__init__()
        self.network, self._criterion = network, (criterion,)
        self.settings = Training(
            optimizer=optimizer, learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay
        )
        self.schedule, self.steps_per_epoch = tuple(schedule), list(steps_per_epoch)
        self.method = method or Method()

    @property
    def criterion(self) -> Criterion:
        """The loss; not a part of the module, lest its tensors be trained."""
        return self._criterion[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network says of the inputs."""
        scores: Tensor = self.network(inputs)
        return scores

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        """The method's loss of one batch: for plain training the mean loss."""
        return self.method.loss(self.network, Pair(*batch), self.criterion)

    def on_train_epoch_start(self) -> None:
        """Tell an optimiser that goes by epochs how many steps this one has."""
        for group in self.trainer.optimizers[0].param_groups:
            if "steps_per_epoch" in group and self.steps_per_epoch:
                steps = self.steps_per_epoch[min(self.current_epoch, len(self.steps_per_epoch) - 1)]
                group["steps_per_epoch"] = steps * self.method.updates

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """The method's step on one batch; the closure is :meth:`training_step` and its gradient."""
        assert optimizer_closure is not None
        self.method.step(self.network, optimizer, optimizer_closure)

    def configure_optimizers(self) -> Any:
        """The optimiser of all trainable parameters (one fused kernel a step where torch has it), and its schedule."""
        chosen = self.settings
        optimizer = optimizer_named(
            chosen.optimizer,
            self.network.parameters(),
            learning_rate=chosen.learning_rate,
            momentum=chosen.momentum,
            weight_decay=chosen.weight_decay,
            steps_per_epoch=self.steps_per_epoch[0] if self.steps_per_epoch else None,
            fused=True,
        )
        if not self.schedule:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": rate_schedule(optimizer, self.steps_per_epoch, *self.schedule),
        }


class SeededBatches(ShuffledBatches):
    """Shuffled batches that seed torch's own generator as an epoch starts: whatever is drawn in it is the epoch's."""

    def __iter__(self) -> Iterator[Pair]:
        """Walk through the batches of an epoch."""
        torch.manual_seed(epoch_seed(self.seed, self.epoch))
        yield from super().__iter__()


class EpochData(pl.LightningDataModule):
    """Hands Lightning a fresh permutation each epoch, and all that is drawn in it a fresh seed.

    Both depend on seed and epoch alone. Images are augmented as their batch is taken, so several passes over one
    batch see the same ones.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        batch_size: int,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.targets = inputs, targets
        self.batch_size, self.seed = batch_size, seed
        self.augmentation = augmentation

    def train_dataloader(self) -> SeededBatches:
        """The batches, in another order each epoch."""
        return SeededBatches(self.inputs, self.targets, self.batch_size, seed=self.seed)

    def transfer_batch_to_device(self, batch: Pair, device: torch.device, dataloader_idx: int) -> Pair:
        """Nothing to move: the data set lies on the device."""
        return batch

    def on_after_batch_transfer(self, batch: Pair, dataloader_idx: int) -> Pair:
        """The batch with its images augmented."""
        return batch if self.augmentation is None else Pair(self.augmentation(batch.inputs), batch.targets)
