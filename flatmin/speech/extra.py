"""The packages that only speech needs: the extra ``speech``."""

import importlib
from typing import Any

from flatmin.core.errors import DataError


def imported(package: str) -> Any:
    """Import a package of the extra ``speech``.

    Raises:
        DataError: If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(f"Speech needs the package {package}: run `pip install 'flatmin[speech]'`.") from error
