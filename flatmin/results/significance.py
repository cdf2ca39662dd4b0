"""Exact tests over seeds: the sign test, and what it is worth among several."""

from collections.abc import Sequence

from scipy.special import bdtr


def sign_test(first: int, second: int) -> float:
    """The two-sided p-value of the sign test.

    Args:
        first: How many seeds lie on one side.
        second: How many on the other; those on neither are left out.

    Returns:
        How likely a split at least as uneven is if either side is as likely; 1 without seeds.

    Example:
        >>> round(sign_test(12, 0), 6), sign_test(2, 2), sign_test(0, 0)
        (0.000488, 1.0, 1.0)
    """
    return min(1.0, 2 * float(bdtr(min(first, second), first + second, 0.5)))


def holm(values: Sequence[float]) -> list[float]:
    """The p-values of several tests, adjusted as Holm does.

    The chance that any test whose hypothesis is true has an adjusted p-value of at most 5 % is at most 5 %, however
    the tests depend on each other.

    Args:
        values: The p-values of the tests.

    Returns:
        The adjusted ones, in the same order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted
