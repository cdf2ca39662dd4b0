"""Optimisers of torch's kind for any module, and those that a network can be trained with, by name."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "LAMB": "flatmin.optimizers.lamb",
    "LARS": "flatmin.optimizers.lars",
    "RMSpropWarmUp": "flatmin.optimizers.rmsprop_warm_up",
    "SAM": "flatmin.optimizers.sam",
    "optimizer_named": "flatmin.optimizers.named",
    "rmsprop_share": "flatmin.optimizers.rmsprop_warm_up",
    "steps_per_epoch": "flatmin.optimizers.rmsprop_warm_up",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "LAMB",
    "LARS",
    "SAM",
    "RMSpropWarmUp",
    "optimizer_named",
    "rmsprop_share",
    "steps_per_epoch",
]

if TYPE_CHECKING:
    from flatmin.optimizers.lamb import LAMB
    from flatmin.optimizers.lars import LARS
    from flatmin.optimizers.named import optimizer_named
    from flatmin.optimizers.rmsprop_warm_up import RMSpropWarmUp, rmsprop_share, steps_per_epoch
    from flatmin.optimizers.sam import SAM
