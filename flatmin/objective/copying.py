"""A private copy of a network, which shares within itself what the original does, and nothing with the original."""

import copy
from collections.abc import Iterator
from functools import partial
from types import CellType, FunctionType
from typing import Any, NoReturn, Self

import torch
from torch import Tensor, nn

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


def copied(*objects: Any, device: torch.device, dtype: torch.dtype) -> list[Any]:
    """Deep copies of a model and what goes with it, on ``device`` and in ``dtype``.

    Tensors in one memory (a view of a weight kept as an attribute) lie in one memory again; functions that hold a part
    of the model in a closure, hooks among them, hold its copy; tensors with a graph are copied without it.

    Raises:
        TypeError: If something in them cannot be copied, or copies itself by giving itself out again.
    """
    memo = {id(tensor): new for tensor, new in _in_one_memory(objects, device, dtype)}
    for tensor in _attributes(objects):
        if tensor.grad_fn is not None:
            memo.setdefault(id(tensor), tensor.detach().clone())
    try:
        with torch.no_grad():
            copies = [rebound(copy.deepcopy(thing, memo), memo) for thing in objects]
    except (TypeError, RuntimeError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TypeError(
            f"`model` cannot be copied, and an objective never works on the network itself: {reason}"
        ) from error
    for mine, own in zip(copies, objects, strict=True):
        if isinstance(own, nn.Module):
            _settle(mine, own, memo, device, dtype)
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


def rebound(thing: Any, memo: dict[int, Any]) -> Any:
    """A function that holds copies where it held what was copied; anything else as it is.

    Args:
        thing: A function, a partial of one, or anything.
        memo: The copy for the identity of each original, as of :func:`copy.deepcopy`.
    """
    if isinstance(thing, partial):
        inner = rebound(thing.func, memo)
        return thing if inner is thing.func else partial(inner, *thing.args, **thing.keywords)
    if not isinstance(thing, FunctionType) or not thing.__closure__:
        return thing
    cells = tuple(_cell(cell, memo, thing) for cell in thing.__closure__)
    if all(new is old for new, old in zip(cells, thing.__closure__, strict=True)):
        return thing
    function = FunctionType(thing.__code__, thing.__globals__, thing.__name__, thing.__defaults__, cells)
    function.__kwdefaults__ = thing.__kwdefaults__
    function.__dict__.update(thing.__dict__)
    return function


def _cell(cell: CellType, memo: dict[int, Any], owner: FunctionType) -> CellType:
    try:
        held = cell.cell_contents
    except ValueError:  # not filled yet
        return cell
    new = memo[id(held)] if id(held) in memo else held if held is owner else rebound(held, memo)
    return cell if new is held else CellType(new)


def _settle(mine: nn.Module, own: nn.Module, memo: dict[int, Any], device: torch.device, dtype: torch.dtype) -> None:
    """Move a copy, rebind its functions, and see that it is one.

    Raises:
        TypeError: If it shares its weights with the original.
    """
    for parameter, original in zip(mine.parameters(), own.parameters(), strict=True):
        parameter.requires_grad_(original.requires_grad)  # a copy of TorchScript forgets it
    for part in mine.modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue
        for name, value in list(vars(part).items()):
            if isinstance(value, dict) and "hooks" in name:
                value.update({key: rebound(hook, memo) for key, hook in value.items()})
            elif isinstance(value, FunctionType | partial):
                part.__dict__[name] = rebound(value, memo)
    moved(mine, device, dtype)
    theirs = {tensor.data_ptr() for tensor in own.parameters() if tensor.numel()}
    if any(parameter.data_ptr() in theirs for parameter in mine.parameters() if parameter.numel()):
        raise TypeError(
            "`model` cannot be copied: its deepcopy shares weights with it (a `__deepcopy__` that gives itself out?), "
            "and an objective never works on the network itself."
        )


def _in_one_memory(
    objects: tuple[Any, ...], device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[Tensor, Tensor]]:
    """Tensors that share memory with others, each with its copy, which shares it with theirs."""
    groups: dict[int, dict[int, Tensor]] = {}
    for tensor in _all(objects):
        if tensor.layout == torch.strided and tensor.numel() and not tensor.is_meta:
            groups.setdefault(tensor.untyped_storage().data_ptr(), {})[id(tensor)] = tensor
    for group in groups.values():
        members = list(group.values())
        if len(members) == 1 or len({member.dtype for member in members}) > 1:
            continue
        first = members[0].detach()
        length = first.untyped_storage().nbytes() // first.element_size()
        memory = converted(first.as_strided((length,), (1,), 0).clone(), device, dtype)
        for member in members:
            new = memory.as_strided(member.shape, member.stride(), member.storage_offset())
            parameter = isinstance(member, nn.Parameter)
            yield member, nn.Parameter(new, requires_grad=member.requires_grad) if parameter else new


def _all(objects: tuple[Any, ...]) -> Iterator[Tensor]:
    for thing in objects:
        if isinstance(thing, nn.Module) and not any(isinstance(m, torch.jit.ScriptModule) for m in thing.modules()):
            yield from thing.parameters()
    yield from _attributes(objects)


def _attributes(objects: tuple[Any, ...]) -> Iterator[Tensor]:
    """Buffers and tensors in plain attributes."""
    for thing in objects:
        for module in thing.modules() if isinstance(thing, nn.Module) else ():
            if not isinstance(module, torch.jit.ScriptModule):
                for name, value in list(vars(module).items()):
                    if name not in ("_parameters", "_modules"):
                        yield from _tensors(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)


class Whole:
    """What never changes and knows its tensors by their identity: its deep copy is itself, and it is not pickled."""

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: send network, loss and batches, and make another one there."
        )
