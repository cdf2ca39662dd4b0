"""Public names that are imported on first use, so that a package is there in an instant and without torch."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """What a package takes as its ``__getattr__`` (PEP 562).

    Args:
        package: Its name.
        homes: The module of each public name.

    Returns:
        A function that imports a public name, and raises an AttributeError for any other.
    """

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return attribute
