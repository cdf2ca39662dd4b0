"""The six networks of Keskar et al. (2017) as plain modules."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "C1": "flatmin.networks.convolutional",
    "C2": "flatmin.networks.convolutional",
    "C3": "flatmin.networks.convolutional",
    "C4": "flatmin.networks.convolutional",
    "F1": "flatmin.networks.fully_connected",
    "F2": "flatmin.networks.fully_connected",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = ["C1", "C2", "C3", "C4", "F1", "F2"]

if TYPE_CHECKING:
    from flatmin.networks.convolutional import C1, C2, C3, C4
    from flatmin.networks.fully_connected import F1, F2
