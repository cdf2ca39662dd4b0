"""Products with a Jacobian, where some outputs may not depend on the sources."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import Variable


def pulled_back(
    outputs: Sequence[Tensor], outer: Sequence[Tensor], sources: Sequence[Tensor], *, keep: bool = False
) -> tuple[Tensor, ...]:
    """Product of ``outer`` with the Jacobian of ``outputs``, dense; zero where these do not depend on ``sources``."""
    live = [(output, weight) for output, weight in zip(outputs, outer, strict=True) if output.requires_grad]
    if not live:
        return tuple(torch.zeros_like(source) for source in sources)
    ends, weights = zip(*live, strict=True)
    return _backward(ends, weights, sources, keep=keep, create_graph=False)


def slopes(value: Tensor, sources: Sequence[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Gradient of a scalar, dense; zero where it does not depend on ``sources``."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(source) for source in sources)
    return _backward((value,), (torch.ones_like(value),), sources, keep=create_graph, create_graph=create_graph)


def _backward(
    ends: tuple[Tensor, ...], weights: tuple[Tensor, ...], sources: Sequence[Tensor], *, keep: bool, create_graph: bool
) -> tuple[Tensor, ...]:
    """As :func:`torch.autograd.grad`, which would take away the modes that a checkpoint recomputes in."""
    parts = Variable._execution_engine.run_backward(
        ends, weights, keep, create_graph, tuple(sources), allow_unreachable=True, accumulate_grad=False
    )
    pairs = zip(parts, sources, strict=True)
    return tuple(torch.zeros_like(source) if part is None else _dense(part) for part, source in pairs)


def _dense(part: Tensor) -> Tensor:
    return part.to_dense() if part.is_sparse else part
