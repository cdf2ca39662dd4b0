"""Cutting a section of settings to a share of its work, by what the types of the settings say."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flatmin.core.checked import Checked
from flatmin.core.fields import Section, infos, marked


def portion(share: float, count: int) -> int:
    """A share of a count, rounded up."""
    return math.ceil(share * count)


def examples_for(share: float, count: int, batch_sizes: Iterable[int | str] = ()) -> int:
    """A share of the training examples, and no fewer than the largest batch takes.

    Example:
        >>> examples_for(0.1, 5000, [25, 125, "50%"]), examples_for(0.1, 5000, [25, 625])
        (500, 625)
    """
    largest = max((size for size in batch_sizes if isinstance(size, int)), default=1)
    return max(portion(share, count), min(largest, count))


def cut(section: Any, share: float, examples: int | None = None) -> Any:
    """A section with a share of the epochs and examples that it names, as their types say, and so those below it.

    Args:
        section: Any; ``None`` stays.
        share: What is left.
        examples: How many there are, for a section whose ``examples`` are all of them.
    """
    if section is None:
        return None
    changes: dict[str, Any] = {}
    for name, counts in (*marked(section, "epoch"), *marked(section, "examples")):
        left = tuple(dict.fromkeys(portion(share, count) for count in counts))
        if left:
            changes[name] = left if isinstance(getattr(section, name), tuple) else left[0]
        elif name == "examples" and examples is not None:
            changes[name] = portion(share, examples)
    for name in infos(type(section)):
        if isinstance(inner := getattr(section, name), Section | Checked):
            changes[name] = cut(inner, share)
    return section.model_copy(update=changes) if isinstance(section, Section) else replace(section, **changes)
