"""Hidden units in another order (Hecht-Nielsen 1990)."""

from typing import Any

import torch
from torch import Generator, nn

from flatmin.symmetries.places import exchangeable_places
from flatmin.symmetries.symmetry import Acted, Symmetry


def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Permute the units between all layers where that can be done."""
    places = exchangeable_places(model)
    for place in places:
        place.permute(torch.randperm(place.units, generator=generator))
    return Acted(len(places))


SYMMETRY = Symmetry(
    name="permutation",
    words="order of the hidden units",
    source="Hecht-Nielsen (1990)",
    act=act,
)
