"""Measures that an experiment can ask for: one file each, which declares all there is to know of it."""

from functools import cache
from typing import Any

from flatmin.core.declared import declared
from flatmin.measures.measure import Measure

__all__ = ["Measure", "measures"]


@cache
def measures() -> dict[str, Measure[Any]]:
    """Every measure there is, by name: first those that are taken unless a file says otherwise."""
    found: dict[str, Measure[Any]] = declared("flatmin.measures", "MEASURE")
    return {name: found[name] for name in sorted(found, key=lambda name: (not found[name].by_default, name))}
