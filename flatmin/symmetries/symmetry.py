"""What there is to know of a symmetry, in one declaration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Generator, Tensor, nn


class NoPlace(ValueError):
    """A network, or its batches, have nothing that a symmetry could act on.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: str, symmetry: str = "") -> None:
        super().__init__(f"`symmetry` {symmetry!r} has no place in the network: {reason}." if symmetry else reason)
        self.reason = reason


class Acted(NamedTuple):
    """What a symmetry did.

    Attributes:
        places: Where it acted: pairs of layers, layers, or batches.
        batches: The new batches; ``None`` where they are the same.
        order: The examples of the new batches by their number in the old ones; ``None`` where they are the same.
    """

    places: int
    batches: list[Any] | None = None
    order: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Symmetry:
    """A change of the weights, or of the cut of the batches, that leaves the function of a network as it is.

    Attributes:
        name: Its name, the same everywhere.
        words: What it is called in a table.
        source: The paper that has it.
        act: ``act(model, batches, amount, generator)`` changes in place a network that is its own to change, in
            float64 and evaluation mode, and says what it did. Raises :class:`NoPlace` where there is nothing to act on.
        amount: What the amount is, in words; ``""`` where it plays no part.
        shifts: Whether all class scores of an example may move by one number, which cross-entropy does not see.
    """

    name: str
    words: str
    source: str
    act: Callable[[nn.Module, list[Any], float, Generator], Acted]
    amount: str = ""
    shifts: bool = False


def factors(count: int, amount: float, generator: Generator) -> Tensor:
    """Positive numbers, float64: log-uniform between 1 / amount and amount."""
    import torch

    exponents = 2 * torch.rand(count, generator=generator, dtype=torch.float64) - 1
    return torch.as_tensor(amount, dtype=torch.float64) ** exponents
