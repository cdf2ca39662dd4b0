"""Published data sets: one file each, which declares all there is to know of it. Nothing here needs torch."""

import math
from functools import cache

from flatmin.core.declared import declared
from flatmin.data.publication import Publication

__all__ = ["TIMIT", "names", "publications"]

TIMIT = "timit"
"""The one set that nobody may publish: `flatmin.data.timit` prepares a user's own copy."""


@cache
def publications() -> dict[str, Publication]:
    """Every published set by name, those of the smallest inputs first."""
    found: dict[str, Publication] = declared("flatmin.data.sets", "PUBLICATION")
    size = {name: (math.prod(entry.input_shape), entry.num_classes) for name, entry in found.items()}
    return {name: found[name] for name in sorted(found, key=lambda name: (size[name], name))}


def names() -> tuple[str, ...]:
    """What ``data: NAME`` in an experiment file can name.

    Example:
        >>> names()[0], names()[-1]
        ('digits', 'timit')
    """
    return (*publications(), TIMIT)
