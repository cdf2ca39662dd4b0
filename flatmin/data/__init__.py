"""Data sets held as whole tensors, read from the files as their publishers distribute them."""

from flatmin.data.catalog import NAMES, load
from flatmin.data.dataset import Dataset, Split

__all__ = ["NAMES", "Dataset", "Split", "load"]
