"""Which of an optimiser's parameters stand where in the flat vector of an objective."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from flatmin.objective.copying import unwrapped


def in_order(optimizer: Optimizer, objective: Any = None, model: nn.Module | None = None) -> list[Tensor]:
    """The parameters that make up the vector of an objective, in its order.

    Args:
        optimizer: Of ``torch.optim``, or of its kind.
        objective: Whose vector; ``None`` for all that is optimised.
        model: The network whose parameters these are, which tells them by name; without it they are taken in the
            optimiser's own order.

    Returns:
        The parameters; with a model those that the optimiser leaves alone too.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If they do not make up the vector.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"`optimizer` must be a torch.optim.Optimizer, got {type(optimizer).__name__}.")
    if model is not None and not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}.")
    own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shapes = getattr(objective, "shapes", None)
    if model is not None:
        named = {name.replace("_orig_mod.", ""): p for name, p in unwrapped(model).named_parameters()}
        if shapes is None:
            own = [parameter for parameter in named.values() if parameter.requires_grad]
        elif shapes.keys() <= named.keys():
            own = [named[name] for name in shapes]
    size = sum(parameter.numel() for parameter in own)
    expected = size if objective is None else objective.size
    ordered = shapes is None or [p.shape for p in own] == list(shapes.values())
    if size != expected or not ordered:
        raise ValueError(
            f"the parameters of `optimizer` ({size:,} numbers) must be those of the objective ({expected:,}) in its "
            "order; pass model=, whose parameters have names."
        )
    return own


def single_rate(optimizer: Optimizer) -> float:
    """The learning rate of all groups.

    Raises:
        ValueError: If they differ.
    """
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups})
    if len(rates) > 1:
        raise ValueError(
            f"`optimizer` must have one learning rate, got {', '.join(f'{rate:g}' for rate in rates)}; pass "
            "learning_rate=, the one that counts."
        )
    return rates[0]
