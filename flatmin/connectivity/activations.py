"""How alike the neurons of two networks are in what they give on the same examples."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.objective.batches import mapped, pairs
from flatmin.objective.copying import converted
from flatmin.objective.losses import forward
from flatmin.symmetries.places import Place


@torch.no_grad()
def correlations(
    first: nn.Module, mine: list[Place], second: nn.Module, yours: list[Place], batches: list[Any]
) -> list[Tensor]:
    """For each place the correlation of neuron i of the first and j of the second, (units, units), float64.

    What is compared is what a neuron gives before its activation, behind BatchNorm where there is one; of a
    convolution all positions count as examples. A neuron that never changes has correlation 0 with all.

    Args:
        first: A network in float64.
        mine: Its places.
        second: Another one.
        yours: Its places.
        batches: The examples.
    """
    sums = [_Sums() for _ in mine]
    with _listening(mine) as one, _listening(yours) as other:
        for batch in batches:
            for model in (first, second):
                forward(model, mapped(partial(_double, device=next(model.parameters()).device), pairs(batch)[0]))
            for kept, a, b in zip(sums, one, other, strict=True):
                kept.add(a, b)
    return [kept.correlation() for kept in sums]


def _double(tensor: Tensor, device: torch.device) -> Tensor:
    return converted(tensor.detach().clone(), device, torch.float64)


class _Sums:
    """Sums over examples from which correlations follow."""

    def __init__(self) -> None:
        self.count = 0
        self.parts: list[Tensor] = []

    def add(self, a: Tensor, b: Tensor) -> None:
        new = [a.sum(1), b.sum(1), a.square().sum(1), b.square().sum(1), a @ b.T]
        self.parts = [old + more for old, more in zip(self.parts, new, strict=True)] if self.parts else new
        self.count += a.shape[1]

    def correlation(self) -> Tensor:
        mean_a, mean_b, square_a, square_b, product = (part / self.count for part in self.parts)
        variance = torch.outer(square_a - mean_a**2, square_b - mean_b**2).clamp_min(0)
        covariance = product - torch.outer(mean_a, mean_b)
        return torch.where(variance > 0, covariance / variance.sqrt(), 0.0)


@contextmanager
def _listening(places: list[Place]) -> Iterator[list[Tensor]]:
    """What the neurons of each place gave last, (units, examples)."""
    heard: list[Tensor] = [torch.empty(0)] * len(places)

    def hook(k: int) -> Any:
        def hear(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            axis = -1 if output.ndim > 2 and isinstance(places[k].source, nn.Linear) else 1
            heard[k] = output.movedim(axis, 0).reshape(places[k].units, -1)

        return hear

    handles = [
        (place.carried[-1] if place.carried else place.source).register_forward_hook(hook(k))
        for k, place in enumerate(places)
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
