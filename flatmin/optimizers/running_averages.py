"""A forward pass that normalises as ever, but leaves no trace in the running averages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


Change = tuple[Any, str, Any]
"""A module, the name of its attribute and what it was."""


@contextmanager
def running_averages_kept(network: "nn.Module | None" = None) -> Iterator[None]:
    """Layers that normalise use the batch's statistics in here as ever, but their running averages do not hear of them.

    Known are torch's own BatchNorm and InstanceNorm and what is derived from them.

    Args:
        network: The module whose layers it is about; ``None`` takes every layer that is called in here, which a hook on
            all modules sees, but not inside of what ``torch.compile(network)`` has made.

    Raises:
        RuntimeError: If such a layer cannot be told: it is part of a scripted module, or of a compiled one that was not
            given.
    """
    from torch.nn.modules.module import register_module_forward_pre_hook

    changed: list[Change] = []
    try:
        if network is not None:
            for layer in network.modules():
                _seen(layer, changed)
            yield
        else:
            handle = register_module_forward_pre_hook(lambda module, _: _met(module, changed))
            try:
                yield
            finally:
                handle.remove()
    finally:
        for layer, name, value in changed:
            setattr(layer, name, value)


def _met(module: "nn.Module", changed: list[Change]) -> None:
    """A module that is called while nobody has said which network it is about.

    Raises:
        RuntimeError: If its layers cannot be seen from outside.
    """
    if "_orig_mod" in module._modules and any(map(_listens, module.modules())):  # torch.compile(network)
        raise RuntimeError(
            "BatchNorm's running averages in a compiled network would hear of the second pass; pass it as `model`: "
            "SAM(..., model=network)."
        )
    _seen(module, changed)


def _seen(module: "nn.Module", changed: list[Change]) -> None:
    import torch
    from torch.nn.modules.instancenorm import _InstanceNorm

    scripted = isinstance(module, torch.jit.ScriptModule)
    if scripted and any(name.endswith("running_mean") for name, _ in module.named_buffers()):
        raise RuntimeError(
            "BatchNorm's running averages in a scripted module would hear of the second pass; train the module it was "
            "made from."
        )
    if _listens(module):
        name, value = ("momentum", 0.0) if isinstance(module, _InstanceNorm) else ("track_running_stats", False)
        changed.append((module, name, getattr(module, name)))
        setattr(module, name, value)


def _listens(layer: "nn.Module") -> bool:
    """Whether it updates running averages."""
    from torch.nn.modules.batchnorm import _NormBase

    return isinstance(layer, _NormBase) and layer.track_running_stats and layer.training
