"""Methods of training: one file each, which declares what can be set and does what is done with a batch."""

from functools import cache

from flatmin.core.declared import declared
from flatmin.training.methods.method import Method

__all__ = ["Method", "methods"]


@cache
def methods() -> dict[str, type[Method]]:
    """Every method but plain training, by the name that a file knows it by."""
    return declared("flatmin.training.methods", "METHOD")
