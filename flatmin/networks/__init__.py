"""The six networks of Keskar et al. (2017), as plain modules and as Lightning modules."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "C1": "flatmin.networks.convolutional",
    "C2": "flatmin.networks.convolutional",
    "C3": "flatmin.networks.convolutional",
    "C4": "flatmin.networks.convolutional",
    "F1": "flatmin.networks.fully_connected",
    "F2": "flatmin.networks.fully_connected",
    "LightningC1": "flatmin.networks.lightning",
    "LightningC2": "flatmin.networks.lightning",
    "LightningC3": "flatmin.networks.lightning",
    "LightningC4": "flatmin.networks.lightning",
    "LightningF1": "flatmin.networks.lightning",
    "LightningF2": "flatmin.networks.lightning",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "C1",
    "C2",
    "C3",
    "C4",
    "F1",
    "F2",
    "LightningC1",
    "LightningC2",
    "LightningC3",
    "LightningC4",
    "LightningF1",
    "LightningF2",
]

if TYPE_CHECKING:
    from flatmin.networks.convolutional import C1, C2, C3, C4
    from flatmin.networks.fully_connected import F1, F2
    from flatmin.networks.lightning import (
        LightningC1,
        LightningC2,
        LightningC3,
        LightningC4,
        LightningF1,
        LightningF2,
    )
