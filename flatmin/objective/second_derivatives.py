"""Second derivatives where torch's own are wrong or missing.

``torch._weight_norm`` has a second derivative that is wrong (``gradgradcheck`` fails), ``cdist`` and ``embedding_bag``
have none, and the fused kernels of attention have none either. For products with the Hessian these are computed from
parts that have one; what is left is named by :func:`refused`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.objective.rewriting import Handlers

_MISSING = re.compile(r"derivative for '?(?:aten::)?([\w:]+)'? is not implemented|does not implement (\w+)")


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    r""":math:`g \, v / \|v\|`, the norm over all axes but ``dim``."""
    axes = [axis for axis in range(v.ndim) if axis != dim] if dim != -1 else list(range(v.ndim))
    return v * (g / v.square().sum(axes, keepdim=True).sqrt())


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, *_: Any, **__: Any) -> Tensor:
    """Distances between the rows of two sets, from parts that can be differentiated twice.

    Euclidean ones of many rows are so in torch, which takes a product of matrices for them.
    """
    if p == 2 and max(x1.shape[-2], x2.shape[-2]) > 25:
        return torch.cdist(x1, x2, p, *_, **__)
    apart = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    distances: Tensor = torch.linalg.vector_norm(apart, ord=p, dim=-1)
    return distances


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums or means of bags of embeddings, as :func:`torch.nn.functional.embedding_bag`."""
    if mode == "max" or max_norm is not None:
        return F.embedding_bag(
            input, weight, offsets, max_norm, norm_type, scale_grad_by_freq, mode, sparse, per_sample_weights,
            include_last_offset, padding_idx,
        )  # fmt: skip
    flat = input.reshape(-1)
    if input.ndim == 2:
        bags, owner = len(input), torch.arange(len(input), device=input.device).repeat_interleave(input.shape[1])
    else:
        starts = offsets[:-1] if include_last_offset else offsets  # type: ignore[index]
        bags = len(starts)  # type: ignore[arg-type]
        owner = torch.bucketize(torch.arange(len(flat), device=input.device), starts, right=True) - 1  # type: ignore[arg-type]
    counted = torch.ones_like(flat, dtype=weight.dtype)
    if padding_idx is not None:
        counted = (flat != padding_idx).to(weight.dtype)
    factors = counted if per_sample_weights is None else counted * per_sample_weights.reshape(-1)
    sums = weight.new_zeros(bags, weight.shape[1]).index_add(0, owner, F.embedding(flat, weight) * factors[:, None])
    if mode == "sum":
        return sums
    sizes = weight.new_zeros(bags).index_add(0, owner, counted).clamp(min=1)
    return sums / sizes[:, None]


HANDLERS: Handlers = {torch._weight_norm: weight_norm, torch.cdist: cdist, F.embedding_bag: embedding_bag}


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention by its formula, which can be differentiated twice, instead of a fused kernel."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:  # before torch 2.3
        with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_math=True, enable_mem_efficient=False):
            yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


def refused(error: RuntimeError, run: Callable[[], Any], module: nn.Module) -> RuntimeError | None:
    """The error in words if torch lacks a second derivative, with the layer that asked for it."""
    found = _MISSING.search(str(error))
    if found is None:
        return None
    operation = (found.group(1) or found.group(2)).strip("_")
    return RuntimeError(
        f"torch has no second derivative of {operation!r}{_where(operation, run, module)}, so there is no exact "
        "product with the Hessian; give the objective hvp='finite_difference'."
    )


def _where(operation: str, run: Callable[[], Any], module: nn.Module) -> str:
    """The innermost layer whose output comes out of the operation."""
    key = re.sub(r"(backward|forward|_)", "", operation.lower())
    found: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            before = [t for t in inputs if isinstance(t, Tensor)]
            mine = isinstance(output, Tensor) and _reaches(output.grad_fn, key, depth=6)
            if mine and not any(_reaches(tensor.grad_fn, key, depth=6) for tensor in before):
                found.append(name)

        return hook

    handles = [layer.register_forward_hook(note(name)) for name, layer in module.named_modules()]
    try:
        with torch.enable_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return " (in the loss)"
    return f" (layer {found[0]!r})" if found[0] else " (in the network's own forward)"


def _reaches(node: Any, key: str, depth: int) -> bool:
    if node is None or not depth:
        return False
    if key in node.name().lower().replace("_", ""):
        return True
    return any(_reaches(parent, key, depth - 1) for parent, _ in node.next_functions)
