"""Optimisers of torch's kind for any module, and those that a network can be trained with, by name."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "optimizer_named": "flatmin.optimizers.named",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = [
    "optimizer_named",
]

if TYPE_CHECKING:
    from flatmin.optimizers.named import optimizer_named
