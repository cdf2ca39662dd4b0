"""Weights that feed a BatchNorm times a number, which the BatchNorm divides by again (van Laarhoven 2017).

Batch statistics follow by themselves; the running mean is multiplied by c, the running variance and the BatchNorm's
eps by c^2. With eps as it was the function would change where a variance is small.
"""

from typing import Any

import torch
from torch import Generator, nn

from flatmin.symmetries.places import normalized_layers
from flatmin.symmetries.symmetry import Acted, Symmetry


@torch.no_grad()
def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Scale every layer that feeds a BatchNorm."""
    layers = normalized_layers(model)
    for layer, norm in layers:
        layer.weight.mul_(amount)
        if layer.bias is not None:
            layer.bias.mul_(amount)
        if norm.running_mean is not None:
            norm.running_mean.mul_(amount)
            norm.running_var.mul_(amount**2)
        norm.eps *= amount**2
    return Acted(len(layers))


SYMMETRY = Symmetry(
    name="batch_norm_scale",
    words="scale of weights before BatchNorm",
    source="van Laarhoven (2017)",
    act=act,
    amount="what the weights are multiplied by",
)
