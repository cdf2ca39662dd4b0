"""Calls of torch that are answered otherwise while a network is evaluated.

A network is run as it was written; what it must not do by itself is caught where it calls torch. So a reading of
BatchNorm reaches every layer that normalises a batch, whatever its class, hooks or parametrisation, and weights that
are reached around the module (a closure, a global name) are those of the point that is asked for.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

Handlers = dict[Callable[..., Any], Callable[..., Any]]


class Rewriting(TorchFunctionMode):
    """Answer some functions otherwise, and take some tensors for others.

    Args:
        handlers: What is called in the place of a function of torch.
        owned: The tensor of the private copy for the identity of each of the user's own.
    """

    def __init__(self, handlers: Handlers, owned: dict[int, Tensor]) -> None:
        super().__init__()
        self.handlers = handlers
        self.owned = owned

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.owned:
            args, kwargs = tree_map(self._own, (args, kwargs))
        handler = self.handlers.get(func)
        return func(*args, **kwargs) if handler is None else handler(*args, **kwargs)

    def _own(self, item: Any) -> Any:
        return self.owned.get(id(item), item) if isinstance(item, Tensor) else item


class Watch(TorchFunctionMode):
    """Note which functions of torch are called, and which tensors of the user's own model reach them.

    Args:
        own: Parameters and buffers of the user's model.
    """

    def __init__(self, own: Iterable[Tensor]) -> None:
        super().__init__()
        self._own = {id(tensor) for tensor in own}
        self._memory = {_memory(tensor) for tensor in own if tensor.numel()}
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self.functions: set[Any] = set()
        self.foreign = False
        self.alias = False
        self.unread: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.functions.add(func)
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor):
                if id(leaf) in self._own:
                    self.foreign = True
                elif leaf.layout == torch.strided and _memory(leaf) in self._memory:
                    self.alias = True
        if func in NORMALIZATIONS:
            self.calls.append((func, args, kwargs))
        elif "batch_norm" in str(getattr(func, "__name__", "")):
            self.unread.add(func.__name__)
        return func(*args, **kwargs)


NORMALIZATIONS = (F.batch_norm, torch.batch_norm)


def _memory(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except RuntimeError:
        return id(tensor)
