"""Hidden units of a network that can be scaled or exchanged: where a layer's rows meet the columns of the next."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.symmetries.symmetry import NoPlace
from flatmin.symmetries.tracing import EQUIVARIANT, HOMOGENEOUS, NORMALIZING, WEIGHED, Traced, Way, is_a


@dataclass(frozen=True)
class Place:
    """The units between two layers.

    Attributes:
        source: The layer whose rows the units are: Linear, a convolution, or a BatchNorm with weights.
        target: The layer that takes them in, Linear or a convolution.
        block: Columns of ``target`` that one unit has, more than one where channels were flattened.
        carried: BatchNorm layers in between that have an entry for each unit.
    """

    source: Any
    target: Any
    block: int
    carried: tuple[Any, ...] = ()

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.source.weight)

    @torch.no_grad()
    def scale(self, by: Tensor) -> None:
        """Multiply what the units give by positive numbers (units,) and divide where they are taken in."""
        by = by.to(self.source.weight)
        self.source.weight.mul_(_along(by, 0, self.source.weight))
        if self.source.bias is not None:
            self.source.bias.mul_(by)
        self.target.weight.div_(_along(by.repeat_interleave(self.block), 1, self.target.weight))

    @torch.no_grad()
    def permute(self, order: Tensor) -> None:
        """Put the units in another order (units,)."""
        order = order.to(self.source.weight.device)
        for layer in (self.source, *self.carried):
            for name in ("weight", "bias", "running_mean", "running_var"):
                if isinstance(tensor := getattr(layer, name, None), Tensor):
                    tensor.copy_(tensor[order])
        columns = (order[:, None] * self.block + torch.arange(self.block, device=order.device)).flatten()
        self.target.weight.copy_(self.target.weight[:, columns])


def homogeneous_places(model: nn.Module) -> list[Place]:
    """Where units can be scaled: what lies between the layers gives a times the output for a times the input, a > 0.

    Raises:
        NoPlace: If there is none.
    """
    traced = Traced(model)
    found = list(_places(traced, traced.ways(HOMOGENEOUS, starts=(*WEIGHED, *NORMALIZING))))
    if not found:
        raise NoPlace(
            "no two of its Linear, convolutional or BatchNorm layers follow each other with nothing but ReLU, pooling, "
            "flattening or dropout in between" + _in_parts(traced)
        )
    return found


def exchangeable_places(model: nn.Module) -> list[Place]:
    """Where units can be exchanged: what lies between the layers treats all of them alike.

    Raises:
        NoPlace: If there is none.
    """
    traced = Traced(model)
    ways = traced.ways(EQUIVARIANT, starts=WEIGHED, carrying=True)
    if not (found := [place for place in _places(traced, ways) if place.units > 1]):
        raise NoPlace(
            "no two of its Linear or convolutional layers follow each other with nothing but activations, BatchNorm, "
            "pooling, flattening or dropout in between" + _in_parts(traced)
        )
    return found


def normalized_layers(model: nn.Module) -> list[tuple[Any, Any]]:
    """Layers whose scale a BatchNorm takes out again, each with that BatchNorm.

    Raises:
        NoPlace: If there is none.
    """
    traced = Traced(model)
    ways = traced.ways(HOMOGENEOUS, starts=(*WEIGHED, *NORMALIZING))
    if not (found := [(way.source, way.end) for way in ways if is_a(way.end, NORMALIZING)]):
        raise NoPlace("no layer with weights of its own feeds a BatchNorm" + _in_parts(traced))
    return found


def _in_parts(traced: Traced) -> str:
    return "" if traced.whole else " (torch.fx cannot trace the network, so only its parts were looked at)"


def _places(traced: Traced, ways: Iterator[Way]) -> Iterator[Place]:
    for way in ways:
        if is_a(way.end, WEIGHED) and traced.usable(way.end) and (block := _block(way)):
            yield Place(way.source, way.end, block, way.carried)


def _block(way: Way) -> int:
    """Columns of the end for one unit of the source, 0 where they do not belong together."""
    source, end = way.source, way.end
    units, columns = _rows(source), _columns(end)
    if getattr(source, "groups", 1) != 1 or getattr(end, "groups", 1) != 1:
        return 0
    if any(_rows(layer) != units for layer in way.carried):
        return 0
    if isinstance(source, nn.Linear) or not way.flattened:
        same_axis = isinstance(end, nn.Linear) or not isinstance(source, nn.Linear)
        lost = isinstance(end, nn.Linear) and not isinstance(source, nn.Linear | nn.BatchNorm1d)
        return int(units == columns and same_axis and not lost)
    return columns // units if isinstance(end, nn.Linear) and columns % units == 0 else 0


def _rows(layer: Any) -> int:
    return int(layer.num_features if is_a(layer, NORMALIZING) else len(layer.weight))


def _columns(layer: Any) -> int:
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)


def _along(vector: Tensor, axis: int, tensor: Tensor) -> Tensor:
    shape = [1] * tensor.ndim
    shape[axis] = -1
    return vector.view(shape)
