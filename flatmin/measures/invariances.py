"""What leaves a measure as it is: two numbers of it compared, and the table of what every measure declares."""

import math
from typing import Literal

from flatmin.measures.readings import Reading

SAME = 1e-3
"""How far two numbers may differ, as a share of the larger, and still be the same."""
SAME_FOUND = 1e-2
"""The same of what a search found, which ends a little short of the maximum."""
ERRORS = 3.0
"""How many standard errors two numbers may lie apart: of dozens in a table, draws put few further."""

HEAD = """# What leaves a measure unchanged

Each of these changes leaves the function of a network as it is. A measure that moves all the same says something beside
the function: of two networks with the same outputs it can make either the sharper one.

`yes`: the measure, with its usual settings, stays as it was, up to rounding and its own standard error. `no`: it was
seen to move. Both are tested for every measure (`tests/measures/test_invariances.py`); `flatmin attack` shows it for a
network of your own.

Written by `python -m flatmin.measures.invariances > docs/invariances.md` from what the measures declare.
"""

Judged = Literal["unchanged", "within error", "moved", "not finite"]


def judged(before: Reading, after: Reading) -> Judged:
    """Whether a number is the same as it was, or cannot be told from it by its standard errors.

    Args:
        before: The number.
        after: The same of another network, or of other batches.

    Example:
        >>> one, other = Reading(name="trace", value=2.0), Reading(name="trace", value=2.1)
        >>> judged(one, other), judged(one, Reading(name="trace", value=2.1, standard_error=0.06))
        ('moved', 'within error')
    """
    if not (math.isfinite(before.value) and math.isfinite(after.value)):
        return "unchanged" if before.value == after.value else "not finite"
    change = abs(after.value - before.value)
    same = SAME if before.converged is None else SAME_FOUND
    if change <= same * max(abs(before.value), abs(after.value)):
        return "unchanged"
    errors = [error for error in (before.standard_error, after.standard_error) if error and math.isfinite(error)]
    return "within error" if change <= ERRORS * math.hypot(*errors) else "moved"


def table() -> str:
    """Every measure and what leaves it unchanged, in Markdown: generated from the declarations."""
    from flatmin.measures import measures
    from flatmin.symmetries import symmetries

    known = symmetries()
    rows = [
        ["measure", *(f"`{name}`" for name in known)],
        ["---", *(":-:" for _ in known)],
        *(
            [f"{one.words} (`{one.name}`)", *("yes" if name in one.unchanged_by else "no" for name in known)]
            for one in measures().values()
            if one.by_rule or one.unchanged_by
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page() -> str:
    """``docs/invariances.md``, all of it."""
    from flatmin.symmetries import symmetries

    meant = "".join(f"- `{one.name}`: {one.words}; {one.source}.\n" for one in symmetries().values())
    return f"{HEAD}\n{meant}\n{table()}"


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
