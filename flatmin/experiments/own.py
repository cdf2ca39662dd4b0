"""A network, a data set or a loss of the user's own: from what a file says of it to what can be trained."""

from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from flatmin.core.errors import ConfigError
from flatmin.core.sources import Source, said, source
from flatmin.data import Dataset, Split
from flatmin.experiments.setups import Call
from flatmin.objective import each

Loss = Callable[[Any, Any], Tensor]
EXAMPLE = ("inputs", "targets")
PARTS = ("train", "test")
TRIED = 8
"""Examples on which network and loss are tried before anything runs."""
MOST_CLASSES = 100


def found(key: str, section: Call, folder: Path) -> Source:
    """The callable that a section names."""
    return source(f"{key}.call", section.call, folder)


def described(section: Call, of: Source) -> dict[str, Any]:
    """What identifies a callable and its arguments: its name, not its place, and what its source says."""
    return {"name": section.label, "call": of.name, "arguments": section.arguments, "source": of.digest}


def own_builder(section: Call, of: Source) -> Callable[[], nn.Module]:
    """What builds the network."""

    def build() -> nn.Module:
        network = of(**section.arguments)
        if not isinstance(network, nn.Module):
            raise ConfigError(f"{of.key}: {of.call} must return a torch.nn.Module, got {type(network).__name__}.")
        return network

    return build


def dataset(section: Call, of: Source) -> Dataset:
    """The data set that the callable returns, known by its contents.

    Raises:
        ConfigError: If it is not two splits of inputs and targets that fit together.
    """
    splits = of(**section.arguments)
    if not (isinstance(splits, tuple | list) and len(splits) == 2):
        got = f"{len(splits)} things" if isinstance(splits, tuple | list) else type(splits).__name__
        raise ConfigError(f"{of.key}: {of.call} must return train and test, got {got}.")
    train, test = (split_of(f"{of.key}: {name}", part) for name, part in zip(PARTS, splits, strict=True))
    if train.inputs.shape[1:] != test.inputs.shape[1:] or train.targets.dtype != test.targets.dtype:
        raise ConfigError(
            f"{of.key}: train and test must be alike, got inputs of {shape(train.inputs)} and {shape(test.inputs)}, "
            f"targets of {train.targets.dtype} and {test.targets.dtype}."
        )
    files = {name: content_md5(part) for name, part in zip(PARTS, (train, test), strict=True)}
    classes = 0 if train.targets.is_floating_point() else int(max(train.targets.max(), test.targets.max())) + 1
    place = {"source": section.call, "place": "", "files": files, "changed": [], "verified": True}
    return Dataset(section.label, train, test, classes, tuple(train.inputs.shape[1:]), place)


def split_of(where: str, part: Any) -> Split:
    """Inputs and targets as tensors, from a pair of arrays or a data set of examples.

    Raises:
        ConfigError: If it is neither, the inputs are neither floating point nor int64, or the targets are not one for
            each input, or as classes not whole numbers from 0 on; if there is no example or a number is not finite.
    """
    if isinstance(part, tuple | list) and len(part) == 2 and all(isinstance(one, Tensor | np.ndarray) for one in part):
        inputs, targets = (tensor_of(f"{where}.{name}", one) for name, one in zip(EXAMPLE, part, strict=True))
    elif hasattr(part, "__len__") and hasattr(part, "__getitem__") and not isinstance(part, Tensor | np.ndarray):
        inputs, targets = stacked(where, part)
    else:
        raise ConfigError(
            f"{where} must be (inputs, targets) as tensors or arrays, or a data set of (input, target) examples with a "
            f"length, got {type(part).__name__}."
        )
    if inputs.dtype in (torch.float64, torch.float16, torch.bfloat16):
        inputs = inputs.float()
    if inputs.dtype not in (torch.float32, torch.int64):
        raise ConfigError(
            f"{where} must have inputs of floating point, or of int64 for tokens, got {inputs.dtype}; turn them into "
            "floats where they are loaded, pixels say by `/ 255`."
        )
    if targets.is_complex():
        raise ConfigError(f"{where} must have targets that are real numbers or classes, got {targets.dtype}.")
    targets = targets.float() if targets.is_floating_point() else targets.long()
    for name, tensor in zip(EXAMPLE, (inputs, targets), strict=True):
        if not tensor.ndim:
            raise ConfigError(f"{where} must have a row of {name} for each example, got a single number.")
    if len(targets) != len(inputs):
        raise ConfigError(f"{where} must have as many targets as inputs, got {len(targets)} and {len(inputs)}.")
    if not len(inputs):
        raise ConfigError(f"{where} must hold at least one example, got none.")
    if not targets.is_floating_point() and (targets.ndim != 1 or bool((targets < 0).any())):
        raise ConfigError(
            f"{where} must have one class from 0 on for each input, got targets of shape {shape(targets)} from "
            f"{int(targets.min())} on."
        )
    for name, tensor in zip(EXAMPLE, (inputs, targets), strict=True):
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ConfigError(f"{where} must have finite {name}, got NaN or infinity.")
    return Split(inputs.contiguous(), targets.contiguous())


def tensor_of(where: str, value: Any) -> Tensor:
    """A value as a tensor on the CPU, without a graph behind it.

    Raises:
        ConfigError: If it cannot be one.
    """
    try:
        return torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where} cannot be a tensor: {said(error)}") from error


def stacked(where: str, examples: Any) -> tuple[Tensor, Tensor]:
    """The examples of a map-style data set in two tensors.

    Raises:
        ConfigError: If there is no example, one is no pair, or a part of one is no tensor or has another shape than the
            first's.
    """
    parts: tuple[list[Tensor], list[Tensor]] = [], []
    for index in range(len(examples)):
        example = examples[index]
        if not (isinstance(example, tuple | list) and len(example) == 2):
            raise ConfigError(f"{where}[{index}] must be (input, target), got {type(example).__name__}.")
        for part, value in zip(parts, example, strict=True):
            part.append(tensor_of(f"{where}[{index}]", value))
            if part[-1].shape != part[0].shape:
                raise ConfigError(
                    f"{where}[{index}] must have the shape of the others, {shape(part[0])}, got {shape(part[-1])}."
                )
    if not parts[0]:
        raise ConfigError(f"{where} must hold at least one example, got none.")
    inputs, targets = (torch.stack(part) for part in parts)
    return inputs, targets


def shape(tensor: Tensor) -> str:
    """A shape as people write it."""
    return " x ".join(map(str, tensor.shape)) or "a number"


def content_md5(part: Split) -> str:
    """One hash of all examples."""
    found = md5(usedforsecurity=False)
    for tensor in (part.inputs, part.targets):
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def loss_of(section: Call | None, of: Source | None, data: Dataset) -> Loss:
    """The loss: the user's own, or the mean cross-entropy, or for real targets the mean squared error."""
    if section is None or of is None:
        return mse_loss if data.train.targets.is_floating_point() else cross_entropy
    return of.bound(section.arguments)


def each_of(loss: Loss, network: nn.Module, data: Dataset) -> Loss | None:
    """The loss of every example, whose mean the loss is; ``None`` where it is no such mean.

    Args:
        loss: The mean loss of a batch, asked for ``reduction="none"`` where it knows that, else for one example after
            the other.
        network: The network at a start.
        data: The data set, of which some examples are tried.
    """
    few = some_of_each_class(data.train)
    with torch.no_grad():
        return each.each_of(loss, network.eval()(few.inputs), few.targets)


def unweighable(loss: Loss, network: nn.Module, data: Dataset) -> str:
    """Why the examples of a batch cannot be weighed in its loss; empty where they can.

    Args:
        loss: The mean loss of a batch.
        network: The network at a start.
        data: The data set, of which some examples are tried.
    """
    few = some_of_each_class(data.train)
    with torch.no_grad():
        try:
            each.weighted(loss, network.eval()(few.inputs), few.targets, torch.ones(len(few.targets)))
        except ValueError as error:
            return str(error)
    return ""


def some_of_each_class(split: Split) -> Split:
    """The first examples, and the first of each of the first classes."""
    chosen = dict.fromkeys(range(min(TRIED, len(split))))
    if not split.targets.is_floating_point():
        classes = sorted(set(split.targets.tolist()))[:MOST_CLASSES]
        chosen |= dict.fromkeys(int((split.targets == one).nonzero()[0]) for one in classes)
    return Split(split.inputs[[*chosen]], split.targets[[*chosen]])


def check_start(key: str, first: nn.Module, second: nn.Module) -> None:
    """Refuse a network whose start is not fixed by the seed.

    Args:
        key: What names the network in an error.
        first: The network at the start of a seed.
        second: The same, built anew.

    Raises:
        ConfigError: If their weights differ or are the same tensors, or a layer has none yet.
    """
    weights, again = first.state_dict(keep_vars=True), second.state_dict(keep_vars=True)
    for name, tensor in weights.items():
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            raise ConfigError(f"{key} must be built with every size known, got a lazy layer without weights at {name}.")
    if first is second or {id(tensor) for tensor in weights.values()} & {id(tensor) for tensor in again.values()}:
        raise ConfigError(
            f"{key} must be a new network at every call, got the same one twice; build it in the function."
        )
    if weights.keys() != again.keys() or not all(alike(weights[name], again[name]) for name in weights):
        raise ConfigError(
            f"{key} must start from the seed alone, got other weights the second time; draw them by torch's own "
            "generator."
        )


def alike(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same, not-a-number included."""
    return first.shape == second.shape and torch.equal(first.nan_to_num(7.0), second.nan_to_num(7.0))


NO_MEAN = "The loss of a batch is not the mean of its examples' losses: it depends on how the data are cut into batches"


def check_fit(first: nn.Module, second: nn.Module, loss: Loss, data: Dataset, keys: tuple[str, str]) -> None:
    """Refuse what cannot be trained and measured, before anything runs.

    That is a network that does not take the data, writes into them, or is not one function of its weights in
    evaluation mode; outputs that the loss does not take; and a loss that is not one function of them.

    Args:
        first: The network at the start of a seed.
        second: The same, built anew.
        loss: The loss.
        data: The data set.
        keys: What names network and loss in an error.

    Raises:
        ConfigError: If one raises, or returns something else than it has to.
    """
    few = data.train.first(min(TRIED, len(data.train)))
    inputs = few.inputs.clone()
    try:
        outputs, again, anew = (network.eval()(inputs) for network in (first, first, second))
    except (Exception, SystemExit) as error:
        got = f"inputs of {shape(few.inputs)}"
        raise ConfigError(f"{keys[0]}: the network cannot take {got} of {data.name}: {said(error)}") from error
    if not alike(inputs, few.inputs):
        raise ConfigError(
            f"{keys[0]} must leave its inputs as they are, got others after a call; change a copy of them."
        )
    if not (isinstance(outputs, Tensor) and outputs.is_floating_point()):
        got = f"a tensor of {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ConfigError(f"{keys[0]} must return one tensor of real numbers, got {got}.")
    for other, when in ((again, "the second time"), (anew, "from one built anew at the same seed")):
        if outputs.shape != other.shape or not torch.allclose(outputs, other, rtol=1e-3, equal_nan=True):
            raise ConfigError(
                f"{keys[0]} must be a function of its weights in evaluation mode, got other outputs {when}."
            )
    check_outputs(outputs, few, loss, data, keys[0])
    try:
        value, twin = (loss(outputs, few.targets) for _ in range(2))
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{keys[1]}: the loss cannot take the network's outputs: {said(error)}") from error
    if not (isinstance(value, Tensor) and value.ndim == 0 and value.requires_grad):
        got = f"a tensor of {shape(value)}" if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"{keys[1]} must return one number with a gradient, the mean of a batch, got {got}.")
    if not torch.allclose(value, twin, equal_nan=True):
        raise ConfigError(f"{keys[1]} must be a function of outputs and targets, got {value:.6g} and then {twin:.6g}.")


def check_outputs(outputs: Tensor, few: Split, loss: Loss, data: Dataset, key: str) -> None:
    """Refuse outputs whose shape the loss that is taken by default does not mean.

    Raises:
        ConfigError: If they have one.
    """
    known = outputs.shape[1] if outputs.ndim > 1 else None
    if loss is cross_entropy and known is not None and known < data.num_classes:
        raise ConfigError(f"{key} must have {data.num_classes} outputs, the classes of {data.name}, got {known}.")
    if loss is mse_loss and outputs.shape != few.targets.shape:
        raise ConfigError(f"{key} must have outputs of the targets' shape {shape(few.targets)}, got {shape(outputs)}.")
