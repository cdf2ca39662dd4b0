"""Products with a Jacobian, where some outputs may not depend on the sources."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pulled_back(
    outputs: Sequence[Tensor], outer: Sequence[Tensor], sources: Sequence[Tensor], *, keep: bool = False
) -> tuple[Tensor, ...]:
    """Product of ``outer`` with the Jacobian of ``outputs``, dense; zero where these do not depend on ``sources``."""
    live = [(output, weight) for output, weight in zip(outputs, outer, strict=True) if output.requires_grad]
    if not live:
        return tuple(torch.zeros_like(source) for source in sources)
    ends, weights = zip(*live, strict=True)
    parts = torch.autograd.grad(ends, sources, weights, retain_graph=keep, materialize_grads=True)
    return tuple(part.to_dense() if part.is_sparse else part for part in parts)


def slopes(value: Tensor, sources: Sequence[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Gradient of a scalar, dense; zero where it does not depend on ``sources``."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(source) for source in sources)
    parts = torch.autograd.grad(value, sources, create_graph=create_graph, materialize_grads=True)
    return tuple(part.to_dense() if part.is_sparse else part for part in parts)
