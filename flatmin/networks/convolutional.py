"""C1 to C4: the convolutional networks of Keskar et al. (2017), appendix B.3 and B.4.

The paper's text and the authors' code differ; the code is the default. C1 and C3 come in both variants:

=========  =====================  ====================================  ==========
variant    convolutions           max pooling                           C1
=========  =====================  ====================================  ==========
``code``   5x5, stride 1          3x3, stride 2, padding 1              1,757,834
``paper``  5x5, stride 2          3x3, stride not stated, taken as 2      283,274
=========  =====================  ====================================  ==========
"""

from typing import get_args

import torch
from torch import Tensor, nn

from flatmin.core.checks import one_of, whole
from flatmin.networks.choice import Variant
from flatmin.networks.initialization import BATCH_NORM_EPSILON, glorot_uniform


def _unit(convolution: nn.Conv2d) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(convolution.out_channels, eps=BATCH_NORM_EPSILON), nn.ReLU()]


def _dense(before: int, after: int) -> list[nn.Module]:
    return [nn.Linear(before, after), nn.BatchNorm1d(after, eps=BATCH_NORM_EPSILON), nn.ReLU(), nn.Dropout(0.5)]


class Shallow(nn.Module):
    """AlexNet-like: two convolutions and two dense layers (C1, C3)."""

    def __init__(
        self, num_classes: int, variant: Variant = "code", input_shape: tuple[int, int, int] = (3, 32, 32)
    ) -> None:
        super().__init__()
        whole("num_classes", num_classes, minimum=1)
        stride = {"code": 1, "paper": 2}[one_of("variant", variant, get_args(Variant))]
        self.input_shape = tuple(input_shape)
        pool = nn.MaxPool2d(3, stride=2, padding=1)
        features = [
            *_unit(nn.Conv2d(input_shape[0], 64, 5, stride=stride, padding=2)),
            pool,
            *_unit(nn.Conv2d(64, 64, 5, stride=stride, padding=2)),
            pool,
            nn.Flatten(),
        ]
        size = _features(nn.Sequential(*features), self.input_shape)
        self.layers = nn.Sequential(*features, *_dense(size, 384), *_dense(384, 192), nn.Linear(192, num_classes))
        glorot_uniform(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores (N, num_classes) of images (N, *input_shape)."""
        scores: Tensor = self.layers(inputs)
        return scores


class Deep(nn.Module):
    """VGG-like: thirteen 3x3 convolutions in five blocks and one dense layer (C2, C4)."""

    blocks = (
        ((64, 0.3), (64, 0.0)),
        ((128, 0.4), (128, 0.0)),
        ((256, 0.4), (256, 0.4), (256, 0.0)),
        ((512, 0.4), (512, 0.4), (512, 0.0)),
        ((512, 0.4), (512, 0.4), (512, 0.0)),
    )

    def __init__(self, num_classes: int, input_shape: tuple[int, int, int] = (3, 32, 32)) -> None:
        super().__init__()
        whole("num_classes", num_classes, minimum=1)
        self.input_shape = tuple(input_shape)
        channels = input_shape[0]
        features: list[nn.Module] = []
        for block in self.blocks:
            for width, dropout in block:
                features += _unit(nn.Conv2d(channels, width, 3, padding=1))
                features += [nn.Dropout(dropout)] if dropout else []
                channels = width
            features.append(nn.MaxPool2d(2))
        features += [nn.Flatten(), nn.Dropout(0.5)]
        size = _features(nn.Sequential(*features), self.input_shape)
        self.layers = nn.Sequential(*features, *_dense(size, 512), nn.Linear(512, num_classes))
        glorot_uniform(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores (N, num_classes) of images (N, *input_shape)."""
        scores: Tensor = self.layers(inputs)
        return scores


def _features(layers: nn.Sequential, input_shape: tuple[int, ...]) -> int:
    """Length of the flattened features of one example (found in evaluation mode, so no buffer moves)."""
    layers.eval()
    with torch.no_grad():
        size = layers(torch.zeros(1, *input_shape)).shape[1]
    layers.train()
    return int(size)


class C1(Shallow):
    """Shallow convolutional network for CIFAR-10: 1,757,834 parameters (``variant="paper"``: 283,274)."""

    def __init__(self, variant: Variant = "code", num_classes: int = 10) -> None:
        super().__init__(num_classes, variant)


class C2(Deep):
    """Deep convolutional network for CIFAR-10: 14,991,946 parameters."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(num_classes)


class C3(Shallow):
    """C1 with 100 outputs for CIFAR-100: 1,775,204 parameters (``variant="paper"``: 300,644)."""

    def __init__(self, variant: Variant = "code", num_classes: int = 100) -> None:
        super().__init__(num_classes, variant)


class C4(Deep):
    """C2 with 100 outputs for CIFAR-100: 15,038,116 parameters."""

    def __init__(self, num_classes: int = 100) -> None:
        super().__init__(num_classes)
