"""The six networks of Keskar et al. (2017) as plain modules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "C1": "flatmin.networks.convolutional",
    "C2": "flatmin.networks.convolutional",
    "C3": "flatmin.networks.convolutional",
    "C4": "flatmin.networks.convolutional",
    "F1": "flatmin.networks.fully_connected",
    "F2": "flatmin.networks.fully_connected",
}

__all__ = ["C1", "C2", "C3", "C4", "F1", "F2"]

if TYPE_CHECKING:
    from flatmin.networks.convolutional import C1, C2, C3, C4
    from flatmin.networks.fully_connected import F1, F2


def __getattr__(name: str) -> Any:
    """Import a network on first use, so that a file's choice of one is checked without torch.

    Raises:
        AttributeError: If it is no network.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'flatmin.networks' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
