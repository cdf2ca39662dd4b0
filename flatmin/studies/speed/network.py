"""A stack of linear layers and ReLU."""

import itertools

from torch import nn


def relu_stack(inputs: int, classes: int, *, depth: int, width: int) -> nn.Module:
    """``depth`` hidden layers; one example is enough for it, as it is not where there is BatchNorm."""
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
