"""Data that shuffle anew each epoch in any Trainer, and go on in the same order after a resumed run."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from own_trainer import ADVICE, own_trainer
from torch import Tensor, nn

from flatmin.data import LightningData, load
from flatmin.data.batches import Pair
from flatmin.training.classifier import EpochData

pytestmark = ADVICE


class Watcher(pl.LightningModule):
    """Notes what each epoch showed it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[Tensor]] = {}
        self.draws: dict[int, float] = {}

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        self.seen.setdefault(self.current_epoch, []).append(batch[0].reshape(len(batch[1]), -1))
        self.draws.setdefault(self.current_epoch, float(torch.rand(())))
        return self.weight**2

    def validation_step(self, batch: Pair, batch_idx: int) -> None:
        self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def order(self, epoch: int) -> Tensor:
        return torch.cat(self.seen[epoch])


def pairs() -> Pair:
    return Pair(torch.arange(30.0).reshape(30, 1), torch.arange(30) % 3)


MODULES: dict[str, Any] = {
    "LightningData": lambda: LightningData("digits", batch_size=500),
    "EpochData": lambda: EpochData(*pairs(), 7, seed=4),
}


@pytest.mark.parametrize("made", MODULES.values(), ids=list(MODULES))
@pytest.mark.parametrize("reload", [0, 1])
def test_a_plain_trainer_gets_another_permutation_each_epoch(made: Any, reload: int, tmp_path: Path) -> None:
    seen = Watcher()
    own_trainer(tmp_path, max_epochs=3, reload_dataloaders_every_n_epochs=reload).fit(seen, datamodule=made())
    orders = [seen.order(epoch) for epoch in range(3)]
    columns = [order.unique(dim=0) for order in orders]
    assert all(torch.equal(columns[0], other) for other in columns)
    assert not any(torch.equal(orders[a], orders[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("made", MODULES.values(), ids=list(MODULES))
def test_a_resumed_run_sees_the_order_it_would_have_seen(made: Any, tmp_path: Path) -> None:
    whole = Watcher()
    own_trainer(tmp_path, max_epochs=4).fit(whole, datamodule=made())
    first = own_trainer(tmp_path, max_epochs=2)
    first.fit(Watcher(), datamodule=made())
    first.save_checkpoint(tmp_path / "after2.ckpt")
    rest = Watcher()
    own_trainer(tmp_path, max_epochs=4).fit(rest, datamodule=made(), ckpt_path=tmp_path / "after2.ckpt")
    assert [*rest.seen] == [2, 3]
    assert all(torch.equal(rest.order(epoch), whole.order(epoch)) for epoch in rest.seen)


def test_a_trainer_that_is_to_overfit_sees_the_same_batches_each_epoch(tmp_path: Path) -> None:
    seen = Watcher()
    own_trainer(tmp_path, max_epochs=2, overfit_batches=1).fit(seen, datamodule=MODULES["LightningData"]())
    assert torch.equal(seen.order(0), seen.order(1)) and len(seen.order(0)) == 500


def test_draws_in_an_epoch_of_an_experiment_depend_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    found = []
    for before in (1, 2):
        torch.manual_seed(before)
        watcher = Watcher()
        own_trainer(tmp_path, max_epochs=3).fit(watcher, datamodule=MODULES["EpochData"]())
        found.append(watcher.draws)
    assert found[0] == found[1] and len(set(found[0].values())) == 3


def test_shuffling_leaves_the_global_generator_alone() -> None:
    data = LightningData("digits", batch_size="10%")
    data.setup()
    before = torch.get_rng_state()
    assert [len(batch.targets) for batch in data.train_dataloader()][:2] == [144, 144]
    assert torch.equal(torch.get_rng_state(), before)


def test_examples_are_held_out_and_none_is_shown_twice() -> None:
    data, whole = LightningData("digits", validation=200), load("digits").train
    data.setup()
    held = torch.cat([batch.inputs for batch in data.val_dataloader()])
    shown = torch.cat([batch.inputs for batch in data.train_dataloader()])
    assert (len(held), len(shown)) == (200, len(whole) - 200)
    sums = torch.cat([held, shown]).flatten(1)
    assert torch.equal(sums.unique(dim=0), whole.inputs.flatten(1).unique(dim=0))


def test_without_any_held_out_the_test_examples_are_shown() -> None:
    data = LightningData("digits")
    data.setup()
    for loader in (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        assert torch.equal(torch.cat([batch.inputs for batch in loader]), load("digits").test.inputs)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
        (
            {"batch_size": "ten"},
            ValueError,
            "`batch_size` must be a whole number or a percentage .*, got 'ten'",
        ),
        ({"batch_size": 2000}, ValueError, "`batch_size` must be at most the 1437 training examples, got 2000"),
        ({"validation": 1437}, ValueError, "`validation` must be below the 1437 training examples, got 1437"),
        ({"validation": 0.5}, TypeError, "`validation` must be an int, got float"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        LightningData("digits", **settings).setup()
