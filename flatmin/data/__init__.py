"""Data sets held as whole tensors, read from the files as their publishers distribute them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Dataset": "flatmin.data.dataset",
    "NAMES": "flatmin.data.catalog",
    "Split": "flatmin.data.dataset",
    "load": "flatmin.data.catalog",
}

__all__ = ["NAMES", "Dataset", "Split", "load"]

if TYPE_CHECKING:
    from flatmin.data.catalog import NAMES, load
    from flatmin.data.dataset import Dataset, Split


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a file is checked, and sets are named, without torch.

    Raises:
        AttributeError: If it is no public name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'flatmin.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
