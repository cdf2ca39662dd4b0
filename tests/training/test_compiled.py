"""A compiled network trains to the same weights, every method included, and resumes exactly."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from flatmin.data.batches import Pair
from flatmin.training import (
    Adversarial,
    Conservative,
    Method,
    Robust,
    SharpnessAware,
    Stability,
    TrainingSettings,
    start_network,
    train,
    trainer,
)

pytestmark = pytest.mark.slow

Data = tuple[Pair, Pair]
METHODS = [None, Conservative(), Robust(), Adversarial(), Stability(), SharpnessAware(adaptive=True, m=8)]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


@pytest.fixture
def compiled() -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        network = start_network(Small, 5)
        network.compile(backend="aot_eager", dynamic=False)
        return network

    return build


def killed(row: dict[str, float]) -> None:
    if row["epoch"] == 3:
        raise KeyError("killed")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name if method else "plain")
def test_a_compiled_network_trains_the_same(
    method: Method | None,
    compiled: Callable[[], nn.Module],
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    settings = TrainingSettings(batch_size=16, epochs=4, learning_rate=1e-2, method=method)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    trained = train(compiled(), *data, settings, seed=3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 2
    expected = train(start_network(Small, 5), *data, settings, seed=3)
    assert trained.rows[-1] == pytest.approx(expected.rows[-1], rel=1e-4)
    assert trained.state.keys() == expected.state.keys()

    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyError, match="killed"):
        train(compiled(), *data, settings, seed=3, checkpoint=checkpoint, on_epoch=killed)
    torch._dynamo.reset()
    resumed = train(compiled(), *data, settings, seed=3, checkpoint=checkpoint)
    assert resumed.rows == trained.rows
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in trained.state.items())
