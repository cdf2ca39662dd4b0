"""What leaves a measure as it is: two numbers of it compared, and the table of what every measure declares."""

import math
from collections.abc import Iterator
from typing import Literal

from flatmin.measures.readings import Reading

SAME = 1e-3
"""How far two numbers may differ, as a share of the larger, and still be the same."""
SAME_FOUND = 1e-2
"""The same of what a search found, which ends a little short of the maximum."""
ERRORS = 2.0

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
    """Every measure and what leaves it unchanged, in Markdown: generated from the declarations.

    Example:
        >>> table().splitlines()[0][:40]
        '| measure | bases of attention heads | s'
    """
    from flatmin.measures import measures
    from flatmin.symmetries import symmetries

    known = symmetries()

    def lines() -> Iterator[str]:
        yield "| ".join(("| measure ", *(f"{symmetry.words} " for symmetry in known.values()), "")).rstrip()
        yield "| --- " + "| :-: " * len(known) + "|"
        for measure in measures().values():
            if measure.unchanged_by or measure.by_rule:
                marks = ("yes " if name in measure.unchanged_by else "no " for name in known)
                yield "| ".join((f"| {measure.words} (`{measure.name}`) ", *marks, "")).rstrip()

    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(table())
