r"""Which statistics BatchNorm uses when a loss is evaluated.

A network with BatchNorm is not one function of its weights but several, and sharpness differs between them by
orders of magnitude. Three honest choices:

``running``
    the running averages that training left in the buffers (:meth:`torch.nn.Module.eval`);
``batch``
    mean and variance of each evaluation batch, as in Keskar et al.'s Keras code (``mode=2``), where no running
    averages exist; the loss then depends on how the data are cut into batches;
``reestimate``
    mean and variance over *all* the data, found anew at every point, layer by layer: the limit of ``batch`` when the
    batch is the whole data set, so it does not depend on the cut.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

MODES = ("running", "batch", "reestimate")


class Moments(NamedTuple):
    """Per-channel mean and biased variance, and how many numbers each was taken over (a float64 scalar)."""

    mean: Tensor
    variance: Tensor
    size: Tensor


class Recorded(Exception):
    """Ends a forward pass at the layer whose input moments were asked for."""

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.moments = moments


class Normalization(nn.Module):
    """Stands in for a BatchNorm layer: same parameters, but the statistics are the batch's own or given ones."""

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias
        self.eps = layer.eps
        self.given: tuple[Tensor, Tensor] | None = None
        self.recording = False
        self.calls: list[Normalization] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise ``inputs`` of shape (N, C, ...) channel by channel.

        Raises:
            Recorded: If the moments of ``inputs`` were asked for: it brings them.
            ValueError: If batch statistics would be taken over one value per channel.
        """
        if self.calls is not None:
            self.calls.append(self)
            return inputs
        if self.recording:
            raise Recorded(moments(inputs))
        if self.given is not None:
            return apply(inputs, *self.given, self.weight, self.bias, self.eps)
        if inputs.numel() == inputs.shape[1]:
            raise ValueError(
                "batch statistics need more than one value per channel, got a batch of one example; "
                "cut the batches so that none has a single example."
            )
        return F.batch_norm(inputs, None, None, self.weight, self.bias, training=True, eps=self.eps)


def moments(inputs: Tensor) -> Moments:
    """Mean and biased variance of each channel of ``inputs`` (N, C, ...)."""
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    variance, mean = torch.var_mean(inputs, dim=axes, correction=0)
    size = mean.new_tensor(inputs.numel() // inputs.shape[1], dtype=torch.float64)
    return Moments(mean, variance, size)


def apply(
    inputs: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Normalise by the given statistics, differentiable in them too (the fused kernel is not)."""
    scale = torch.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    shape = [1, -1] + [1] * (inputs.ndim - 2)
    return inputs * scale.view(shape) + shift.view(shape)


def batch_norm_layers(model: nn.Module) -> dict[str, _BatchNorm]:
    """The BatchNorm layers of ``model`` by name; one that is used in two places counts once."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, _BatchNorm)}


def replace_batch_norm(model: nn.Module) -> tuple[nn.Module, list[Normalization]]:
    """Put a :class:`Normalization` in the place of every BatchNorm layer of ``model``, in place.

    Returns:
        The model (another object only if it was itself a BatchNorm layer) and the new layers.
    """
    stand_ins = {id(layer): Normalization(layer) for layer in batch_norm_layers(model).values()}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in stand_ins:
                setattr(parent, name, stand_ins[id(child)])
    return stand_ins.get(id(model), model), list(stand_ins.values())


def pooled(parts: list[Moments]) -> Moments:
    """Moments of the union of batches by the law of total variance, in float64."""
    sizes = torch.stack([part.size for part in parts])
    means = torch.stack([part.mean.double() for part in parts])
    variances = torch.stack([part.variance.double() for part in parts])
    weights = (sizes / sizes.sum()).unsqueeze(1)
    mean = (weights * means).sum(0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(0)
    return Moments(mean, variance, sizes.sum())
