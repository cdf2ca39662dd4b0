"""Filters: all that makes one output channel, a row of a linear layer or a kernel of a convolution."""

from typing import Any

import torch
from torch import Tensor


def like_filters(objective: Any, noise: Tensor, theta: Tensor) -> Tensor:
    r"""Noise whose every filter is as long as the same filter of ``theta``; parameters of at most one dimension get 0.

    .. math:: d_{ij} \leftarrow d_{ij} \, \frac{\|\theta_{ij}\|}{\|d_{ij}\|}

    Li et al. (2018), section 4.

    Args:
        objective: Tells the parameters apart by its ``shapes`` (name to shape) and ``transposed`` (names of transposed
            layers to their groups); one without ``shapes`` counts as a single filter.
        noise: (size,), float64 on the CPU.
        theta: (size,).

    Returns:
        The scaled noise, a vector like ``theta``.
    """
    reference = theta.detach().to("cpu", torch.float64)
    shapes = getattr(objective, "shapes", {"theta": torch.Size([1, theta.numel()])})
    sizes = [shape.numel() for shape in shapes.values()]
    transposed = getattr(objective, "transposed", {})
    parts = zip(torch.split(noise, sizes), torch.split(reference, sizes), shapes.items(), strict=True)
    scaled = [_like_filters(part, old, shape, transposed.get(name)) for part, old, (name, shape) in parts]
    return torch.cat(scaled).to(theta)


def _like_filters(noise: Tensor, weights: Tensor, shape: torch.Size, groups: int | None) -> Tensor:
    """Scale each filter of ``noise`` (flat) to the norm of the same filter of ``weights``.

    Filters lie along the first axis, or in each of ``groups`` parts of it along the second.
    """
    if len(shape) < 2:
        return torch.zeros_like(noise)
    wide, over = ((shape[0], -1), (1,)) if groups is None else ((groups, shape[0] // groups, shape[1], -1), (1, 3))
    lengths, drawn = (torch.linalg.vector_norm(t.view(wide), dim=over, keepdim=True) for t in (weights, noise))
    return torch.mul(noise.view(wide), lengths / drawn).view(-1)
