"""Declarations found by looking into a folder: to add one is to add a file, and no list has to be told."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def declared(package: str, attribute: str) -> dict[str, Any]:
    """What the modules of a package declare under one name, by the declaration's own ``name``, in order of that.

    Modules without it are passed over.

    Args:
        package: Full name of the package, such as ``flatmin.measures``.
        attribute: Name of the declaration, such as ``MEASURE``.

    Raises:
        ImportError: If two modules declare the same name.
    """
    found: dict[str, Any] = {}
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        declaration = getattr(import_module(module.name), attribute, None)
        if declaration is None:
            continue
        if declaration.name in found:
            raise ImportError(f"{module.name}.{attribute} must have a name of its own, got {declaration.name!r} again.")
        found[declaration.name] = declaration
    return dict(sorted(found.items()))
