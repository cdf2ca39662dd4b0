"""Batches as people have them, held fixed: what goes into the network, what its outputs are compared with."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flatmin.core.checks import reiterable
from flatmin.objective.channels import channels_last
from flatmin.objective.copying import converted

TARGETS = ("labels", "label", "targets", "target")
"""Keys of a mapping that hold what the outputs are compared with."""

Weights = Callable[..., Any] | Sequence[float] | Tensor | None


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch on the device.

    Attributes:
        parts: ``(inputs, targets, ...)``, or a tuple of the batch as it came where the loss is the user's own.
        examples: How many examples it holds.
        share: Its share of the whole; the shares sum to one.
        marks: Versions of its tensors when it was read; none where it is made of others.
    """

    parts: tuple[Any, ...]
    examples: int
    share: float = 0.0
    marks: tuple[int, ...] = ()

    def fresh(self) -> tuple[Any, ...]:
        """Copies of the parts, for a network or a loss may write into what it is given."""
        return tuple(mapped(torch.clone, part) for part in self.parts)

    def check_intact(self) -> None:
        """Check that nobody has written into the batch since it was read.

        Raises:
            RuntimeError: If somebody has.
        """
        if self.marks and self.marks != tuple(tensor._version for tensor in tensors(self.parts)):
            raise RuntimeError(
                "the tensors of `batches` were written into after the objective was made, so it is another function "
                "now; give it copies, or make it anew."
            )

    def cut(self, first: int, last: int) -> "Batch | None":
        """Some of the examples, if every tensor in the batch has one row an example."""
        if any(not tensor.ndim or len(tensor) != self.examples for tensor in tensors(self.parts)):
            return None
        if not (0 <= first < last <= self.examples):
            return None
        return replace(self, parts=mapped(lambda t: t[first:last], self.parts), examples=last - first, marks=())

    def taken(self, rows: Tensor) -> "Batch":
        """The examples of these numbers, where every tensor has one row an example."""
        return replace(self, parts=mapped(lambda t: t[rows], self.parts), examples=len(rows), marks=())


def pairs(batch: Any) -> tuple[Any, ...]:
    """Inputs, targets and what else a loss takes, from a batch as a loader gives it.

    Raises:
        TypeError: If the batch is none of the forms that an objective reads.
    """
    if isinstance(batch, Tensor):
        return batch, batch
    if isinstance(batch, Mapping):
        key = next((key for key in TARGETS if key in batch), None)
        inputs = {k: value for k, value in batch.items() if k != key}
        return inputs, (None if key is None else batch[key])
    if isinstance(batch, tuple | list) and len(batch) == 1:
        return batch[0], batch[0]
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        return tuple(batch)
    got = "an empty one" if isinstance(batch, tuple | list) else type(batch).__name__
    raise TypeError(
        "`batches` must hold (inputs, targets) pairs, tuples (inputs, targets, ...), mappings with "
        f"{' or '.join(map(repr, TARGETS[:2]))} among their keys, or tensors, got {got}. "
        "For any other batch give the loss yourself: Objective.of(model, step, batches)."
    )


def fixed(
    batches: Iterable[Any],
    read: Callable[[Any], tuple[Any, ...]],
    device: torch.device,
    dtype: torch.dtype,
    *,
    images: bool,
) -> list[Batch]:
    """The batches of a loader, read once and moved to ``device``; those without an example are left out.

    Raises:
        TypeError: If they can be read only once, or a batch is of no known form.
        ValueError: If there is no example, or the loader writes every batch into the same tensors.
    """
    _check_no_pair(batches)
    found: list[Batch] = []
    versions: list[tuple[Tensor, int]] = []
    for batch in reiterable("batches", batches):
        if any(tensor._version != version for tensor, version in versions):
            raise ValueError(
                "`batches` writes every batch into the tensors of the one before: they cannot be held. "
                "Give a list of copies."
            )
        versions += [(t, t._version) for t in tensors(batch) if not t.is_inference()]
        parts = mapped(lambda t: _fixed(t, device, dtype), read(batch))
        if images and isinstance(parts[0], Tensor):
            parts = (channels_last(parts[0]), *parts[1:])
        if examples := count(parts):
            found.append(Batch(parts, examples, marks=tuple(tensor._version for tensor in tensors(parts))))
    if not found:
        raise ValueError("`batches` must hold at least one example, got none.")
    return found


def shared(batches: list[Batch], weights: Sequence[float]) -> list[Batch]:
    """The batches with their shares; those that weigh nothing are left out.

    Raises:
        ValueError: If there is not one weight a batch, one is negative or not finite, or all are zero.
    """
    if len(weights) != len(batches):
        raise ValueError(f"`weights` must hold one number a batch, {len(batches)}, got {len(weights)}.")
    numbers = [float(weight) for weight in weights]
    if not all(0 <= number < float("inf") for number in numbers):
        bad = next(number for number in numbers if not 0 <= number < float("inf"))
        raise ValueError(f"`weights` must be finite and not negative, got {bad}.")
    total = sum(numbers)
    if not total:
        raise ValueError("every batch weighs nothing: all targets are ignored, or all `weights` are zero.")
    pairs_ = zip(batches, numbers, strict=True)
    return [replace(batch, share=number / total) for batch, number in pairs_ if number]


def merged(batches: list[Batch]) -> Batch | None:
    """One batch of all examples, or none where they do not fit together."""
    parts = _joined([batch.parts for batch in batches])
    return None if parts is None else Batch(parts, sum(batch.examples for batch in batches), 1.0)


def mapped(function: Callable[[Tensor], Tensor], item: Any) -> Any:
    """The same nest of mappings and sequences with ``function`` of each tensor."""
    if isinstance(item, Tensor):
        return function(item)
    if isinstance(item, np.ndarray):
        return function(torch.from_numpy(item))
    if isinstance(item, Mapping):
        return {key: mapped(function, value) for key, value in item.items()}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(mapped(function, value) for value in item))
    if isinstance(item, tuple | list):
        return tuple(mapped(function, value) for value in item)
    if is_dataclass(item) and not isinstance(item, type):
        values = {f.name: mapped(function, getattr(item, f.name)) for f in fields(item) if f.init}
        return replace(item, **values)
    if hasattr(item, "clone") and hasattr(item, "to"):  # such as a graph of torch_geometric
        return copy.copy(item) if not hasattr(item, "apply") else item.clone().apply(function)
    return item


def tensors(item: Any) -> list[Tensor]:
    """All tensors in a nest of mappings and sequences."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(keep, item)
    return found


def count(parts: tuple[Any, ...]) -> int:
    """Rows of the first tensor among the targets, else the inputs.

    Raises:
        TypeError: If there is none.
    """
    for part in (*parts[1:2], *parts[:1], *parts[2:]):
        for tensor in tensors(part):
            if tensor.ndim:
                return len(tensor)
    raise TypeError("cannot count the examples of a batch: neither targets nor inputs hold a tensor.")


def _fixed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Without a graph, open to autograd even if it was made in inference mode, in memory that torch looks after."""
    foreign = tensor.layout == torch.strided and not tensor.untyped_storage().resizable()
    plain = tensor.clone() if tensor.is_inference() or foreign else tensor.detach()
    return converted(plain, device, dtype)


def _check_no_pair(batches: Any) -> None:
    """Check that one pair was not given for a list of pairs.

    Raises:
        ValueError: If it was.
    """
    if not (isinstance(batches, tuple | list) and len(batches) == 2 and all(isinstance(t, Tensor) for t in batches)):
        return
    inputs, targets = batches
    if isinstance(batches, tuple) or inputs.shape[1:] != targets.shape[1:] or inputs.dtype != targets.dtype:
        raise ValueError("`batches` must hold batches, got the two tensors of one; write [(inputs, targets)].")


def _joined(items: list[Any]) -> Any:
    first = items[0]
    if isinstance(first, Tensor):
        alike = all(isinstance(t, Tensor) and t.ndim and t.shape[1:] == first.shape[1:] for t in items)
        return torch.cat(items) if alike and first.ndim else None
    if isinstance(first, Mapping):
        parts = {key: _joined([item[key] for item in items]) for key in first}
        return None if any(part is None for part in parts.values()) else parts
    if isinstance(first, tuple):
        joined = [_joined(list(column)) for column in zip(*items, strict=True)]
        return None if any(part is None for part in joined) else tuple(joined)
    return None
