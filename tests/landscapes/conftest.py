"""Small networks with BatchNorm, trained far enough apart for their running averages to differ."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Batches = list[tuple[Tensor, Tensor]]


@pytest.fixture
def batches() -> Batches:
    """Three batches of 1x6x6 images in 3 classes; the last one is short."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 1, 6, 6, generator=generator)
    labels = (3 * images.mean((1, 2, 3)).argsort().argsort() / 40).long()
    return list(zip(images.split(16), labels.split(16), strict=True))


def small_network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(64, 5),
            nn.BatchNorm1d(5),
            nn.ReLU(),
            nn.Linear(5, 3),
        )


@pytest.fixture
def trained(batches: Batches) -> tuple[nn.Module, nn.Module]:
    """Two networks from different starts and with different learning rates, in training mode, gradients present."""
    networks = small_network(1), small_network(2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for network, rate in zip(networks, (0.05, 0.5), strict=True):
            optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
            for inputs, targets in batches * 15:
                optimizer.zero_grad()
                cross_entropy(network(inputs), targets).backward()
                optimizer.step()
    return networks


@pytest.fixture
def network(trained: tuple[nn.Module, nn.Module]) -> nn.Module:
    return trained[0]
