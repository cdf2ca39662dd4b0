"""From the name of a network to what builds it for a data set."""

from collections.abc import Callable
from typing import Protocol

from torch import nn

from flatmin.core.errors import ConfigError
from flatmin.networks import C1, C2, C3, C4, F1, F2
from flatmin.networks.choice import Network

ANY_INPUT = {"F1": F1, "F2": F2}
IMAGES_32 = {"C1": C1, "C2": C2, "C3": C3, "C4": C4}


class Examples(Protocol):
    """What of a data set decides the sizes of a network."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        ...


def builder(network: Network, dataset: Examples) -> Callable[[], nn.Module]:
    """What builds ``network`` for the inputs and classes of ``dataset``.

    Raises:
        ConfigError: If the network cannot take the data set's inputs.
    """
    if network.name in ANY_INPUT:
        width = {} if network.width is None else {"width": network.width}
        return lambda: ANY_INPUT[network.name](dataset.input_shape, dataset.num_classes, **width)
    if dataset.input_shape != (3, 32, 32):
        got = " x ".join(map(str, dataset.input_shape))
        raise ConfigError(f"network {network.name} takes inputs of 3 x 32 x 32, {dataset.name} has {got}; use F1.")
    options = {"variant": network.variant} if network.variant != "code" else {}
    return lambda: IMAGES_32[network.name](num_classes=dataset.num_classes, **options)
