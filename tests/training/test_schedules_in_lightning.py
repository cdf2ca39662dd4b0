"""Rates and batch sizes that a Lightning training has, step by step, killed and resumed or not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from own_trainer import ADVICE, own_trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from flatmin.data import LightningData
from flatmin.training import (
    Conservative,
    Decay,
    GrowBatch,
    GrowingBatch,
    Growth,
    Method,
    SlowStart,
    WarmUp,
    rate_schedule,
)
from flatmin.training.classifier import EpochData

pytestmark = ADVICE
INPUTS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(50) % 3
WARM, DECAY = WarmUp(epochs=1.5, start=0.1), Decay(epochs=(2, 3), factor=0.2)
GROWTH = GrowingBatch(epochs=(1, 3), factor=3).of(8, 50)
SIZES = [[8] * 6 + [2], [24, 24, 2], [24, 24, 2], [50], [50]]


class Killed(BaseException):
    pass


class Module(pl.LightningModule):
    """Linear; writes down the rate and the size of each batch."""

    def __init__(self, steps: Any, *parts: Any, method: Method | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.steps, self.parts, self.method = nn.Linear(4, 3), steps, parts, method or Method()
        self.rates: list[float] = []
        self.sizes: list[list[int]] = []

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.3, momentum=0.9)
        return {"optimizer": optimizer, "lr_scheduler": rate_schedule(optimizer, self.steps, *self.parts)}

    def on_train_epoch_start(self) -> None:
        self.sizes.append([])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.rates += [self.optimizers().param_groups[0]["lr"]]  # type: ignore[union-attr]
        self.sizes = self.sizes or [[]]
        self.sizes[-1].append(len(batch[1]))
        return cross_entropy(self.layer(batch[0]), batch[1])

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        self.method.step(self.layer, optimizer, optimizer_closure)


class Killer(pl.Callback):
    """Saves and kills, at the end of an epoch or after some steps of one."""

    def __init__(self, path: Path, epoch: int, batch: int | None) -> None:
        self.path, self.epoch, self.batch = path, epoch, batch

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._at(trainer, None)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._at(trainer, batch_idx)

    def _at(self, trainer: pl.Trainer, batch: int | None) -> None:
        if (trainer.current_epoch, batch) == (self.epoch, self.batch):
            trainer.save_checkpoint(self.path)
            raise Killed


class Loaders(pl.LightningDataModule):
    """torch's own loaders, of a batch size that lies among the hyperparameters or beside them."""

    def __init__(self, batch_size: int, among: bool = True) -> None:
        super().__init__()
        if among:
            self.save_hyperparameters("batch_size")
        else:
            self.batch_size = batch_size

    def train_dataloader(self) -> Any:
        size = self.batch_size if hasattr(self, "batch_size") else self.hparams["batch_size"]
        generator = torch.Generator().manual_seed(int(self.trainer.current_epoch))  # type: ignore[union-attr]
        order = torch.randperm(50, generator=generator)
        return DataLoader(TensorDataset(INPUTS[order], TARGETS[order]), size)


class Stubborn(pl.LightningDataModule):
    """Keeps the loader that it made first."""

    batch_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.loader: Any = DataLoader(TensorDataset(INPUTS, TARGETS), 8)

    def train_dataloader(self) -> Any:
        return self.loader


def fit(module: Module, data: Any, *callbacks: pl.Callback, resume: Path | None = None, **options: Any) -> pl.Trainer:
    trainer = own_trainer(Path(), **{"max_epochs": 5, "callbacks": [*callbacks], **options})
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    return trainer


def seeded() -> EpochData:
    return EpochData(INPUTS, TARGETS, 8, seed=0)


@pytest.fixture(autouse=True)
def kept() -> Any:
    with torch.random.fork_rng(devices=[]):
        yield


def warmed_and_decayed(step: int) -> float:
    """The rate written out for 7 batches an epoch."""
    epoch = step / 7
    warm = min(1.0, 0.1 + 0.9 * epoch / 1.5)
    return 0.3 * warm * (1 if step < 14 else 0.2 if step < 21 else 0.2 * 0.2)


@pytest.mark.parametrize("method", [None, Conservative(iterations=3)], ids=["plain", "three iterations a batch"])
def test_every_step_has_the_rate_of_the_closed_form(method: Method | None) -> None:
    module = Module(7, WARM, DECAY, method=method)
    fit(module, seeded())
    if method is not None:
        assert all(len({*module.rates[k : k + 3]}) == 1 for k in range(0, len(module.rates), 3))
        module.rates = module.rates[::3]
    assert module.rates == pytest.approx([warmed_and_decayed(step) for step in range(35)], rel=1e-12)


def test_accumulated_batches_are_one_step() -> None:
    module = Module(4, WARM, SlowStart(epochs=(2,), factors=(0.5, 0.1)))
    fit(module, seeded(), accumulate_grad_batches=2)
    assert len(module.rates) == 35
    for batch, rate in enumerate(module.rates):
        epoch = batch // 7 + batch % 7 // 2 / 4
        assert rate == pytest.approx(0.3 * min(1, 0.1 + 0.6 * epoch) * (0.5 if epoch < 2 else 0.1), rel=1e-12)


def grown_rate(epoch: int) -> float:
    """The batch is to grow to 72 at epoch 3, and there are 50 examples."""
    return 0.3 if epoch < 3 else 0.3 * 50 / 72


@pytest.mark.parametrize("data", [seeded, lambda: Loaders(8), lambda: Loaders(8, among=False)])
def test_batches_grow_and_the_rate_does_the_rest(data: Callable[[], Any]) -> None:
    module, fed = Module(GROWTH.steps_per_epoch(5), GROWTH), data()
    trainer = fit(module, fed, GrowBatch(GROWTH))
    assert module.sizes == SIZES
    expected = [grown_rate(epoch) for epoch, sizes in enumerate(SIZES) for _ in sizes]
    assert module.rates == pytest.approx(expected, rel=1e-12)
    assert "train_dataloader" not in vars(fed) and trainer.reload_dataloaders_every_n_epochs == 0  # type: ignore[attr-defined]
    assert (fed.hparams if "batch_size" in fed.hparams else fed).batch_size == 8


@pytest.mark.filterwarnings("ignore:You passed in a .val_dataloader")
def test_a_named_set_grows_in_percent() -> None:
    growth = GrowingBatch(epochs=(1,), factor=10, largest=500).of(144, 1437)
    sizes = []

    class Sizes(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            sizes.append(len(batch[1]))
            return self.layer.weight.sum()

    fit(Sizes(10), LightningData("digits", batch_size="10%"), GrowBatch(growth), max_epochs=2, limit_val_batches=0)
    assert sizes == [*[144] * 9, 141, 500, 500, 437]


WAYS: dict[str, tuple[Callable[[], Module], Callable[[], list[pl.Callback]], Callable[[], Any]]] = {
    "rates": (lambda: Module(7, WARM, DECAY), lambda: [], seeded),
    "three iterations": (lambda: Module(7, WARM, method=Conservative()), lambda: [], seeded),
    "batches": (lambda: Module(GROWTH.steps_per_epoch(5), WARM, GROWTH), lambda: [GrowBatch(GROWTH)], seeded),
    "loaders": (lambda: Module(GROWTH.steps_per_epoch(5), GROWTH), lambda: [GrowBatch(GROWTH)], lambda: Loaders(8)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_killed_after_any_epoch_has_the_same_rates_batches_and_bits(way: str, tmp_path: Path) -> None:
    module, callbacks, data = WAYS[way]
    whole = module()
    fit(whole, data(), *callbacks())
    for epoch in range(4):
        killed, resumed, path = module(), module(), tmp_path / f"{epoch}.ckpt"
        with pytest.raises(Killed):
            fit(killed, data(), *callbacks(), Killer(path, epoch, None))
        fit(resumed, data(), *callbacks(), resume=path)
        assert killed.rates + resumed.rates == whole.rates
        assert killed.sizes + resumed.sizes == whole.sizes
        assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
def test_rates_go_on_where_a_run_was_killed_within_an_epoch(tmp_path: Path) -> None:
    whole, killed, resumed = (Module(7, WARM, DECAY) for _ in range(3))
    fit(whole, seeded())
    with pytest.raises(Killed):
        fit(killed, seeded(), Killer(tmp_path / "x.ckpt", 1, 2))
    fit(resumed, seeded(), resume=tmp_path / "x.ckpt")
    assert len(killed.rates) == 10 and killed.rates + resumed.rates == whole.rates


def test_a_training_that_was_broken_off_leaves_the_data_module_as_it_was(tmp_path: Path) -> None:
    data = Loaders(8)
    with pytest.raises(Killed):
        fit(Module(7), data, GrowBatch(GROWTH), Killer(tmp_path / "x.ckpt", 1, 0))
    assert "train_dataloader" not in vars(data) and data.hparams["batch_size"] == 8
    own = Stubborn()
    loader = lambda: own.loader  # noqa: E731
    own.train_dataloader = loader  # type: ignore[method-assign]
    fit(Module(7), own, GrowBatch(GrowingBatch(epochs=(9,)).of(8, 50)), max_epochs=1)
    assert own.train_dataloader is loader


@pytest.mark.parametrize(
    ("data", "growth", "options", "message"),
    [
        (lambda: None, GROWTH, {}, "GrowBatch sets `batch_size` of a data module, got no data module; pass fit("),
        (pl.LightningDataModule, GROWTH, {}, "`batch_size` of a data module, got LightningDataModule without; pass"),
        (lambda: Loaders(9), GROWTH, {}, "`batch_size` of the data module must be that of `growth`, 8, got 9."),
        (seeded, GROWTH, {"reload_dataloaders_every_n_epochs": 2}, "`reload_dataloaders_every_n_epochs` must be left"),
        (Stubborn, GROWTH, {}, "`train_dataloader` must make a new loader of `batch_size` at each call, 24, got 8."),
    ],
)
def test_where_no_batch_can_grow_it_is_said(data: Any, growth: Growth, options: Any, message: str) -> None:
    module = Module(7)
    with pytest.raises(ValueError, match=re.escape(message)):
        if (fed := data()) is None:
            module.train_dataloader = lambda: DataLoader(TensorDataset(INPUTS, TARGETS), 8)  # type: ignore[method-assign]
        fit(module, fed, GrowBatch(growth), **options)


def test_sizes_of_smith_et_al_and_the_noise_that_they_keep() -> None:
    growth = GrowingBatch().of(128, 50_000)
    assert [growth.batch_size_at(epoch) for epoch in (0, 59, 60, 120, 160, 199)] == [
        128,
        128,
        640,
        3200,
        16_000,
        16_000,
    ]
    bounded = GrowingBatch(largest=5000).of(128, 50_000)
    for epoch in range(200):
        decayed = 0.2 ** sum(epoch >= milestone for milestone in (60, 120, 160))
        for one in (growth, bounded):
            assert one.at(epoch) / one.batch_size_at(epoch) == pytest.approx(decayed / 128)


@pytest.mark.parametrize(
    ("growing", "batch_size", "message"),
    [
        (GrowingBatch(), 51, "`batch_size` must be at most the 50 examples, got 51."),
        (GrowingBatch(largest=20), 21, "`batch_size` must be at most `largest`, 20, got 21."),
        (GrowingBatch(), 0, "`batch_size` must be at least 1, got 0."),
    ],
)
def test_a_batch_that_cannot_be_the_first_is_named(growing: GrowingBatch, batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        growing.of(batch_size, 50)
    with pytest.raises(ValueError, match=r"`factor` must lie in \(1, inf\), got 1\."):
        GrowingBatch(factor=1)
