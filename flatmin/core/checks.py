"""Checks at the public doors: each error names the argument, the rule and the value."""

import math
from collections.abc import Iterable, Iterator
from typing import Any


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is a finite number above zero.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it is not positive and finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be a number, got {type(value).__name__}.")
    if not value > 0:
        raise ValueError(f"`{name}` must be positive, got {value!r}.")
    if math.isinf(value):
        raise ValueError(f"`{name}` must be finite, got {value!r}.")
    return float(value)


def whole(name: str, value: int, *, minimum: int = 0) -> int:
    """Return ``value`` if it is a whole number of at least ``minimum``.

    Raises:
        TypeError: If ``value`` is not an ``int``.
        ValueError: If it is below ``minimum``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be an int, got {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {value}.")
    return value


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the known names.

    Raises:
        ValueError: If it is not; the message lists the known ones.
    """
    known = list(known)
    if value not in known:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}, got {value!r}.")
    return value


def reiterable(name: str, value: Any) -> Any:
    """Return ``value`` if it can be walked through more than once.

    Raises:
        TypeError: If it is an iterator (a generator, say) or not iterable at all.
    """
    if not isinstance(value, Iterable):
        raise TypeError(f"`{name}` must be iterable, got {type(value).__name__}.")
    if isinstance(value, Iterator):
        kind = type(value).__name__
        raise TypeError(f"`{name}` must be re-iterable, got a {kind}; pass list({name}).")
    return value
