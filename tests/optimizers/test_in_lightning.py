"""SAM and the others in Lightning's automatic optimisation: passes, BatchNorm, clipping, accumulation, 16 bits."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from flatmin.networks import LightningF1
from flatmin.optimizers import LAMB, LARS, SAM

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:You defined a `validation_step`",
    "ignore:.*isinstance\\(treespec, LeafSpec\\)",
    "ignore:Be aware that when using `ckpt_path`",
)
GENERATOR = torch.Generator().manual_seed(0)
INPUTS, TARGETS = torch.randn(24, 4, generator=GENERATOR), torch.arange(24) % 3


class Module(pl.LightningModule):
    """Anybody's module: a step, an optimiser and a schedule."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.settings = {"rho": 0.5, "lr": 0.1, "momentum": 0.9} | settings
        self.passes: list[int] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.passes.append(batch_idx)
        return cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        optimizer = SAM(self.parameters(), torch.optim.SGD, **self.settings)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


def fit(module: pl.LightningModule, folder: Path, epochs: int = 1, resume: Path | None = None, **settings: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    quiet["enable_checkpointing"] = False
    if settings.get("plugins"):  # Lightning takes the scaler to the CPU only when it is told
        settings["plugins"] = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    trainer = pl.Trainer(max_epochs=epochs, default_root_dir=folder, **quiet | settings)
    trainer.fit(module, DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=8), ckpt_path=resume)
    return trainer


def by_hand(epochs: int, clip: float | None = None) -> nn.Sequential:
    """SGD with momentum along the gradient of the worst point, clipped; the running averages of the first passes."""
    network, velocities, rate = Module().network, {}, 0.1

    def gradients(through: nn.Sequential, batch: slice) -> list[Tensor]:
        found = torch.autograd.grad(cross_entropy(through(INPUTS[batch]), TARGETS[batch]), list(through.parameters()))
        length = torch.sqrt(sum((g**2).sum() for g in found))
        return [g * (clip / length if clip and length > clip else 1.0) for g in found]

    for _ in range(epochs):
        for batch in (slice(0, 8), slice(8, 16), slice(16, 24)):
            first = gradients(network, batch)
            there, length = copy.deepcopy(network), torch.sqrt(sum((g**2).sum() for g in first))
            with torch.no_grad():
                for weight, slope in zip(there.parameters(), first, strict=True):
                    weight += 0.5 * slope / length
            worst = gradients(there, batch)
            with torch.no_grad():
                for i, (weight, slope) in enumerate(zip(network.parameters(), worst, strict=True)):
                    velocities[i] = 0.9 * velocities[i] + slope if i in velocities else slope
                    weight -= rate * velocities[i]
        rate *= 0.5
    return network


@pytest.mark.parametrize("clip", [None, 0.3])
def test_two_passes_a_batch_and_batch_norm_hears_of_the_first(clip: float | None, tmp_path: Path) -> None:
    module = Module()
    fit(module, tmp_path, epochs=2, gradient_clip_val=clip)
    assert module.passes == [0, 0, 1, 1, 2, 2] * 2
    expected = by_hand(2, clip)
    assert int(module.network[1].num_batches_tracked) == 6
    for (name, found), wanted in zip(module.network.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_a_killed_fit_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, first, second = Module(adaptive=True), Module(adaptive=True), Module(adaptive=True)
    fit(whole, tmp_path, epochs=4)
    trainer = fit(first, tmp_path, epochs=2, enable_checkpointing=True)
    fit(second, tmp_path, epochs=4, resume=Path(trainer.checkpoint_callback.best_model_path))
    for found, wanted in zip(second.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"accumulate_grad_batches": 3}, RuntimeError, "(no accumulate_grad_batches)"),
        ({"plugins": "16-mixed"}, TypeError, "without a GradScaler (Lightning's '16-mixed'; take 'bf16-mixed')"),
    ],
)
def test_what_cannot_be_right_is_refused(
    settings: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fit(Module(), tmp_path, **settings)


def test_bfloat16_is_right(tmp_path: Path) -> None:
    module, wide = Module(), Module()
    fit(module, tmp_path, precision="bf16-mixed")
    fit(wide, tmp_path)
    assert module.passes == [0, 0, 1, 1, 2, 2] and int(module.network[1].num_batches_tracked) == 3
    torch.testing.assert_close(module.network[0].weight, wide.network[0].weight, rtol=0, atol=0.02)


@pytest.mark.parametrize("settings", [{"precision": "bf16-mixed"}, {"plugins": "16-mixed"}])
@pytest.mark.parametrize("kind", [LARS, LAMB])
def test_others_train_in_16_bits_with_clipping_and_accumulation(kind: Any, settings: Any, tmp_path: Path) -> None:
    class Other(Module):
        def configure_optimizers(self) -> Any:
            return kind(self.parameters(), lr=0.1)

    module = Other()
    before = copy.deepcopy(module.network)
    fit(module, tmp_path, **settings, gradient_clip_val=1.0, accumulate_grad_batches=2)
    assert module.passes == [0, 1, 2]
    assert all(weight.isfinite().all() for weight in module.parameters())
    assert not torch.equal(module.network[0].weight, before[0].weight)


@pytest.mark.parametrize("name", ["lars", "lamb", "rmsprop_warm_up"])
def test_networks_for_a_trainer_know_them_by_name(name: str, tmp_path: Path) -> None:
    module = LightningF1(
        0.01, name, num_classes=3, weight_decay=1e-4, input_shape=(4,), width=8, momentum=0.0 if name == "lamb" else 0.5
    )
    trainer = fit(module, tmp_path, epochs=2, accumulate_grad_batches=3 if name == "lars" else 1)
    (group,) = trainer.optimizers[0].param_groups
    assert group["weight_decay"] == 1e-4 and group.get("momentum", 0.5) == 0.5
    if name == "rmsprop_warm_up":
        assert group["steps_per_epoch"] == 3 and group["epoch"] == pytest.approx(2)
