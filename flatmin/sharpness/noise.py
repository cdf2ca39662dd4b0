"""Gaussian noise on the weights, the same on every device."""

import torch
from torch import Tensor


def unit_noise(theta: Tensor, generator: torch.Generator) -> Tensor:
    """A standard normal number for each weight, drawn on the CPU in float64, where and in what the weights are."""
    return torch.randn(theta.shape, generator=generator, dtype=torch.float64).to(theta)
