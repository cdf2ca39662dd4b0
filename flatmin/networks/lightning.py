"""The six networks as Lightning modules, for a Trainer of your own.

>>> from flatmin.data import LightningData
>>> from flatmin.networks import LightningF1
>>> from pytorch_lightning import Trainer
>>> network = LightningF1(learning_rate=1e-3, optimizer="adam")
>>> Trainer(max_epochs=5).fit(network, LightningData("mnist", batch_size=256))  # doctest: +SKIP

They train as any Lightning module does: constant learning rate, no decay, dropout and batch statistics in training, and
in validation and test neither dropout nor batch statistics but the running averages that BatchNorm keeps. The layers of
Keskar et al. (2017) have no running averages; their accuracies are those with the statistics of each evaluation batch.
``flatmin run`` records both; here ``flatmin.Objective(network, loss, batches, batch_norm="batch")`` reads the latter.
"""

import inspect
from typing import Any, ClassVar

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from flatmin.networks.convolutional import C1, C2, C3, C4
from flatmin.networks.fully_connected import F1, F2
from flatmin.optimizers.named import OptimizerName, optimizer_named
from flatmin.optimizers.rmsprop_warm_up import steps_per_epoch

BLANK = "\n\n"


class LightningNetwork(pl.LightningModule):
    """One of the six networks with its loss, its optimiser and the steps of a Trainer.

    A batch is ``(inputs, targets)``; images of bytes are divided by 255. Logged are ``train_loss``, ``val_loss``,
    ``val_acc``, ``test_loss`` and ``test_acc``, each the mean over the examples of an epoch.

    Args:
        learning_rate: Constant step size.
        optimizer: ``"adam"``, ``"sgd"``, ``"adagrad"``, ``"lars"``, ``"lamb"`` or ``"rmsprop_warm_up"``.
        num_classes: Outputs; by default those of the network's own data set.
        momentum: Of ``"sgd"``, ``"lars"`` and ``"rmsprop_warm_up"``.
        weight_decay: Of all of them, as :func:`~flatmin.optimizers.optimizer_named` says.
        options: What else the network takes: ``variant`` of C1 and C3, ``width`` and ``input_shape`` of F1 and F2.

    Raises:
        TypeError: If the network has no such option, or a number is none.
        ValueError: If a value is out of range, or there is no such optimiser.

    Attributes:
        network: The network itself, a plain module.
        criterion: The loss, the mean cross-entropy.
    """

    architecture: ClassVar[type[nn.Module]]

    def __init_subclass__(cls) -> None:
        """Let its help say what all of them take and log."""
        super().__init_subclass__()
        cls.__doc__ = f"{cls.__doc__}\n\n{inspect.cleandoc(LightningNetwork.__doc__ or '').partition(BLANK)[2]}"

    def __init__(
        self,
        learning_rate: float = 1e-3,
        optimizer: OptimizerName = "adam",
        num_classes: int | None = None,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        own = inspect.signature(self.architecture).parameters
        if unknown := sorted(options.keys() - own.keys()):
            known = ", ".join(name for name in own if name != "num_classes") or "none"
            raise TypeError(
                f"{type(self).__name__} has no option {unknown[0]!r}; {self.architecture.__name__}'s: {known}."
            )
        classes = own["num_classes"].default if num_classes is None else num_classes
        self.save_hyperparameters(
            {
                "learning_rate": learning_rate,
                "optimizer": optimizer,
                "num_classes": classes,
                "momentum": momentum,
                "weight_decay": weight_decay,
                **options,
            }
        )
        self.network = self.architecture(num_classes=classes, **options)
        self.criterion = nn.CrossEntropyLoss()
        self.configure_optimizers()  # refuses what is out of range now, not when training starts

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores (N, num_classes) of inputs (N, ...)."""
        scores: Tensor = self.network(inputs if inputs.is_floating_point() else inputs / 255)
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        inputs, targets = pair(batch)
        loss: Tensor = self.criterion(self(inputs), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log ``val_loss`` and ``val_acc``."""
        self._evaluated("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log ``test_loss`` and ``test_acc``."""
        self._evaluated("test", batch)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Class scores of a batch of inputs, or of the inputs of ``(inputs, targets)``."""
        scores: Tensor = self(batch if isinstance(batch, Tensor) else pair(batch)[0])
        return scores

    def _evaluated(self, name: str, batch: Any) -> None:
        inputs, targets = pair(batch)
        scores = self(inputs)
        found = {
            f"{name}_loss": self.criterion(scores, targets),
            f"{name}_acc": (scores.argmax(1) == targets).float().mean(),
        }
        self.log_dict(found, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(targets), sync_dist=True)

    def configure_optimizers(self) -> Optimizer:
        """The optimiser over all trainable parameters, without schedule."""
        chosen = self.hparams
        return optimizer_named(
            chosen["optimizer"],
            self.parameters(),
            learning_rate=chosen["learning_rate"],
            momentum=chosen["momentum"],
            weight_decay=chosen.get("weight_decay", 0.0),
            steps_per_epoch=steps_per_epoch(self._trainer) if chosen["optimizer"] == "rmsprop_warm_up" else None,
        )


def pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a batch.

    Raises:
        TypeError: If it is something else than two tensors.
    """
    if isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        return batch[0], batch[1]
    got = [type(part).__name__ for part in batch] if isinstance(batch, tuple | list) else type(batch).__name__
    raise TypeError(f"a batch must be (inputs, targets), two tensors, got {got}.")


class LightningF1(LightningNetwork):
    """F1 for a Trainer: five hidden layers for MNIST, inputs (N, 1, 28, 28); also ``input_shape`` and ``width``."""

    architecture = F1


class LightningF2(LightningNetwork):
    """F2 for a Trainer: seven hidden layers for TIMIT, inputs (N, 360); also takes ``input_shape`` and ``width``."""

    architecture = F2


class LightningC1(LightningNetwork):
    """C1 for a Trainer: shallow convolutional network for CIFAR-10, inputs (N, 3, 32, 32); also takes ``variant``."""

    architecture = C1


class LightningC2(LightningNetwork):
    """C2 for a Trainer: deep convolutional network for CIFAR-10, inputs (N, 3, 32, 32)."""

    architecture = C2


class LightningC3(LightningNetwork):
    """C3 for a Trainer: C1 for CIFAR-100, inputs (N, 3, 32, 32); also takes ``variant``."""

    architecture = C3


class LightningC4(LightningNetwork):
    """C4 for a Trainer: C2 for CIFAR-100, inputs (N, 3, 32, 32)."""

    architecture = C4
