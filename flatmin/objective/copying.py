"""A private copy of a network, and what cannot be copied or differentiated, said in one line."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_SHELLS = ("DataParallel", "DistributedDataParallel")


def unwrapped(model: nn.Module) -> nn.Module:
    """The network in the shells that spread it over devices."""
    while type(model).__name__ in _SHELLS and isinstance(getattr(model, "module", None), nn.Module):
        model = model.module  # type: ignore[assignment]
    return model


def uncompiled(model: nn.Module) -> nn.Module:
    """Take every compiled part of ``model`` back, in place, and return the network itself.

    Names are those of the network as it was written: ``0.weight``, not ``_orig_mod.0.weight``. A Trainer that is
    given a compiled LightningModule unwraps it and sets compiled methods on the module; these belong to that very
    module, in a copy of it too, and are taken off.
    """
    model = getattr(model, "_orig_mod", model)
    for module in list(model.modules()):
        if not isinstance(module, torch.jit.ScriptModule):
            module._compiled_call_impl = None
        for name in getattr(module, "_compiler_ctx", None) or ():
            module.__dict__.pop(name.removeprefix("original_"), None)
        for name, child in list(module._modules.items()):
            if hasattr(child, "_orig_mod"):
                setattr(module, name, child._orig_mod)
    return model


def refuse(model: nn.Module) -> None:
    """Refuse weights that are no dense real tensors with values.

    Raises:
        ValueError: If a parameter is not initialised yet, on the meta device, complex, sparse or spread over machines.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"parameter {name!r} of `model` has no shape yet; run the network once on a batch first.")
        if parameter.is_meta:
            raise ValueError(f"parameter {name!r} of `model` is on the meta device, without values; load them first.")
        if parameter.is_complex():
            raise ValueError(
                f"parameter {name!r} of `model` is complex, and a loss has no curvature in complex weights here; "
                "hold its real and imaginary parts as two real parameters (torch.view_as_real)."
            )
        if parameter.layout != torch.strided:
            raise ValueError(f"parameter {name!r} of `model` is sparse; make it dense with `to_dense()`.")
        if type(parameter.data).__name__ == "DTensor":
            raise ValueError(f"parameter {name!r} of `model` is spread over processes; gather the network first.")


def refuse_script(model: nn.Module) -> None:
    """Refuse scripted layers whose BatchNorm would have to be read otherwise: calls within a script cannot be caught.

    Raises:
        ValueError: If there is one.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, torch.jit.ScriptModule) and "batch_norm" in str(getattr(layer, "inlined_graph", "")):
            place = f"layer {name!r} of `model`" if name else "`model`"
            raise ValueError(f"{place} is TorchScript, which reads BatchNorm one way only: use batch_norm='running'.")


def copied(*objects: Any) -> list[Any]:
    """Deep copies that share what the originals share; tensors with a graph are copied without it.

    Raises:
        TypeError: If something in them cannot be copied.
    """
    memo: dict[int, Any] = {}
    for thing in objects:
        for tensor in _with_graph(thing):
            memo[id(tensor)] = tensor.detach().clone()
    try:
        with torch.no_grad():
            copies = [copy.deepcopy(thing, memo) for thing in objects]
    except (TypeError, RuntimeError, AttributeError) as error:
        raise TypeError(
            f"`model` cannot be copied, and an objective never works on the network itself: {_first_line(error)}"
        ) from error
    for mine, own in zip(copies, objects, strict=True):
        if isinstance(own, nn.Module):  # a copy of TorchScript forgets it
            for parameter, original in zip(mine.parameters(), own.parameters(), strict=True):
                parameter.requires_grad_(original.requires_grad)
    return copies


def moved(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Move a module; real numbers take ``dtype``, complex ones its complex kind."""
    with torch.no_grad():
        module._apply(lambda tensor: converted(tensor.detach(), device, dtype))  # type: ignore[no-untyped-call]
    return module


def converted(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A tensor on ``device``, in ``dtype`` if it is real, in the complex kind of it if it is complex."""
    if tensor.is_floating_point():
        return tensor.to(device=device, dtype=dtype)
    if tensor.is_complex():
        return tensor.to(device=device, dtype=torch.complex128 if dtype == torch.float64 else torch.complex64)
    return tensor.to(device=device)


def _with_graph(thing: Any) -> Iterator[Tensor]:
    """Tensors in the attributes of modules that belong to a graph: deepcopy refuses them."""
    for module in thing.modules() if isinstance(thing, nn.Module) else ():
        for value in list(vars(module).values()) + list(module._buffers.values()):
            yield from (t for t in _tensors(value) if t.grad_fn is not None)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif type(value) is dict:
        for part in value.values():
            yield from _tensors(part)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
