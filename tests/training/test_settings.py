"""What names a result, and steps in sixteen bits."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flatmin.data.batches import Pair
from flatmin.training import (
    Adversarial,
    Augmentation,
    Conservative,
    GradientNoise,
    Robust,
    Stability,
    TrainingSettings,
    train,
)

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]
PLAIN = {
    "batch_size": 256,
    "epochs": 100,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "momentum": 0.0,
    "patience": None,
    "min_improvement": 0.01,
    "evaluation_batch_size": 5000,
    "readings": ["batch", "running"],
}


def test_plain_settings_are_described_as_they_ever_were() -> None:
    assert TrainingSettings(batch_size=256).described() == PLAIN
    assert list(TrainingSettings(batch_size=256).described()) == list(PLAIN)


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({"augmentation": Augmentation()}, {"augmentation": {"flip": True, "rotation": 10.0, "translation": 0.2}}),
        ({"method": Conservative()}, {"method": {"name": "conservative", "strength": 0.001, "iterations": 3}}),
        ({"method": Robust()}, {"method": {"name": "robust", "rho": 0.05}}),
        ({"method": Adversarial()}, {"method": {"name": "adversarial", "epsilon": 0.1, "share": 0.5}}),
        ({"method": Stability()}, {"method": {"name": "stability", "sigma": 0.04, "weight": 0.01}}),
        ({"method": GradientNoise()}, {"method": {"name": "gradient_noise", "sigma": None, "like": 256}}),
        ({"snapshots": (20, 0, 20)}, {"snapshots": [0, 20]}),
        ({"precision": "bfloat16"}, {"precision": "bfloat16"}),
        ({"precision": "float32", "snapshots": (), "method": None}, {}),
    ],
    ids=str,
)
def test_what_was_added_is_described_where_it_is_set(changes: dict[str, Any], added: dict[str, Any]) -> None:
    described = TrainingSettings(batch_size=256, **changes).described()
    assert described == PLAIN | added
    assert json.loads(json.dumps(described)) == described


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"precision": "float16"}, ValueError, "`precision` must be one of 'float32', 'bfloat16', got 'float16'"),
        ({"epochs": 5, "snapshots": (6,)}, ValueError, "`snapshots` must be at most the 5 epochs trained, got 6"),
        ({"snapshots": (-1,)}, ValueError, "`snapshots` must be at least 0, got -1"),
        ({"snapshots": (1.0,)}, TypeError, "`snapshots` must be an int, got float"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainingSettings(batch_size=256, **changes)


TYPES: set[tuple[bool, torch.dtype]] = set()


class Watching(nn.Module):
    """Linear, and writes down its mode and the type of its products."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        scores = self.layer(inputs)
        TYPES.add((self.training, scores.dtype))
        return scores


def test_bfloat16_is_for_steps_alone(data: Data) -> None:
    TYPES.clear()
    trained = train(Watching(), *data, TrainingSettings(batch_size=16, epochs=3, precision="bfloat16"))
    assert {(True, torch.bfloat16), (False, torch.float32)} == TYPES
    assert {tensor.dtype for tensor in trained.state.values()} == {torch.float32}
    weight, bias = (trained.state[f"layer.{name}"].double().numpy() for name in ("weight", "bias"))
    for split, (inputs, targets) in zip(("train", "test"), data, strict=True):
        scores = inputs.double().numpy() @ weight.T + bias
        losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(targets)), targets.numpy()]
        assert trained.rows[-1][f"{split}_loss"] == pytest.approx(losses.mean(), rel=1e-6)


def test_bfloat16_trains_nearly_as_float32(fresh: Fresh, data: Data) -> None:
    exact, short = (
        train(fresh(), *data, TrainingSettings(batch_size=16, epochs=8, learning_rate=1e-2, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    assert exact.rows[0] == short.rows[0] and exact.rows[-1] != short.rows[-1]
    assert short.rows[-1]["train_loss"] == pytest.approx(exact.rows[-1]["train_loss"], rel=0.05)
