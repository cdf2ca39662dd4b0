"""Checks at the public doors: each error names the argument, the rule and the value."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

SEEDS = 2**32


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is a finite number above zero.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it is not positive and finite.
    """
    _number(name, value)
    if not value > 0:
        raise ValueError(f"`{name}` must be positive, got {value!r}.")
    if math.isinf(value):
        raise ValueError(f"`{name}` must be finite, got {value!r}.")
    return float(value)


def within(
    name: str, value: float, *, gt: float = -math.inf, ge: float = -math.inf, lt: float = math.inf, le: float = math.inf
) -> float:
    """Return ``value`` if it lies in an interval; an end that is not given is infinite, and open.

    Args:
        name: Of the argument.
        value: What is checked.
        gt: Lower end, which does not belong to it.
        ge: Lower end, which belongs to it.
        lt: Upper end, which does not belong to it.
        le: Upper end, which belongs to it.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it lies elsewhere.

    Example:
        >>> within("share", 2.0, gt=0, le=1)
        Traceback (most recent call last):
        ValueError: `share` must lie in (0, 1], got 2.0.
    """
    _number(name, value)
    low = f"({gt}" if gt >= ge else f"[{ge}"
    high = f"{lt})" if lt <= le else f"{le}]"
    if not (gt < value < lt and ge <= value <= le):
        raise ValueError(f"`{name}` must lie in {low}, {high}, got {value!r}.")
    return value


def _number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be a number, got {type(value).__name__}.")


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


def seed_of(name: str, value: int) -> int:
    """Return ``value`` if it is a seed: a whole number of at most 32 bits, since torch's CPU generator has no more.

    Raises:
        TypeError: If ``value`` is not an ``int``.
        ValueError: If it is negative or has more bits.
    """
    if whole(name, value) >= SEEDS:
        raise ValueError(f"`{name}` must be below 2**32, got {value}: torch's generator ignores all higher bits.")
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


def an_objective(value: Any, name: str = "objective") -> Any:
    """Return ``value`` if it stands somewhere and has a value there, as an objective.

    Raises:
        TypeError: If it does not, a network say.
    """
    if not (hasattr(value, "theta") and hasattr(value, "value")):
        kind = type(value).__name__
        raise TypeError(f"`{name}` must be an objective, got {kind}; make one: Objective(model, loss, batches).")
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
