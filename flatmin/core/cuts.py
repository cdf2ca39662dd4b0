"""How many examples are cut into batches, and what is left for the last one."""

import itertools

SMALL_TAIL = 0.25
"""A last batch of less than this share of the others is small."""


def cuts(examples: int, batch_size: int) -> list[tuple[int, int]]:
    """First and last index of each batch; a tail of a single example joins the batch before it (BatchNorm needs two).

    Example:
        >>> cuts(10, 4), cuts(9, 4)
        ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)])
    """
    edges = [*range(0, examples, batch_size), examples]
    if len(edges) > 2 and batch_size > 1 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    return list(itertools.pairwise(edges))


def tail(examples: int, batch_size: int) -> int:
    """Examples in the last batch.

    Example:
        >>> tail(34_086, 355), tail(9, 4)
        (6, 5)
    """
    first, last = cuts(examples, batch_size)[-1]
    return last - first


def small_tail(examples: int, batch_size: int) -> bool:
    """Whether the last batch is small, while it counts in training as much as any other."""
    return examples > batch_size and tail(examples, batch_size) < SMALL_TAIL * batch_size


def without_small_tail(examples: int, batch_size: int) -> int:
    """The nearest batch size that leaves no small last batch and more than one, the larger of two.

    Example:
        >>> without_small_tail(34_086, 355), without_small_tail(60_000, 256)
        (356, 256)
    """
    away = 0
    while True:
        for near in (batch_size + away, batch_size - away):
            if near >= 1 and len(cuts(examples, near)) > 1 and not small_tail(examples, near):
                return near
        away += 1
