"""Data sets held as whole tensors, read from the files as their publishers distribute them."""

from typing import TYPE_CHECKING

from flatmin.core.lazy import on_first_use

_HOMES = {
    "Dataset": "flatmin.data.dataset",
    "LightningData": "flatmin.data.lightning",
    "NAMES": "flatmin.data.catalog",
    "Split": "flatmin.data.dataset",
    "load": "flatmin.data.catalog",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)

__all__ = ["NAMES", "Dataset", "LightningData", "Split", "load"]

if TYPE_CHECKING:
    from flatmin.data.catalog import NAMES, load
    from flatmin.data.dataset import Dataset, Split
    from flatmin.data.lightning import LightningData
