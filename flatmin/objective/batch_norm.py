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

A layer is known by what it calls, :func:`torch.nn.functional.batch_norm`, not by its class.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from flatmin.objective.rewriting import Handlers

MODES = ("running", "batch", "reestimate")


class Moments(NamedTuple):
    """Per-channel mean and biased variance, and how many numbers each was taken over (a float64 scalar)."""

    mean: Tensor
    variance: Tensor
    size: Tensor


Statistics = Sequence[tuple[Tensor, Tensor]]
Averages = tuple[Tensor | None, Tensor | None]


class Recorded(Exception):
    """Ends a forward pass at the layer whose input moments were asked for."""

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.moments = moments


class _Normalize(torch.autograd.Function):
    """Normalised inputs and the inverse standard deviation, each channel by the batch's own moments.

    Torch's kernel has a second derivative that takes some 35 passes over the activations; this one's backward is a
    handful of operations, which are differentiated once more.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        variance = torch.var(inputs, dim=axes, correction=0, keepdim=True)
        unit = F.batch_norm(inputs, None, None, training=True, eps=eps)
        scale = torch.rsqrt(variance + eps)
        ctx.axes, ctx.count = axes, inputs.numel() // inputs.shape[1]
        ctx.save_for_backward(unit, scale)
        return unit, scale

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        unit, scale = ctx.saved_tensors
        d_unit, d_scale = outer
        along = (d_unit * unit).mean(ctx.axes, keepdim=True) + d_scale * scale / ctx.count
        return scale * (d_unit - d_unit.mean(ctx.axes, keepdim=True) - unit * along), None


def differentiable_twice(*, batch: bool) -> Handlers:
    """BatchNorm from parts whose second derivative is cheap, for products with the Hessian.

    Args:
        batch: Whether each batch is normalised by its own statistics, or by the running averages.

    Returns:
        The handlers.
    """

    def normalized(
        inputs: Tensor, averages: Averages, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        if not batch:
            mean, variance = averages
            assert mean is not None and variance is not None
            return apply(inputs, mean, variance, weight, bias, eps)
        _check_count(inputs)
        unit: Tensor = _Normalize.apply(inputs, eps)[0]  # type: ignore[no-untyped-call]
        shape = [1, -1] + [1] * (inputs.ndim - 2)
        scaled = unit if weight is None else unit * weight.view(shape)
        return scaled if bias is None else scaled + bias.view(shape)

    return _handlers(normalized)


def by_batch() -> Handlers:
    """Each batch is normalised by its own statistics."""

    def normalized(inputs: Tensor, _: Averages, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        _check_count(inputs)
        return F.batch_norm(inputs, None, None, weight, bias, training=True, eps=eps)

    return _handlers(normalized)


class Counting:
    """Each batch is normalised by its own statistics, which are kept for each layer that a forward passes through."""

    def __init__(self) -> None:
        self.met = met = list[Moments]()

        def counted(inputs: Tensor, _: Averages, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
            met.append(moments(inputs))
            return apply(inputs, *met[-1][:2], weight, bias, eps)

        self.handlers = _handlers(counted)

    @property
    def calls(self) -> int:
        """How many layers were passed."""
        return len(self.met)


class ByStatistics:
    """The layers are normalised by given statistics, a pair each in the order in which a forward meets them."""

    def __init__(self) -> None:
        self._given: Statistics = []
        self._record = False
        self._met = 0

    @property
    def handlers(self) -> Handlers:
        """What takes the place of BatchNorm."""
        return _handlers(self._normalized)

    def begin(self, given: Statistics, *, record: bool = False) -> None:
        """Before a forward pass.

        Args:
            given: Mean and variance of each of the first layers.
            record: End the pass at the layer after those with the moments of its input.
        """
        self._given, self._record, self._met = given, record, 0

    def _normalized(
        self, inputs: Tensor, _: Averages, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        self._met += 1
        if self._met <= len(self._given):
            return apply(inputs, *self._given[self._met - 1], weight, bias, eps)
        if self._record:
            raise Recorded(moments(inputs))
        raise RuntimeError(UNEVEN)


UNEVEN = "a BatchNorm layer was used for one batch and not for another; use batch_norm='batch'."


def _check_count(inputs: Tensor) -> None:
    """Check that a batch has statistics of its own.

    Raises:
        ValueError: If there is one value per channel.
    """
    if inputs.numel() == inputs.shape[1]:
        raise ValueError(
            "batch statistics need more than one value per channel, got a batch of one example; "
            "cut the batches so that none has a single example."
        )


def _handlers(normalized: Callable[[Tensor, Averages, Tensor | None, Tensor | None, float], Tensor]) -> Handlers:
    """Answer the function and the kernel that it calls, whose arguments are in another order."""

    def functional(
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        return normalized(input, (running_mean, running_var), weight, bias, eps)

    def kernel(
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
        cudnn_enabled: bool,
    ) -> Tensor:
        return normalized(input, (running_mean, running_var), weight, bias, eps)

    return {F.batch_norm: functional, torch.batch_norm: kernel}


def takes_batch_statistics(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call normalises by the batch's own statistics."""
    place = {F.batch_norm: (5, False), torch.batch_norm: (5, False)}[func]
    return bool(kwargs.get("training", args[place[0]] if len(args) > place[0] else place[1]))


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


def pooled(parts: Sequence[Moments]) -> Moments:
    """Moments of the union of batches by the law of total variance, in float64."""
    sizes = torch.stack([part.size for part in parts])
    means = torch.stack([part.mean.double() for part in parts])
    variances = torch.stack([part.variance.double() for part in parts])
    weights = (sizes / sizes.sum()).unsqueeze(1)
    mean = (weights * means).sum(0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(0)
    return Moments(mean, variance, sizes.sum())


def check_running(module: nn.Module) -> None:
    """Check that every BatchNorm layer keeps running averages.

    Raises:
        ValueError: If one does not.
    """
    for name, layer in batch_norm_layers(module).items():
        if layer.running_mean is None:
            raise ValueError(
                f"batch_norm='running' needs running averages, but layer {name!r} keeps none "
                "(track_running_stats=False); use 'batch' or 'reestimate'."
            )
