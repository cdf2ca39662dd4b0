"""The first examples of batches of any form."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.utils import _pytree


def first_examples(batches: Iterable[Any], examples: int) -> Iterator[Any]:
    """Batches with together so many examples, the last one cut; all where there are fewer.

    Example:
        >>> import torch
        >>> batches = [(torch.zeros(4, 2), torch.zeros(4)), (torch.zeros(4, 2), torch.zeros(4))]
        >>> [count(batch) for batch in first_examples(batches, 6)]
        [4, 2]
    """
    left = examples
    for batch in batches:
        size = count(batch)
        yield batch if size <= left else _start(batch, size, left)
        left -= size
        if left <= 0:
            return


def count(batch: Any) -> int:
    """How many examples a batch has: the length of its first tensor, 1 where there is none."""
    tensors = [part for part in _pytree.tree_leaves(batch) if isinstance(part, Tensor) and part.ndim]
    return len(tensors[0]) if tensors else 1


def _start(batch: Any, size: int, examples: int) -> Any:
    def cut(part: Any) -> Any:
        return part[:examples] if isinstance(part, Tensor) and part.ndim and len(part) == size else part

    return _pytree.tree_map(cut, batch)
