"""Text that can be written, drawn and shown: neither control characters nor halves of others."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any


def unprintable(value: Any) -> str | None:
    r"""The first text in a value, keys included, that has what no file, figure or terminal can show, or ``None``.

    Example:
        >>> unprintable({"about": ["fine\n", "a\0b"]}), unprintable("ε")
        ('a\x00b', None)
    """
    return next(filter(_has_controls, _texts(value)), None)


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t\r" for letter in text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(key)
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
