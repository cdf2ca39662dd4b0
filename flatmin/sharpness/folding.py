"""A network without its BatchNorm: each one's scale and shift are in the layer before it, as Jiang et al. (2020) do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from flatmin.objective.batch_norm import Moments, batch_norm_layers, moments, pooled
from flatmin.objective.losses import forward, scores_of
from flatmin.objective.module import Standing

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weight has a row, or a filter, for each output."""
CLOSE = 1e-3


def folded(objective: Any) -> nn.Module:
    """A copy of the objective's network in float64 and evaluation mode, of the same function, without BatchNorm.

    Under ``batch_norm="batch"`` the statistics are those of all its batches together.

    Raises:
        TypeError: If it has no network, or one whose inputs are not known.
        ValueError: If a BatchNorm does not follow a layer that can take it in, or its statistics are re-estimated.
    """
    if not hasattr(objective, "module_at"):
        raise TypeError(f"`objective` must be an Objective of a network, got {type(objective).__name__}.")
    inputs = inputs_of(objective)
    module = objective.module_at().double()
    plain: nn.Module = module.module if isinstance(module, Standing) else module
    layers = batch_norm_layers(plain)
    if not layers:
        return plain
    with torch.no_grad(), _watched(plain, layers) as (feeding, met):
        before = [scores_of(forward(module, batch)) for batch in (inputs if plain is not module else inputs[:1])]
    for name, norm in layers.items():
        if name not in feeding or len(met[name]) != len(before):
            raise ValueError(
                f"the BatchNorm {name!r} must follow a Linear or convolutional layer of its own, to be folded into it."
            )
        known = pooled(met[name]) if plain is not module else None
        mean, variance = (known.mean, known.variance) if known else (norm.running_mean, norm.running_var)
        _fold(feeding[name], norm, mean, variance)
        _replace(plain, norm)
    with torch.no_grad():
        after = scores_of(forward(plain, inputs[0]))
    if len(before) == 1 and not torch.allclose(after, before[0], rtol=CLOSE, atol=CLOSE * float(before[0].abs().max())):
        raise ValueError("BatchNorm cannot be folded away here: what is before one is used elsewhere too.")
    return plain


def inputs_of(objective: Any) -> list[Tensor]:
    """The inputs of every batch, in float64.

    Raises:
        TypeError: If they are not tensors of real numbers.
    """
    found = [batch[0] if isinstance(batch, tuple) else batch for batch in objective.batches]
    if not all(isinstance(inputs, Tensor) and inputs.is_floating_point() for inputs in found):
        raise TypeError(
            "`objective` must have one tensor of real numbers as inputs, for a norm of its paths or layers."
        )
    return [inputs.double() for inputs in found]


@contextmanager
def _watched(
    module: nn.Module, layers: dict[str, _BatchNorm]
) -> Iterator[tuple[dict[str, nn.Module], dict[str, list[Moments]]]]:
    """What feeds each BatchNorm, and the moments of what it met in each pass."""
    feeding, met = dict[str, nn.Module](), {name: list[Moments]() for name in layers}
    made: dict[int, tuple[Tensor, nn.Module]] = {}

    def leaves(layer: nn.Module, _: Any, outputs: Tensor) -> None:
        made[id(outputs)] = (outputs, layer)  # held, so that no other tensor gets its identity

    def arrives(name: str, inputs: tuple[Tensor, ...]) -> None:
        met[name].append(moments(inputs[0]))
        if id(inputs[0]) in made:
            feeding[name] = made[id(inputs[0])][1]

    handles = [layer.register_forward_hook(leaves) for layer in module.modules() if isinstance(layer, LINEAR)]
    for name, norm in layers.items():
        handles.append(norm.register_forward_pre_hook(lambda _, inputs, name=name: arrives(name, inputs)))
    try:
        yield feeding, met
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _fold(layer: Any, norm: _BatchNorm, mean: Any, variance: Any) -> None:
    scale = torch.rsqrt(variance.double() + norm.eps) * (1.0 if norm.weight is None else norm.weight)
    shift = -mean.double() * scale + (0.0 if norm.bias is None else norm.bias)
    bias = shift if layer.bias is None else shift + scale * layer.bias
    layer.weight = nn.Parameter(layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    layer.bias = nn.Parameter(bias)


def _replace(module: nn.Module, norm: nn.Module) -> None:
    for parent in module.modules():
        for name, child in parent.named_children():
            if child is norm:
                setattr(parent, name, nn.Identity())
