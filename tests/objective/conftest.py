"""A small network with both kinds of BatchNorm, and the same network written out by hand in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    """Eleven 1x4x4 images in three classes, float64."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(11, 1, 4, 4, generator=generator, dtype=torch.float64)
    return images, torch.randint(3, (11,), generator=generator)


@pytest.fixture
def network() -> nn.Module:
    """83 parameters, dropout, no statistic or affine weight at its default; training mode, gradients present."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.BatchNorm2d(2, eps=1e-3),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(8, 4),
            nn.BatchNorm1d(4, eps=1e-3),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.Linear(4, 3),
        ).double()
        for layer in (layers[1], layers[5]):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
        for parameter in layers.parameters():
            parameter.grad = torch.randn_like(parameter)
    return layers


@pytest.fixture
def by_hand(network: nn.Module) -> Callable[..., Tensor]:
    """``by_hand(theta, inputs, targets, running)``: mean cross-entropy, from running or the inputs' own statistics."""
    sizes = [p.numel() for p in network.parameters()]
    shapes = [p.shape for p in network.parameters()]
    buffers = [(network[k].running_mean.clone(), network[k].running_var.clone()) for k in (1, 5)]

    def normalised(x: Tensor, scale: Tensor, shift: Tensor, given: tuple[Tensor, Tensor] | None) -> Tensor:
        channels = x.transpose(0, 1).reshape(x.shape[1], -1)
        mean, variance = given or (channels.mean(1), ((channels - channels.mean(1, keepdim=True)) ** 2).mean(1))
        wide = (1, -1, *[1] * (x.ndim - 2))
        unit = (x - mean.view(wide)) / (variance.view(wide) + 1e-3).sqrt()
        return unit * scale.view(wide) + shift.view(wide)

    def loss(theta: Tensor, inputs: Tensor, targets: Tensor, running: bool) -> Tensor:
        w = [part.view(shape) for part, shape in zip(theta.split(sizes), shapes, strict=True)]
        x = F.conv2d(inputs, w[0], w[1])
        x = normalised(x, w[2], w[3], buffers[0] if running else None).tanh().flatten(1)
        x = normalised(x @ w[4].T + w[5], w[6], w[7], buffers[1] if running else None).tanh()
        scores = x @ w[8].T + w[9]
        return (scores.logsumexp(1) - scores.gather(1, targets[:, None])[:, 0]).mean()

    return loss
