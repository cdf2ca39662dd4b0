"""The share of hits among independent trials, and how sure it is."""

import math
from typing import NamedTuple

NORMAL = 1.959964
"""Half-width of a 95 % interval in standard deviations."""


class Share(NamedTuple):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def standard_error(self) -> float:
        """The interval's half-width in the standard deviations that it would have of a normal number."""
        return (self.high - self.low) / (2 * NORMAL)


def wilson(hits: int, of: int) -> Share:
    r"""The share of hits among independent trials with Wilson's interval, which is never empty.

    .. math:: \frac{p + z^2/2n \pm z \sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}

    Wilson (1927).

    Example:
        >>> [round(number, 4) for number in wilson(0, 73)], [round(number, 4) for number in wilson(1, 2)]
        ([0.0, 0.0, 0.05], [0.5, 0.0945, 0.9055])
    """
    share, extra = hits / of, NORMAL**2 / of
    middle = (share + extra / 2) / (1 + extra)
    reach = NORMAL * math.sqrt(share * (1 - share) / of + extra / (4 * of)) / (1 + extra)
    return Share(share, 0.0 if hits == 0 else middle - reach, 1.0 if hits == of else middle + reach)
