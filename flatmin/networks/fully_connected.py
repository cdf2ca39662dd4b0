"""F1 and F2: stacks of Linear -> BatchNorm -> ReLU (Keskar et al. 2017, appendix B.1 and B.2)."""

import itertools
import math

from torch import Tensor, nn

from flatmin.core.checks import whole
from flatmin.networks.choice import WIDTH
from flatmin.networks.initialization import BATCH_NORM_EPSILON, glorot_uniform


class FullyConnected(nn.Module):
    """``depth`` blocks of Linear(width) -> BatchNorm -> ReLU and a linear output layer.

    Args:
        input_shape: Shape of one example; it is flattened.
        num_classes: Number of outputs.
        depth: Number of hidden layers.
        width: Units of each hidden layer; 512 in the paper.
    """

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, *, depth: int, width: int) -> None:
        super().__init__()
        whole("num_classes", num_classes, minimum=1)
        whole("width", width, minimum=1)
        self.input_shape = tuple(input_shape)
        sizes = [math.prod(self.input_shape), *[width] * depth]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after, eps=BATCH_NORM_EPSILON), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))
        glorot_uniform(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores (N, num_classes) of inputs (N, *input_shape)."""
        scores: Tensor = self.layers(inputs)
        return scores


class F1(FullyConnected):
    """Five hidden layers for MNIST: 1,462,794 parameters."""

    def __init__(self, input_shape: tuple[int, ...] = (1, 28, 28), num_classes: int = 10, width: int = WIDTH) -> None:
        super().__init__(input_shape, num_classes, depth=5, width=width)


class F2(FullyConnected):
    """Seven hidden layers for TIMIT frames: 2,780,085 parameters."""

    def __init__(self, input_shape: tuple[int, ...] = (360,), num_classes: int = 1973, width: int = WIDTH) -> None:
        super().__init__(input_shape, num_classes, depth=7, width=width)
