"""A layer times a number, the next one divided by it (Dinh et al. 2017, section 4).

With ReLU between them, (W1, b1, W2) -> (a W1, a b1, W2 / a) leaves the function as it is for every a > 0.
"""

from typing import Any

import torch
from torch import Generator, nn

from flatmin.symmetries.places import homogeneous_places
from flatmin.symmetries.symmetry import Acted, Symmetry


def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Rescale pairs of layers of which no two have a layer in common, from the first on."""
    touched, places = set[int](), 0
    for place in homogeneous_places(model):
        if not touched & {id(place.source), id(place.target)}:
            touched |= {id(place.source), id(place.target)}
            place.scale(torch.full((place.units,), amount, dtype=torch.float64))
            places += 1
    return Acted(places)


SYMMETRY = Symmetry(
    name="layer_rescaling",
    words="ReLU rescaling, layer by layer",
    source="Dinh et al. (2017)",
    act=act,
    amount="what the first layer of a pair is multiplied by",
)
