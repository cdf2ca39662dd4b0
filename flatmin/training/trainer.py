"""Train one network from a seed, and go on exactly where a killed run was."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from torch import Tensor, nn

from flatmin.core.checks import whole
from flatmin.core.parameters import Layout
from flatmin.core.vectors import norm
from flatmin.data.batches import Pair, fixed_batches
from flatmin.training.checkpoints import AtomicCheckpointIO
from flatmin.training.classifier import Classifier, EpochData, check_optimizer
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

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "evaluation_batch_size"):
            whole(name, getattr(self, name), minimum=1)
        if self.patience is not None:
            whole("patience", self.patience, minimum=1)
        if not 0 <= self.min_improvement < 1:
            raise ValueError(f"`min_improvement` must lie in [0, 1), got {self.min_improvement!r}.")
        check_optimizer(self.optimizer, self.learning_rate, self.momentum)


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
    """The network at the start x0 of ``seed``; the global random state is left as it was.

    Raises:
        ValueError: If ``seed`` is negative or has more than 32 bits: torch's CPU generator would drop the others.
    """
    if whole("seed", seed) >= 2**32:
        raise ValueError(f"`seed` must be below 2**32, got {seed}.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
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
            with the same weights, bit for bit on the CPU, as if it had never stopped. It is the caller's to delete
            once the result is stored.
        device: Where to train.
        logger: A Lightning logger for the rows.
        on_epoch: Called with every new row of the record.

    Returns:
        The trained network; ``status`` is ``"finished"`` (the budget is spent), ``"plateau"`` (the training loss has
        stopped improving) or ``"diverged"`` (it is no longer finite).

    Raises:
        ResultsError: If the checkpoint is damaged or cannot be written.
        ValueError: If a setting is out of range.
    """
    device = torch.device(device)
    whole("seed", seed)
    network.to(device)
    if is_convolutional(network):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        train_data, test_data = channels_last(train_data), channels_last(test_data)
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
    cuda = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _quiet(), _keyboard_interrupts():
        trainer = _quiet_trainer(settings.epochs, device, [keeper, *savers], logger)
        resume = str(checkpoint) if checkpoint and checkpoint.exists() else None
        trainer.fit(classifier, datamodule=data, ckpt_path=resume)
        if trainer.interrupted:
            raise KeyboardInterrupt
    network.to(device)  # Lightning leaves it on the CPU
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    moved = layout.flatten(dict(network.named_parameters())) - start
    return Trained(state, keeper.rows, keeper.status, norm(moved))


def is_convolutional(network: nn.Module) -> bool:
    """Whether the network has two-dimensional convolutions, which run faster with the channels last in memory."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())


def channels_last(data: Pair) -> Pair:
    """The same images with their channels last in memory."""
    return Pair(data.inputs.contiguous(memory_format=torch.channels_last), data.targets)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice is for those who use Lightning by hand."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _keyboard_interrupts() -> Iterator[None]:
    """Let Ctrl-C through: Lightning switches it off and exits, or (before 2.4) returns as if training had ended."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise stop.__context__ from None
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


def _quiet_trainer(
    epochs: int, device: torch.device, callbacks: list[pl.Callback], logger: Logger | None
) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        logger=logger or False,
        reload_dataloaders_every_n_epochs=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
