"""What a module keeps beside its weights and may change when it is run: buffers, plain attributes, generators."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_RESERVED = set(vars(nn.Module()))
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


@dataclass(frozen=True, eq=False)
class _Place:
    """One value that a module keeps, where it lies and what it was."""

    holder: Any
    key: Any
    value: Any
    kept: Any

    def changed(self) -> bool:
        now = self.holder.get(self.key, self) if isinstance(self.holder, dict) else self.holder[self.key]
        if now is not self.value:
            return not (isinstance(now, _PLAIN) and type(now) is type(self.value) and now == self.value)
        return not _same(_content(now), self.kept)

    def restore(self) -> None:
        self.holder[self.key] = self.value
        _refill(self.value, self.kept)


class State:
    """The values that a module keeps beside its weights, as they were when this was made.

    Args:
        module: The private copy of a network.
        frozen: Parameters that do not move with the vector.
    """

    def __init__(self, module: nn.Module, frozen: list[nn.Parameter]) -> None:
        self.module = module
        self.frozen = frozen
        self._places = list(_places(module))
        self._keys = [(holder, set(holder)) for holder in _holders(module)]
        self.moving: list[_Place] = []
        self.adds = False
        self._buffers = {id(p.value): p for p in self._places if isinstance(p.value, Tensor)}
        self._sums = [_sum(p) for p in frozen]

    @property
    def unsteady(self) -> bool:
        """Whether running the module was seen to change any of it."""
        return bool(self.moving) or self.adds

    def watch(self) -> None:
        """Note what the module has changed since it was last restored."""
        known = {id(place) for place in self.moving}
        self.moving += [place for place in self._places if id(place) not in known and place.changed()]
        self.adds = self.adds or any(set(holder) - keys for holder, keys in self._keys)

    def wrote_frozen(self) -> bool:
        """Whether a frozen parameter has another content than at first."""
        return any(not _close(a, _sum(p)) for a, p in zip(self._sums, self.frozen, strict=True))

    @torch.no_grad()
    def restore(self) -> None:
        """Put back what is known to change."""
        for place in self.moving:
            place.restore()
        if self.adds:
            for holder, keys in self._keys:
                for key in set(holder) - keys:
                    del holder[key]

    @torch.no_grad()
    def write(self, others: dict[int, Tensor]) -> None:
        """Write other contents into the buffers with these ids."""
        for place in self._places:
            if id(place.value) in others:
                place.value.copy_(others[id(place.value)])

    def kept(self, buffer: int) -> Tensor:
        """The content of a buffer, given by its identity, when this was made."""
        return self._buffers[buffer].kept  # type: ignore[no-any-return]


def _holders(module: nn.Module) -> Iterator[dict[str, Any]]:
    yield from (vars(part) for part in module.modules() if not isinstance(part, torch.jit.ScriptModule))


def _places(module: nn.Module) -> Iterator[_Place]:
    seen: set[int] = set()
    for part in module.modules():
        if isinstance(part, torch.jit.ScriptModule):
            buffers = dict(part.named_buffers(recurse=False))
            yield from _in(buffers, seen, list(buffers))
            continue
        yield from _in(part._buffers, seen, list(part._buffers))
        yield from _in(vars(part), seen, [key for key in vars(part) if key not in _RESERVED])


def _in(holder: Any, seen: set[int], keys: list[Any]) -> Iterator[_Place]:
    for key in keys:
        value = holder[key]
        if isinstance(value, nn.Parameter | nn.Module) or (isinstance(value, Tensor) and value.grad_fn is not None):
            continue
        yield _Place(holder, key, value, _content(value))
        if type(value) in (dict, list) and id(value) not in seen:
            seen.add(id(value))
            yield from _in(value, seen, list(value) if isinstance(value, dict) else list(range(len(value))))


def _content(value: Any) -> Any:
    """What may change in a value while it stays the same object."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) in (list, dict, set):
        return value.copy()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state(legacy=False)
    if isinstance(value, random.Random):
        return value.getstate()
    return None


def _refill(value: Any, kept: Any) -> None:
    if isinstance(value, Tensor):
        value.data.copy_(kept)
    elif type(value) is list:
        value[:] = kept
    elif type(value) in (dict, set):
        value.clear()
        value.update(kept)
    elif isinstance(value, torch.Generator):
        value.set_state(kept)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = kept
    elif isinstance(value, np.random.RandomState):
        value.set_state(kept)
    elif isinstance(value, random.Random):
        value.setstate(kept)


def _same(now: Any, kept: Any) -> bool:
    if isinstance(now, Tensor):
        return (
            torch.equal(torch.nan_to_num(now), torch.nan_to_num(kept))
            if now.is_floating_point()
            else bool(torch.equal(now, kept))
        )
    if type(now) is list:
        return len(now) == len(kept) and all(a is b for a, b in zip(now, kept, strict=True))
    if type(now) is dict and not _numpy_state(now):
        return now.keys() == kept.keys() and all(now[key] is kept[key] for key in now)
    return bool(repr(now) == repr(kept))


def _numpy_state(value: dict[Any, Any]) -> bool:
    return "bit_generator" in value


def _sum(parameter: nn.Parameter) -> float:
    return float(parameter.detach().double().sum()) if parameter.numel() else 0.0


def _close(first: float, second: float) -> bool:
    return first == second or first != first
