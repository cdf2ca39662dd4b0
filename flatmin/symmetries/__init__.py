"""Changes of a network that leave its function as it is: one file each, which declares all there is to know of it."""

from functools import cache

from flatmin.core.declared import declared
from flatmin.symmetries.attention import attention_of
from flatmin.symmetries.over_amounts import over_amounts
from flatmin.symmetries.symmetry import NoPlace, Symmetry
from flatmin.symmetries.transform import Transformed, transformed

__all__ = ["NoPlace", "Symmetry", "Transformed", "attention_of", "over_amounts", "symmetries", "transformed"]


@cache
def symmetries() -> dict[str, Symmetry]:
    """Every symmetry there is, by name.

    Example:
        >>> list(symmetries())[:3]
        ['attention', 'batch_norm_scale', 'layer_rescaling']
    """
    return declared("flatmin.symmetries", "SYMMETRY")
