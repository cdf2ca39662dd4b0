"""BatchNorm's running averages found anew: after weights were averaged those of training belong to no network."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from flatmin.objective.batch_norm import Moments, batch_norm_layers, moments, pooled

Forward = Callable[[nn.Module, Any], Any]


def inputs_forward(module: nn.Module, batch: Any) -> Any:
    """Run a module on a batch, or on the first part of one that has several: ``(inputs, targets)``, say."""
    return module(batch[0] if isinstance(batch, list | tuple) else batch)


@torch.no_grad()
def reestimate_batch_norm(network: nn.Module, batches: Iterable[Any], forward: Forward = inputs_forward) -> int:
    r"""Replace the running averages of all BatchNorm layers by mean and variance over ``batches``, in one pass.

    Each layer is normalised by the statistics of its batch while those of all batches are put together by the law of
    total variance, each batch by its size:

    .. math:: \mu = \sum_b \frac{n_b}{n} \mu_b, \qquad
        \sigma^2 = \frac{n}{n - 1} \sum_b \frac{n_b}{n} \left( \sigma_b^2 + (\mu_b - \mu)^2 \right)

    The rest of the network is in evaluation mode: no dropout, as where the averages are used.
    :func:`torch.optim.swa_utils.update_bn` leaves dropout on, counts a small last batch as much as any other, and
    loses the differences between the means of the batches.

    Args:
        network: The network, changed in place; the modes of its parts stay as they are.
        batches: What the training examples are cut into, on the device of the network.
        forward: Runs the network on a batch.

    Returns:
        How many layers got new averages; without any, no batch is asked for.

    Raises:
        ValueError: If there is no batch, or a layer meets one value per channel.

    Example:
        >>> network = nn.Sequential(nn.BatchNorm1d(1))
        >>> reestimate_batch_norm(network, [torch.tensor([[1.0], [2.0]]), torch.tensor([[6.0], [7.0], [9.0]])])
        1
        >>> float(network[0].running_mean), round(float(network[0].running_var), 4)
        (5.0, 11.5)
    """
    layers = [layer for layer in batch_norm_layers(network).values() if layer.running_mean is not None]
    if not layers:
        return 0
    found: dict[_BatchNorm, list[Moments]] = {layer: [] for layer in layers}
    with ExitStack() as stack:
        stack.enter_context(_only_these_in_training(network, layers))
        for layer in layers:
            stack.callback(layer.register_forward_pre_hook(lambda of, args: found[of].append(_met(args[0]))).remove)
        for batch in batches:
            forward(network, batch)
    if not any(found.values()):
        raise ValueError("`batches` must not be empty: BatchNorm's averages are found from them.")
    for layer, parts in found.items():
        if parts:
            assert layer.running_mean is not None and layer.running_var is not None
            whole = pooled(parts)
            layer.running_mean.copy_(whole.mean)
            layer.running_var.copy_(whole.variance * (whole.size / (whole.size - 1)))
    return len(layers)


def _met(inputs: Tensor) -> Moments:
    """Of what a layer is given; 16 bits are too few for the differences of squares.

    Raises:
        ValueError: If it is one value per channel.
    """
    if inputs.numel() == inputs.shape[1]:
        raise ValueError("BatchNorm needs more than one value per channel, got a batch of one example.")
    return moments(inputs.float() if inputs.dtype in (torch.float16, torch.bfloat16) else inputs)


@contextmanager
def _only_these_in_training(network: nn.Module, layers: list[_BatchNorm]) -> Any:
    """The layers read their batch, but their averages do not hear of it; all else is in evaluation mode."""
    modes = {part: part.training for part in network.modules()}
    kept = {layer: layer.track_running_stats for layer in layers}
    try:
        for part in modes:
            part.training = False
        for layer in layers:
            layer.training, layer.track_running_stats = True, False
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        for layer, was in kept.items():
            layer.track_running_stats = was
