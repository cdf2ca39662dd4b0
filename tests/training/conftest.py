"""A tiny network and data on which an epoch takes milliseconds."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from flatmin.data.batches import Pair
from flatmin.training import TrainingSettings, start_network


@pytest.fixture
def data() -> tuple[Pair, Pair]:
    """50 training and 20 test points in the plane, three overlapping classes."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]])
    targets = torch.randint(3, (70,), generator=generator)
    inputs = centres[targets] + 0.7 * torch.randn(70, 2, generator=generator)
    return Pair(inputs[:50], targets[:50]), Pair(inputs[50:], targets[50:])


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


@pytest.fixture
def fresh() -> Callable[[], nn.Module]:
    """The network at its start, new at each call."""
    return lambda: start_network(build, 5)


@pytest.fixture
def settings() -> TrainingSettings:
    return TrainingSettings(batch_size=16, epochs=4, learning_rate=1e-2)
