r"""Tying of context-dependent states by decision trees that grow where the likelihood gains most.

Young, Odell and Woodland (1994), "Tree-based state tying for high accuracy acoustic modelling". Every state of
every phone has a tree, whose root holds all the contexts in which it occurs. A node asks whether the left or the
right neighbour belongs to a phonetic class. The frames of a leaf are described by one Gaussian with diagonal
covariance, whose log-likelihood follows from their number, sum and sum of squares alone:

.. math:: L = -\tfrac12 \sum_d n \left(\log 2\pi v_d + s_d / v_d\right), \qquad v_d = \max(s_d, \text{floor}_d)

with the variance :math:`s`. Of all leaves of all trees, the one with the largest gain
:math:`L_{\text{yes}} + L_{\text{no}} - L` is split first, until there are enough of them.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flatmin.core.errors import DataError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

RELATIVE_FLOOR = 0.01
"""Smallest variance of a leaf, as a share of the variance of all frames."""
_SMALLEST_FLOOR = 1e-10
_ROUNDING = 1e-9


@dataclass(frozen=True)
class StateStatistics:
    """Number, sum and sum of squares of the frames of each context.

    Args:
        contexts: ``(C, 3)``: tree, left phone, right phone; no row twice.
        counts: ``(C,)``.
        sums: ``(C, dim)``.
        squares: ``(C, dim)``.
    """

    contexts: Integers
    counts: Floats
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, contexts: Integers, features: npt.NDArray[np.floating]) -> "StateStatistics":
        """Statistics of frames: ``contexts`` (N, 3) and ``features`` (N, dim)."""
        unique, inverse = _distinct(contexts)
        counts = np.bincount(inverse)
        ordered = features[np.argsort(inverse, kind="stable")].astype(np.float64)
        starts = np.cumsum(counts) - counts
        sums, squares = np.add.reduceat(ordered, starts), np.add.reduceat(ordered**2, starts)
        return cls(unique, counts.astype(np.float64), sums, squares)

    def variance(self) -> Floats:
        """Variance of all frames together, ``(dim,)``."""
        total = self.counts.sum()
        variance: Floats = self.squares.sum(0) / total - (self.sums.sum(0) / total) ** 2
        return variance


def log_likelihood(counts: Floats, sums: Floats, squares: Floats, floor: Floats) -> Floats:
    """Log-likelihood of sets of frames, each under its own Gaussian; 0 for an empty set.

    Args:
        counts: ``(K,)`` frames of each set.
        sums: ``(K, dim)``.
        squares: ``(K, dim)``.
        floor: ``(dim,)`` smallest variances.

    Returns:
        ``(K,)``, in nats.
    """
    n = np.maximum(counts, 1)[:, None]
    variance = np.maximum(squares / n - (sums / n) ** 2, 0)
    floored = np.maximum(variance, floor)
    likelihood: Floats = -0.5 * counts * (np.log(2 * np.pi * floored) + variance / floored).sum(1)
    return likelihood


@dataclass(eq=False)
class Node:
    """A node of a tree: a leaf until it is split.

    Args:
        rows: Rows of the statistics that reach it.
        question: Number of the class asked about: of the left phone, then of the right one.
        children: Where the contexts go whose answer is yes, and where the others go.
        leaf: Number of a leaf.
    """

    rows: Integers
    question: int | None = None
    children: tuple["Node", ...] = ()
    leaf: int = -1

    def leaves(self) -> Iterator["Node"]:
        """The leaves below, or the node itself."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(frozen=True)
class Tying:
    """Grown trees.

    Args:
        roots: Root of each tree, by its number.
        classes: ``(Q, phones)``, the classes that the questions are about.
        num_leaves: Leaves of all trees together.
    """

    roots: dict[int, Node]
    classes: Booleans
    num_leaves: int

    def leaf(self, contexts: Integers) -> Integers:
        """Leaf of each context, whether or not it was there when the trees grew.

        Args:
            contexts: ``(N, 3)``: tree, left phone, right phone.

        Returns:
            ``(N,)``, from 0 to ``num_leaves - 1``.
        """
        unique, inverse = _distinct(contexts)
        answers = _answers(self.classes, unique)
        found = np.empty(len(unique), np.int64)
        for tree in np.unique(unique[:, 0]):
            _descend(self.roots[int(tree)], np.flatnonzero(unique[:, 0] == tree), answers, found)
        return found[inverse]


def tie(
    statistics: StateStatistics, classes: Booleans, *, num_leaves: int, min_occupancy: int, trees: Sequence[int]
) -> Tying:
    """Grow the trees, the largest gain first, until there are ``num_leaves`` leaves or nothing is left to split.

    Args:
        statistics: What the trees grow on.
        classes: ``(Q, phones)``: whether a phone belongs to a class.
        num_leaves: How many leaves are wanted; never exceeded.
        min_occupancy: Fewest frames that a split may leave on either side.
        trees: Numbers of the trees; one that has no frames stays a lone root.

    Returns:
        The trees, with their leaves numbered from left to right.

    Raises:
        DataError: If there are more trees than leaves.
    """
    if num_leaves < len(trees):
        raise DataError(
            f"`states` must be at least {len(trees)}, one for each state of each phone that occurs, got {num_leaves}."
        )
    roots = {tree: Node(np.flatnonzero(statistics.contexts[:, 0] == tree)) for tree in trees}
    _grow(list(roots.values()), statistics, _answers(classes, statistics.contexts), num_leaves, min_occupancy)
    leaves = [leaf for root in roots.values() for leaf in root.leaves()]
    for number, leaf in enumerate(leaves):
        leaf.leaf = number
    return Tying(roots, classes, len(leaves))


def _grow(
    leaves: list[Node], statistics: StateStatistics, answers: Booleans, num_leaves: int, min_occupancy: int
) -> None:
    floor = np.maximum(RELATIVE_FLOOR * statistics.variance(), _SMALLEST_FLOOR)
    heap: list[tuple[float, int, int, Node]] = []
    order = itertools.count()

    def consider(node: Node) -> None:
        gain, question = _best_split(statistics, node.rows, answers, floor, min_occupancy)
        if gain > 0:
            heapq.heappush(heap, (-gain, next(order), question, node))

    for leaf in leaves:
        consider(leaf)
    for _ in range(num_leaves - len(leaves)):
        if not heap:
            break
        _, _, question, node = heapq.heappop(heap)
        yes = answers[question, node.rows]
        node.question, node.children = question, (Node(node.rows[yes]), Node(node.rows[~yes]))
        for child in node.children:
            consider(child)


def _distinct(contexts: Integers) -> tuple[Integers, Integers]:
    """Each context once, ``(C, 3)``, and which of them every frame has, ``(N,)``."""
    base = int(contexts.max()) + 1
    keys = (contexts[:, 0] * base + contexts[:, 1]) * base + contexts[:, 2]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return contexts[first], inverse


def _answers(classes: Booleans, contexts: Integers) -> Booleans:
    """Answer to every question in every context, ``(2 Q, C)``: first on the left phone, then on the right one."""
    return np.concatenate([classes[:, contexts[:, 1]], classes[:, contexts[:, 2]]])


def _best_split(
    statistics: StateStatistics, rows: Integers, answers: Booleans, floor: Floats, min_occupancy: int
) -> tuple[float, int]:
    """Largest gain of an admissible split, and its question; a gain of 0 if there is none."""
    if len(rows) < 2:
        return 0.0, -1
    yes = answers[:, rows].astype(np.float64)
    parts = [part[rows] for part in (statistics.counts, statistics.sums, statistics.squares)]
    inside = [yes @ part for part in parts]
    whole = [part.sum(0, keepdims=True) for part in parts]
    outside = [total - part for total, part in zip(whole, inside, strict=True)]
    before = log_likelihood(whole[0], whole[1], whole[2], floor)
    gains = log_likelihood(inside[0], inside[1], inside[2], floor)
    gains += log_likelihood(outside[0], outside[1], outside[2], floor) - before
    gains[np.minimum(inside[0], outside[0]) < max(min_occupancy, 1)] = 0
    best = int(np.argmax(gains))
    return (float(gains[best]), best) if gains[best] > _ROUNDING * abs(float(before[0])) else (0.0, -1)


def _descend(node: Node, rows: Integers, answers: Booleans, found: Integers) -> None:
    if node.question is None:
        found[rows] = node.leaf
        return
    yes = answers[node.question, rows]
    for child, chosen in zip(node.children, (yes, ~yes), strict=True):
        _descend(child, rows[chosen], answers, found)
