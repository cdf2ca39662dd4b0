"""Public names that are imported on first use, so that a package is there in an instant and without torch."""

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def on_first_use(
    package: str, homes: Mapping[str, str], rooms: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package takes as its ``__getattr__`` and its ``__dir__`` (PEP 562).

    Args:
        package: Its name.
        homes: The module of each public name.
        rooms: Subpackages that are public too.

    Returns:
        A function that imports a public name, and raises an AttributeError for any other; and one that lists them, so
        that ``dir`` and ``help`` know them before they are imported.
    """

    def attribute(name: str) -> Any:
        if name in rooms:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def names() -> list[str]:
        own = vars(sys.modules[package]).items()
        return sorted(
            {*homes, *rooms, *(name for name, it in own if name.startswith("__") or isinstance(it, ModuleType))}
        )

    return attribute, names
