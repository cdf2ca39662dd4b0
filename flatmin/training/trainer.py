"""Train one network from a seed, and go on exactly where a killed run was."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.checks import whole
from flatmin.core.precision import full_precision
from flatmin.core.vectors import norm
from flatmin.data.batches import Pair, fixed_batches, pair_of
from flatmin.objective.channels import channels_last, is_convolutional
from flatmin.objective.parameters import Layout
from flatmin.training.checkpoints import AtomicCheckpointIO, Resumption
from flatmin.training.classifier import Classifier, EpochData
from flatmin.training.ghost_batches import ghost_batch_norm
from flatmin.training.grow_batch import GrowBatch
from flatmin.training.methods.method import Criterion
from flatmin.training.record_keeping import EpochRow, Pulse, RecordKeeper, Saver
from flatmin.training.settings import TrainingSettings
from flatmin.training.snapshots import Snapshots, State, state_of
from flatmin.training.weight_average import WeightAverage

CHECKPOINT_SECONDS = 10.0
PULSE_SECONDS = 1.0


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        state: Its weights and buffers, on the CPU.
        rows: The record, one row an epoch.
        status: How training ended.
        distance_from_start: Euclidean distance of the trained parameters from where :func:`train` found them.
        snapshots: The state after each epoch of ``settings.snapshots`` that was reached.
        averaged: What would be its row: of a network that ended as a mean of weights; ``None`` of any other, whose last
            row it is.
        members: The rows of what that mean is of.
    """

    state: State = field(repr=False)
    rows: list[EpochRow]
    status: str
    distance_from_start: float
    snapshots: dict[int, State] = field(default_factory=dict, repr=False)
    averaged: EpochRow | None = None
    members: tuple[EpochRow, ...] = ()

    @property
    def final(self) -> EpochRow:
        """The row of the network that is left."""
        return self.averaged or self.rows[-1]

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
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
    on_pulse: Callable[[float], None] | None = None,
    criterion: Criterion = cross_entropy,
) -> Trained:
    """Train ``network`` (in place) on ``train_data``.

    Args:
        network: The network where training starts; one that was compiled by ``network.compile()`` trains compiled.
        train_data: Training inputs and targets, on ``device``.
        test_data: Test inputs and targets, on ``device``.
        settings: How to train.
        seed: Decides the order of the examples, dropout and whatever else is drawn in a step.
        checkpoint: File that holds the state of an unfinished run. If it exists, training goes on from it and ends
            with the same weights, bit for bit on the CPU, as if it had never stopped. Snapshots lie beside it, see
            :func:`flatmin.training.snapshots.snapshot_file`. All are the caller's to delete once the result is stored.
        device: Where to train.
        logger: A Lightning logger for the rows.
        on_epoch: Called with every new row of the record.
        on_pulse: Called every few seconds of a long epoch with the share of it that is done.
        criterion: The mean loss of a batch, ``criterion(outputs, targets)``.

    Returns:
        The trained network; ``status`` is ``"finished"`` (the budget is spent), ``"plateau"`` (the training loss has
        stopped improving), ``"reached"`` (so has the training accuracy that was asked for) or ``"diverged"`` (the loss
        is no longer finite).

    Raises:
        ResultsError: If the checkpoint is damaged, of another training or cannot be written.
        TypeError: If ``train_data`` or ``test_data`` is no pair of tensors.
        ValueError: If a setting is out of range.
        KeyboardInterrupt: If Ctrl-C stopped it.
        SystemExit: With status 143 if SIGTERM stopped it.
    """
    device = torch.device(device)
    whole("seed", seed)
    network.to(device)
    train_data, test_data = pair_of("train_data", train_data), pair_of("test_data", test_data)
    if is_convolutional(network):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        train_data, test_data = (Pair(channels_last(pair.inputs), pair.targets) for pair in (train_data, test_data))
    layout = Layout.of(network)
    start = layout.flatten(dict(network.named_parameters()))
    keeper = RecordKeeper(
        fixed_batches(*train_data, settings.evaluation_batch_size),
        fixed_batches(*test_data, settings.evaluation_batch_size),
        patience=settings.patience,
        min_improvement=settings.min_improvement,
        on_epoch=on_epoch,
        stop_at_accuracy=settings.stop_at_accuracy,
        criterion=criterion,
    )
    if settings.ghost_batch_norm is not None:
        ghost_batch_norm(network, settings.ghost_batch_norm)
    snapshots = Snapshots(network, settings.snapshots, checkpoint)
    others: list[pl.Callback] = [Pulse(on_pulse, every=PULSE_SECONDS)] if on_pulse else []
    growth, average = settings.growth(len(train_data.targets)), settings.averaging and WeightAverage(settings.averaging)
    others += [callback for callback in (growth and GrowBatch(growth), average) if callback]
    others += [Saver(checkpoint, every=CHECKPOINT_SECONDS)] if checkpoint else []  # last: what the others keep is in it
    resume = checkpoint if checkpoint and checkpoint.exists() else None
    resumption = Resumption(resume)
    classifier = Classifier(
        network,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        schedule=[part for part in (settings.warm_up, settings.decay, settings.slow_start, growth) if part],
        steps_per_epoch=settings.steps_per_epoch(len(train_data.targets)),
        method=settings.method,
        criterion=criterion,
    )
    data = EpochData(*train_data, settings.batch_size, seed=seed, augmentation=settings.augmentation)
    cuda = [device.index or 0] if device.type == "cuda" else []
    exact = full_precision(device) if settings.precision == "float32" else nullcontext()
    with torch.random.fork_rng(devices=cuda), exact, _quiet(), _interruptions():
        trainer = _quiet_trainer(settings, device, [resumption, keeper, snapshots, *others], logger)
        try:
            with resumption.told():
                trainer.fit(classifier, datamodule=data, ckpt_path=resume and str(resume))
            if trainer.interrupted:
                raise KeyboardInterrupt
            network.to(device)  # Lightning leaves it on the CPU
            mean = keeper.row_of(classifier, trainer.current_epoch) if average and average.count else None
        finally:
            vars(trainer).clear()  # its parts hold each other, and so the data, until Python's collector comes by
    moved = layout.flatten(dict(network.named_parameters())) - start
    averaged = settings.averaging.epochs(settings.epochs) if settings.averaging and mean else ()
    members = tuple(row for row in keeper.rows if row["epoch"] in averaged)
    return Trained(state_of(network), keeper.rows, keeper.status, norm(moved), snapshots.states, mean, members)


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
def _interruptions() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM through.

    At Ctrl-C Lightning switches it off and exits, or (before 2.4) returns as if training had ended. SIGTERM it takes to
    itself and exits with status 0 at the next batch, which a scheduler takes for success.

    Raises:
        KeyboardInterrupt: If Ctrl-C, or a handler of the caller's that raises it, made Lightning exit.
        SystemExit: With status 143 after SIGTERM; as it was if anything else asked to exit.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise stop.__context__ from None
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


def _quiet_trainer(
    settings: TrainingSettings, device: torch.device, callbacks: list[pl.Callback], logger: Logger | None
) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=settings.epochs,
        precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        logger=logger or False,
        gradient_clip_val=settings.gradient_clip,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
