"""Training as a step: one network, one regime, one seed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import Tensor

from flatmin.data.batches import Pair
from flatmin.experiments.laboratory import Laboratory, snapshot_name
from flatmin.experiments.step import Outcome
from flatmin.results import Record
from flatmin.results.statistics import CHANCE
from flatmin.training import Trained, TrainingSettings, train
from flatmin.training.swapped import train_swapped

if TYPE_CHECKING:
    from flatmin.experiments.wandb_logging import MirrorLogger

ENDINGS = {
    "plateau": " (training loss stopped improving)",
    CHANCE: " (training accuracy cannot be told from a guess: no minimum to judge)",
}


@dataclass(frozen=True)
class TrainingStep:
    """Train one network from the start of its seed, or from where another training was after some epoch.

    Args:
        data: Name, number of training examples and the files' md5s.
        network: Name, variant, input shape and classes.
        settings: How to train; the batch size is a number here, whatever the file said.
        regime: ``"small_batch"``, ``"large_batch"`` or that of a variation: the name in tables; it fixes no number.
        seed: Decides start, order of examples and dropout.
        loss: What identifies a loss of the user's own; ``None`` for the usual one.
        origin: Training that this one goes out from, and after which epoch of it; it keeps that snapshot.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    settings: TrainingSettings
    regime: str
    seed: int
    origin: "tuple[TrainingStep, int] | None" = None
    loss: dict[str, Any] | None = None

    kind = "trained"
    noun = "networks to train"

    @property
    def needs(self) -> "tuple[TrainingStep, ...]":
        """The training that this one goes out from."""
        return (self.origin[0],) if self.origin else ()

    @property
    def after(self) -> int | None:
        """The epoch of it."""
        return self.origin[1] if self.origin else None

    @property
    def label(self) -> str:
        """Such as ``F1-mnist-small_batch-seed0``."""
        return f"{self.network['name']}-{self.data['name']}-{self.regime}-seed{self.seed}"

    @property
    def setup(self) -> dict[str, Any]:
        """All that fixes the weights."""
        setup = {"data": self.data, "network": self.network, "training": self.settings.described(), "seed": self.seed}
        if self.loss is not None:
            setup["loss"] = self.loss
        if self.origin:
            before, epoch = self.origin
            setup["origin"] = {"network": before.setup, "epoch": epoch}
        return setup

    @property
    def facts(self) -> dict[str, Any]:
        """Network, data, regime, batch size, epoch of the start and seed."""
        return {
            "network": self.network["name"],
            "data": self.data["name"],
            "regime": self.regime,
            "batch_size": self.settings.batch_size,
            "start_epoch": self.origin[1] if self.origin else np.nan,
            "seed": self.seed,
        }

    @property
    def cost(self) -> float:
        """Three passes a training example and epoch, and the records."""
        return float(4 * self.settings.epochs * self.data["examples"])

    def run(self, workplace: Laboratory, folder: Path, advance: Callable[[float], None]) -> Outcome:
        """Train, going on from the checkpoint in ``folder`` if there is one."""
        logger = workplace.logger(self)
        trained = self.trained(workplace, (workplace.train, workplace.test), folder, advance, logger)
        last = trained.final
        scores = {name: value for name, value in last.items() if name != "epoch"}
        chance = trained.status != "diverged" and at_chance(last["train_accuracy"], workplace.train.targets)
        ending = {"status": CHANCE if chance else trained.status, "epochs": trained.epochs, **scores}
        ending["distance_from_start"] = trained.distance_from_start
        if logger is not None:
            logger.finish(ending, trained.rows)
        members = {"members": list(trained.members)} if trained.members else {}
        return Outcome(
            result=ending | members,
            arrays=arrays(trained.state, trained.snapshots),
            tables={"curves": curves_table(trained.rows), "minima": pd.DataFrame([ending])},
            status="diverged" if trained.status == "diverged" else "finished",
        )

    def trained(
        self,
        workplace: Laboratory,
        data: tuple[Pair, Pair],
        folder: Path,
        advance: Callable[[float], None],
        logger: "MirrorLogger | None" = None,
    ) -> Trained:
        """The network, trained on the first of the data and tested on the second."""
        epochs = Epochs(1 / self.settings.rows, advance)
        way = train_swapped if self.settings.swap else train
        return way(
            workplace.trained(*self.origin) if self.origin else workplace.start(self.seed),
            *data,
            self.settings,
            seed=self.seed,
            checkpoint=folder / "training.ckpt",
            device=workplace.device,
            logger=logger,
            on_epoch=epochs.ended,
            on_pulse=epochs.went_on,
            criterion=workplace.loss,
        )

    def found(self, record: Record) -> str:
        """How training ended."""
        result = record.result
        if record.state == "diverged":
            return f"diverged in epoch {result['epochs']}"
        said = f"train {100 * result['train_accuracy']:.2f} %, test {100 * result['test_accuracy']:.2f} %"
        if math.isnan(result["train_accuracy"]):
            said = f"train loss {result['train_loss']:.4g}, test loss {result['test_loss']:.4g}"
        return f"{result['epochs']} epochs{ENDINGS.get(result['status'], '')}, {said}"


@dataclass
class Epochs:
    """Turns what is said of epochs into shares of a training that add up to one.

    Attributes:
        each: Share of an epoch in the whole.
        advance: Takes the share done since the last call.
        told: How much of the present epoch has been told.
    """

    each: float
    advance: Callable[[float], None]
    told: float = 0.0

    def went_on(self, done: float) -> None:
        """So much of the epoch is done."""
        self.advance(self.each * (done - self.told))
        self.told = done

    def ended(self, row: Mapping[str, float]) -> None:
        """An epoch has ended."""
        self.went_on(1.0)
        self.told = 0.0


def at_chance(accuracy: float, targets: Tensor) -> bool:
    """Whether an accuracy is no better than always naming the commonest class, within three standard deviations.

    Real targets have no classes to guess.

    Example:
        >>> import torch
        >>> at_chance(0.12, torch.arange(1000) % 10), at_chance(0.14, torch.arange(1000) % 10)
        (True, False)
    """
    if targets.is_floating_point():
        return False
    share = float(targets.bincount().max()) / len(targets)
    return accuracy <= share + 3 * math.sqrt(share * (1 - share) / len(targets))


def arrays(state: dict[str, Tensor], snapshots: dict[int, dict[str, Tensor]]) -> dict[str, Any]:
    """Weights and buffers at the end, and those of each snapshot under its epoch."""
    kept = {name: tensor.numpy() for name, tensor in state.items()}
    for epoch, earlier in snapshots.items():
        kept |= {snapshot_name(epoch, name): tensor.numpy() for name, tensor in earlier.items()}
    return kept


def curves_table(rows: list[dict[str, float]]) -> pd.DataFrame:
    """One row per epoch and split."""
    return pd.DataFrame(
        [
            {
                "epoch": int(row["epoch"]),
                "split": split,
                "loss": row[f"{split}_loss"],
                "accuracy": row[f"{split}_accuracy"],
                "running_loss": row[f"running_{split}_loss"],
                "running_accuracy": row[f"running_{split}_accuracy"],
            }
            for row in rows
            for split in ("train", "test")
        ]
    )
