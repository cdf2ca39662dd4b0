"""Names on disk: the hash of a whole setup and text that can stand in a file name."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from flatmin.results import formats

SCHEMA = 1
ID_LENGTH = 12


def identity(setup: Mapping[str, Any]) -> str:
    """The SHA-256 of a whole resolved setup.

    It covers every key, defaults included, every digit of every float and the version of this schema. The
    order of keys does not matter; ``1`` and ``1.0`` are different.

    Args:
        setup: Nested dicts and lists of text, finite numbers, booleans and ``None``.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: If the setup holds something that cannot be written as JSON.
        ValueError: If a number is infinite or not a number.

    Example:
        >>> identity({"network": "F1", "seed": 0}) == identity({"seed": 0, "network": "F1"})
        True
    """
    text = formats.canonical({"schema": SCHEMA, "setup": formats.plain(setup, "setup", finite=True)})
    return sha256(text.encode()).hexdigest()


def checked_name(name: str, what: str) -> str:
    """The name, if it can stand in a file name.

    Raises:
        ValueError: If it is empty has other characters than letters, digits, dot, dash and underscore, or starts with
            a dot or a dash.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"`{what}` must be letters, digits, dots, dashes and underscores, no dot or dash first, got {name!r}."
        )
    return name
