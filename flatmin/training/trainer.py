"""Train one network from a seed, and go on exactly where a killed run was."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from flatmin.core.parameters import Layout
from flatmin.core.vectors import norm
from flatmin.data.batches import Pair, fixed_batches
from flatmin.training.checkpoints import AtomicCheckpointIO
from flatmin.training.classifier import Classifier, EpochData
from flatmin.training.record_keeping import RecordKeeper, Row, Saver

CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: Keskar et al.'s protocol by default (Adam 1e-3, no schedule, no decay, 100 epochs).

    ``patience`` and ``min_improvement`` are the stopping rule of
    :class:`flatmin.training.record_keeping.RecordKeeper`; ``evaluation_batch_size`` cuts the data for the records.
    """

    batch_size: int
    epochs: int = 100
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    patience: int | None = None
    min_improvement: float = 0.01
    evaluation_batch_size: int = 5000


@dataclass(frozen=True)
class Trained:
    """A trained network: its weights and buffers, one row an epoch, how training ended, how far it went from x0."""

    state: dict[str, Tensor]
    rows: list[Row]
    status: str
    distance_from_start: float

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return int(self.rows[-1]["epoch"])


def start_network(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The network at the start x0 of ``seed``; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def train(
    network: nn.Module,
    train_data: Pair,
    test_data: Pair,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
    logger: Logger | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> Trained:
    """Train ``network`` (in place) on ``train_data``.

    Args:
        network: The network at its start.
        train_data: Training inputs and targets, on ``device``.
        test_data: Test inputs and targets, on ``device``.
        settings: How to train.
        seed: Decides the order of the examples and dropout.
        checkpoint: File that holds the state of an unfinished run. If it exists, training goes on from it and ends
            with the same weights, bit for bit on the CPU, as if it had never stopped.
        device: Where to train.
        logger: A Lightning logger for the rows.
        on_epoch: Called with every new row of the record.

    Returns:
        The trained network; ``status`` is ``"finished"`` (the budget is spent), ``"plateau"`` (the training loss has
        stopped improving) or ``"diverged"`` (it is no longer finite).

    Raises:
        ResultsError: If the checkpoint is damaged or cannot be written.
    """
    device = torch.device(device)
    network.to(device)
    layout = Layout.of(network)
    start = layout.flatten(dict(network.named_parameters()))
    keeper = RecordKeeper(
        fixed_batches(*train_data, settings.evaluation_batch_size),
        fixed_batches(*test_data, settings.evaluation_batch_size),
        patience=settings.patience,
        min_improvement=settings.min_improvement,
        on_epoch=on_epoch,
    )
    savers = [Saver(checkpoint, every=CHECKPOINT_SECONDS)] if checkpoint else []
    classifier = Classifier(
        network, optimizer=settings.optimizer, learning_rate=settings.learning_rate, momentum=settings.momentum
    )
    data = EpochData(*train_data, settings.batch_size, seed=seed)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = _quiet_trainer(settings.epochs, device, [keeper, *savers], logger)
        resume = str(checkpoint) if checkpoint and checkpoint.exists() else None
        trainer.fit(classifier, datamodule=data, ckpt_path=resume)
    state = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    moved = layout.flatten(dict(network.named_parameters())) - start.to(device)
    return Trained(state, keeper.rows, keeper.status, norm(moved))


def _quiet_trainer(
    epochs: int, device: torch.device, callbacks: list[pl.Callback], logger: Logger | None
) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=logger or False,
        reload_dataloaders_every_n_epochs=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
