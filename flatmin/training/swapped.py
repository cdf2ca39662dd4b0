"""A training with SWAP, told as any other training is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.vectors import norm
from flatmin.data.batches import Pair
from flatmin.objective.parameters import Layout
from flatmin.training.methods.method import Criterion
from flatmin.training.parallel_averaging import Diverged, swap
from flatmin.training.record_keeping import EpochRow
from flatmin.training.settings import TrainingSettings
from flatmin.training.snapshots import state_of
from flatmin.training.trainer import Trained


def train_swapped(
    network: nn.Module,
    train_data: Pair,
    test_data: Pair,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
    criterion: Criterion = cross_entropy,
    **_: Any,
) -> Trained:
    """Train ``network`` (in place) as ``settings.swap`` says: large batch, workers, mean.

    Args:
        network: The network where training starts.
        train_data: Training inputs and targets, on ``device``.
        test_data: Test inputs and targets, on ``device``.
        settings: How the large batch trains, with ``swap``.
        seed: Decides all orders and draws.
        checkpoint: Beside it a folder holds an unfinished run; removed with it once the run is finished.
        device: Where to train.
        on_epoch: Called with every row, the workers' too.
        criterion: The mean loss of a batch.

    Returns:
        The mean; its one row is that of the network where the workers began, its members theirs. If the large batch
        diverges or a worker does, so has the whole.

    Raises:
        ValueError: If there is no ``settings.swap``.
    """
    workers = settings.swap
    if workers is None:
        raise ValueError("`settings.swap` must say how the workers train, got None.")
    large = replace(settings, swap=None, snapshots=())
    small = replace(
        large,
        batch_size=workers.batch_size,
        epochs=workers.epochs,
        learning_rate=workers.learning_rate or large.learning_rate,
        decay=workers.decay,
        warm_up=None,
        slow_start=None,
        growing_batch=None,
        stop_at_accuracy=None,
    )
    layout, folder = Layout.of(network), None if checkpoint is None else checkpoint.with_suffix(".swap")
    start = layout.flatten(dict(network.named_parameters())).cpu()

    def moved() -> float:
        return norm(layout.flatten(dict(network.named_parameters())).cpu() - start)

    try:
        done = swap(
            network,
            train_data,
            test_data,
            large,
            small,
            workers=workers.workers,
            stop_at=workers.stop_at,
            seed=seed,
            processes=workers.processes,
            folder=folder,
            device=device,
            on_epoch=lambda worker, row: on_epoch(row),
            criterion=criterion,
        )
        if folder is not None:
            rmtree(folder)
    except Diverged as lost:
        row = lost.row | {"epoch": lost.start["epoch"]}
        return Trained(state_of(network), [lost.start], "diverged", moved(), averaged=row)
    return Trained(
        done.mean.state,
        [done.start.row],
        "reached" if done.reached else "finished",
        moved(),
        averaged={"epoch": done.start.row["epoch"]} | done.mean.row,
        members=tuple(worker.row for worker in done.workers),
    )
