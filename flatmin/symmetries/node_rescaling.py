"""What each hidden unit gives times a number of its own, divided by it where it is taken in (Neyshabur et al. 2015).

Row i of W1 and b1 times c_i, column i of W2 divided by c_i; of a convolution a unit is a channel.
"""

from typing import Any

from torch import Generator, nn

from flatmin.symmetries.places import homogeneous_places
from flatmin.symmetries.symmetry import Acted, Symmetry, factors


def act(model: nn.Module, batches: list[Any], amount: float, generator: Generator) -> Acted:
    """Rescale all hidden units."""
    places = homogeneous_places(model)
    for place in places:
        place.scale(factors(place.units, amount, generator))
    return Acted(len(places))


SYMMETRY = Symmetry(
    name="node_rescaling",
    words="ReLU rescaling, unit by unit",
    source="Neyshabur et al. (2015)",
    act=act,
    amount="the factors are log-uniform between 1 / amount and amount",
)
