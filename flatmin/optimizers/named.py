"""The optimisers that a network can be trained with, by name."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

from flatmin.core.checked import Misfit
from flatmin.core.checks import one_of, positive, within

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

OptimizerName = Literal["adam", "sgd", "adagrad"]


def check_momentum(optimizer: str, momentum: float) -> None:
    """Refuse a momentum that an optimiser does not use.

    Raises:
        Misfit: If there is one.
    """
    if momentum and optimizer != "sgd":
        raise Misfit("momentum", f"must be 0 with {optimizer!r}, got {momentum}; only 'sgd' uses it")


def optimizer_named(
    name: OptimizerName,
    parameters: "Iterable[nn.Parameter]",
    *,
    learning_rate: float,
    momentum: float = 0.0,
    fused: bool = False,
) -> "Optimizer":
    """An optimiser without weight decay.

    Args:
        name: ``"adam"``, ``"sgd"`` or ``"adagrad"``.
        parameters: All of the network; those that require no gradient are left out.
        learning_rate: Step size.
        momentum: Of ``"sgd"``, the only one that uses it.
        fused: Take one kernel a step where torch has it: faster, but not for every Trainer (16-bit with clipping).

    Raises:
        TypeError: If a number is none.
        ValueError: If there is no such optimiser, a number is out of range, or it does not use the momentum.
    """
    import torch

    one_of("optimizer", name, get_args(OptimizerName))
    positive("learning_rate", learning_rate)
    within("momentum", momentum, ge=0, lt=1)
    check_momentum(name, momentum)
    moved = [parameter for parameter in parameters if parameter.requires_grad]
    fused = fused and torch.__version__ >= "2.4"  # compared as versions, not as text: 2.13 is the later one
    if name == "adam":
        return torch.optim.Adam(moved, lr=learning_rate, fused=fused)
    if name == "sgd":
        return torch.optim.SGD(moved, lr=learning_rate, momentum=momentum, fused=fused)
    return torch.optim.Adagrad(moved, lr=learning_rate)
