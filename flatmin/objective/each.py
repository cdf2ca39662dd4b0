"""A mean loss as the losses of its examples, and their weighted mean."""

import inspect
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.objective.losses import Reduction, reduction_of

Loss = Callable[[Any, Any], Tensor]
FEW = 8
"""Examples on which a loss that is not torch's own is tried."""


def each_of(loss: Loss, outputs: Any, targets: Any) -> Loss | None:
    """The loss of every example, whose mean the loss is; ``None`` where it is no such mean.

    Args:
        loss: The mean loss of a batch, asked for ``reduction="none"`` where it knows that, else for one example after
            the other.
        outputs: What a network says of some examples, on which the loss is tried.
        targets: Their targets.
    """
    for each in (unreduced(loss), one_by_one(loss)):
        try:
            values = each(outputs, targets) if each is not None else torch.empty(0)
        except Exception:  # a form that the loss does not know: it may know the other
            continue
        if len(values) == len(targets) and torch.allclose(values.mean(), loss(outputs, targets)):
            return each
    return None


def unreduced(loss: Loss) -> Loss | None:
    """The loss without its mean, if it can be asked for it: the mean over the entries of each example."""
    if (whole := _entries(loss)) is None:
        return None

    def each(outputs: Any, targets: Any) -> Tensor:
        values = whole(outputs, targets)
        return values.reshape(len(values), -1).mean(1)

    return each


def one_by_one(loss: Loss) -> Loss:
    """The loss of batches of one example."""

    def each(outputs: Any, targets: Any) -> Tensor:
        pairs = zip(outputs.split(1), targets.split(1), strict=True)
        return torch.stack([loss(output, target) for output, target in pairs])

    return each


def weighted(loss: Loss, outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    r"""The loss with what each example adds to it times a weight: its gradient has their gradients so weighted.

    With L the loss of a batch, :math:`L = \frac{1}{D} \sum_i l_i`, it is :math:`\frac{1}{D} \sum_i z_i l_i`: D is the
    number of examples, or what torch's own losses divide by (class weights, ``ignore_index``, ``"sum"``, entries).

    Args:
        loss: One of torch's losses, or any other that is a mean over examples. The latter is asked for
            ``reduction="none"`` if it knows that, else for one example after the other.
        outputs: What the network says of the examples (N, ...).
        targets: Their targets (N, ...).
        weights: One for each example (N,).

    Raises:
        ValueError: If the loss is no number, or no mean over the examples.

    Example:
        >>> outputs, targets = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
        >>> float(weighted(nn.functional.mse_loss, outputs, targets, torch.tensor([3.0, 1.0])))
        3.5
    """
    reduction, entries = reduction_of(loss), _entries(loss)
    if reduction is not None and reduction.kind == "none":
        raise ValueError("`loss` must be one number to be weighted, got one with reduction='none'.")
    if reduction is not None and entries is not None:
        values = entries(outputs, targets)
        return (values.reshape(len(values), -1).sum(1) * weights).sum() / _divisor(reduction, values, targets)
    each = each_of(loss, outputs[:FEW].detach(), targets[:FEW])
    if each is None:
        name = getattr(loss, "__name__", type(loss).__name__)
        raise ValueError(
            f"`loss` must be a mean over examples to be weighted, got {name}, which is none on the first "
            f"{min(FEW, len(targets))}."
        )
    return (each(outputs, targets) * weights).mean()


def _entries(loss: Loss) -> Loss | None:
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        whole = copy(loss)
        setattr(whole, "reduction", "none")  # noqa: B010
        return whole
    try:
        known = inspect.signature(loss).parameters
    except (TypeError, ValueError):
        return None
    return partial(loss, **{"reduction": "none"}) if "reduction" in known else None


def _divisor(reduction: Reduction, entries: Tensor, targets: Tensor) -> Tensor | int:
    """What a loss of torch's divides the sum of its entries by, without a number being fetched."""
    if reduction.kind == "sum":
        return 1
    if reduction.kind == "batchmean":
        return len(entries)
    if reduction.of_numbers or targets.is_floating_point():
        return entries.numel()
    counted = targets != reduction.ignore_index
    if reduction.class_weights is None:
        return counted.sum()
    return (reduction.class_weights[targets.where(counted, 0)] * counted).sum()
