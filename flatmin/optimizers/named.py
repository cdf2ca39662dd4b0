"""The optimisers that a network can be trained with, by name."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

from flatmin.core.checked import Misfit
from flatmin.core.checks import one_of, positive, within

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

OptimizerName = Literal["adam", "sgd", "adagrad", "lars", "lamb", "rmsprop_warm_up"]
WITH_MOMENTUM = ("sgd", "lars", "rmsprop_warm_up")


def check_momentum(optimizer: str, momentum: float) -> None:
    """Refuse a momentum that an optimiser does not use.

    Raises:
        Misfit: If there is one.
    """
    if momentum and optimizer not in WITH_MOMENTUM:
        users = "only 'sgd', 'lars' and 'rmsprop_warm_up' use it"
        raise Misfit("momentum", f"must be 0 with {optimizer!r}, got {momentum}; {users}")


def optimizer_named(
    name: OptimizerName,
    parameters: "Iterable[nn.Parameter]",
    *,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    trust: float = 1e-3,
    steps_per_epoch: float | None = None,
    fused: bool = False,
) -> "Optimizer":
    """An optimiser, without weight decay unless there is one.

    SAM is none of these: it is a method (``method: sam``) of training with any of them.

    Args:
        name: ``"adam"``, ``"sgd"`` or ``"adagrad"`` of torch; ``"lars"``, ``"lamb"`` or ``"rmsprop_warm_up"`` of
            :mod:`flatmin.optimizers`.
        parameters: All of the network; those that require no gradient are left out.
        learning_rate: Step size; of ``"lars"`` the global rate, which is large: 1 to 30.
        momentum: Of ``"sgd"``, ``"lars"`` and ``"rmsprop_warm_up"``. The papers of the last two have 0.9.
        weight_decay: Added to the gradient times the weights; by LAMB to the step, by LARS and LAMB as they say.
        trust: Of ``"lars"``.
        steps_per_epoch: Of ``"rmsprop_warm_up"``, which blends by epochs.
        fused: Take one kernel a step where torch has it: faster, but not for every Trainer (16-bit with clipping).

    Raises:
        TypeError: If a number is none.
        ValueError: If there is no such optimiser, a number is out of range, or it does not use the momentum.
    """
    import torch

    one_of("optimizer", name, get_args(OptimizerName))
    positive("learning_rate", learning_rate)
    within("momentum", momentum, ge=0, lt=1)
    within("weight_decay", weight_decay, ge=0)
    check_momentum(name, momentum)
    moved = [parameter for parameter in parameters if parameter.requires_grad]
    fused = fused and torch.__version__ >= "2.4"  # compared as versions, not as text: 2.13 is the later one
    if name == "adam":
        return torch.optim.Adam(moved, lr=learning_rate, weight_decay=weight_decay, fused=fused)
    if name == "sgd":
        return torch.optim.SGD(moved, lr=learning_rate, momentum=momentum, weight_decay=weight_decay, fused=fused)
    if name == "adagrad":
        return torch.optim.Adagrad(moved, lr=learning_rate, weight_decay=weight_decay)
    return _layerwise(name, moved, learning_rate, momentum, weight_decay, trust, steps_per_epoch)


def _layerwise(
    name: str,
    moved: "list[nn.Parameter]",
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    trust: float,
    steps_per_epoch: float | None,
) -> "Optimizer":
    """One of this room.

    Raises:
        ValueError: If one that blends by epochs is not told how long they are.
    """
    from flatmin.optimizers.lamb import LAMB
    from flatmin.optimizers.lars import LARS
    from flatmin.optimizers.rmsprop_warm_up import RMSpropWarmUp

    if name == "lars":
        return LARS(moved, learning_rate, momentum, weight_decay, trust)
    if name == "lamb":
        return LAMB(moved, learning_rate, weight_decay=weight_decay)
    if steps_per_epoch is None:
        raise ValueError(f"`steps_per_epoch` must be given with {name!r}, whose blend goes by epochs.")
    return RMSpropWarmUp(moved, learning_rate, steps_per_epoch, momentum, weight_decay)
