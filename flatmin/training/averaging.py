r"""Stochastic weight averaging: the mean of the weights along the end of a training.

Izmailov, Podoprikhin, Garipov, Vetrov and Wilson (2018), algorithm 1: from some epoch on, with a constant and rather
high rate, after every epoch or cycle,

.. math:: w_{SWA} \leftarrow \frac{n \, w_{SWA} + w}{n + 1},

and at the end BatchNorm's averages are found anew by one pass over the training data.

Lightning 2.6.6 has two callbacks for this, run beside this one. ``StochasticWeightAveraging`` takes the weights as an
epoch *starts*, so that what the last epoch learnt is thrown away (of 6 epochs from the third on it gives the mean of
those after 2, 3, 4 and 5); with BatchNorm it trains for an epoch more than was asked for, at whose end the optimiser
takes a step away from the mean; and a run that is killed between its last epoch and its end is resumed to the last
weights, not to their mean, without a word.
``WeightAveraging`` averages BatchNorm's buffers with the weights, or keeps those of one network.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator

from flatmin.core.checked import Checked, Misfit
from flatmin.core.checks import whole, within
from flatmin.core.fields import Count, Positive, shown

if TYPE_CHECKING:
    from torch import Tensor


def _epoch_or_share(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (value >= 1 if isinstance(value, int) else 0 < value <= 1):
        raise ValueError(f"must be an epoch, 1 or more, or a share of all like 0.75, got {shown(value)}")
    return value


@dataclass(frozen=True)
class Averaging(Checked):
    """Which weights are averaged.

    Attributes:
        start: The first epoch after which they are: a whole number, or the share of all epochs that are over then.
        every: Epochs from one to the next (the length of a cycle).
        learning_rate: Of all epochs after the first whose weights count, whatever a schedule says; ``None`` leaves it
            alone. Izmailov et al. have 0.05 of the initial rate to all of it.
    """

    start: Annotated[int | float, BeforeValidator(_epoch_or_share)] = 0.75
    every: Count = 1
    learning_rate: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.start, int):
            whole("start", self.start, minimum=1)
        else:
            within("start", self.start, gt=0, le=1)

    def stretched(self, by: Fraction | float) -> Self:
        """The same for a training ``by`` times as long; a share stays."""
        return replace(self, start=max(1, ceil(self.start * by))) if isinstance(self.start, int) else self

    def epochs(self, total: int) -> range:
        """The epochs of a training of ``total`` epochs after which the weights count.

        Raises:
            Misfit: If there is none.

        Example:
            >>> [*Averaging(0.7).epochs(10)], [*Averaging(4, every=3).epochs(10)]
            ([7, 8, 9, 10], [4, 7, 10])
        """
        first = self.start if isinstance(self.start, int) else max(1, ceil(Fraction(str(self.start)) * total))
        if first > total:
            raise Misfit("start", f"must be at most the {total} epochs trained, got {first}")
        return range(first, total + 1, self.every)


class Mean:
    """The running mean of tensors by name, in float64 where the device has it.

    Attributes:
        count: How many were added.
    """

    def __init__(self) -> None:
        self.count = 0
        self.tensors: dict[str, Tensor] = {}

    def add(self, tensors: "Mapping[str, Tensor]") -> None:
        """Take up one more."""
        self.count += 1
        for name, tensor in tensors.items():
            new = tensor.detach().to(_wide(tensor))
            if self.count == 1:
                self.tensors[name] = new.clone()
            else:
                kept = self.tensors[name].to(new.device)
                self.tensors[name] = kept.add_((new - kept) / self.count)


def _wide(tensor: "Tensor") -> Any:
    """In what the mean of such tensors is kept."""
    import torch

    wide = torch.complex128 if tensor.is_complex() else torch.float64
    return tensor.dtype if tensor.device.type == "mps" else wide


def averaged(states: "Iterable[Mapping[str, Tensor]]") -> "dict[str, Tensor]":
    """The mean of states of one network, as ``state_dict()`` gives them.

    Whole numbers, truth values and what is no tensor are no weights: they are those of the first state. BatchNorm's
    averages are averaged too, but belong to no network then: call :func:`flatmin.training.reestimate_batch_norm` once
    it is loaded.

    Args:
        states: Any number of them; each is looked at once.

    Returns:
        New tensors of the kinds of the first state; the mean is taken in float64.

    Raises:
        TypeError: If one is no state.
        ValueError: If there is none, they are not of one network, or one has weights without a shape yet.

    Example:
        >>> import torch
        >>> averaged([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}])
        {'w': tensor([2., 4.])}
    """
    mean, first, shapes = Mean(), dict[str, Any](), None
    for place, state in enumerate(states):
        if not isinstance(state, Mapping):
            raise TypeError(f"`states` must hold what state_dict() gives, got {type(state).__name__}.")
        found = {name: _form(name, value) for name, value in state.items()}
        if shapes is None:
            first, shapes = dict(state), found
        elif found != shapes:
            raise ValueError(
                f"`states` must be of one network: state {place} has other names, shapes or kinds than the first."
            )
        mean.add({name: value for name, value in state.items() if found[name][1]})
    if shapes is None:
        raise ValueError("`states` must not be empty.")
    return {name: mean.tensors[name].to(t) if name in mean.tensors else deepcopy(t) for name, t in first.items()}


def _form(name: str, value: Any) -> tuple[Any, bool]:
    """What a weight has in common with those it is averaged with: its shape, and whether it is averaged at all.

    Raises:
        ValueError: If it has no shape yet.
    """
    from torch import Tensor
    from torch.nn.parameter import is_lazy

    if is_lazy(value):
        raise ValueError(f"`states` must have weights with a shape, {name} has none yet; call the network once.")
    if not isinstance(value, Tensor):
        return None, False
    return tuple(value.shape), value.is_floating_point() or value.is_complex()
