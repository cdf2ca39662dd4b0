"""The same number added to all class scores of an example, which the softmax does not see.

A constant added to every bias of the last layer, and one vector added to each of its rows.
"""

from typing import Any

import torch
from torch import Generator, nn

from flatmin.symmetries.symmetry import Acted, NoPlace, Symmetry
from flatmin.symmetries.tracing import AVERAGING, IDLE, Traced

SOFTMAX = {"LogSoftmax", "Softmax", "log_softmax", "softmax"}


@torch.no_grad()
def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Shift the last layer.

    Raises:
        NoPlace: If it is not known which one that is, or it has one output.
    """
    last: Any = Traced(model).last(IDLE | AVERAGING | SOFTMAX)
    if last is None or getattr(last, "groups", 1) != 1:
        raise NoPlace("its outputs are not those of one Linear or convolutional layer with weights of its own")
    if len(last.weight) < 2:
        raise NoPlace("it has one output, whose shift is seen")
    row = torch.randn(last.weight[0].shape, generator=generator, dtype=torch.float64)
    last.weight.add_((amount / row.norm() * row).to(last.weight))
    if last.bias is not None:
        last.bias.add_(amount)
    return Acted(1)


SYMMETRY = Symmetry(
    name="logit_shift",
    words="shift of all class scores",
    source="invariance of the softmax",
    act=act,
    amount="what is added to the biases, and the length of what is added to each row",
    shifts=True,
)
