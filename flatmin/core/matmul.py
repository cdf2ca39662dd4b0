"""Products of float32 matrices on a processor by whichever of torch's two libraries is faster at the same accuracy.

torch multiplies float32 matrices by MKL, which does without AVX-512 on AMD; oneDNN uses it, and is twice as fast.
torch goes to oneDNN only where somebody allows it the arithmetic of bfloat16, which it takes where the processor has
matrix instructions for it (AMX), and nowhere else. So the permission is given only where products turn out exact.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, backends

LARGE = 2**16
"""Weights from which on it pays: a small product is over before oneDNN has begun."""
ROUNDING = 2e-6
"""Relative error that float32 leaves; bfloat16 leaves a thousand times as much."""

_mkldnn: Any = backends.mkldnn


@contextmanager
def fast_matmul(theta: Tensor) -> Iterator[None]:
    """Multiply the matrices of a network with weights ``theta`` by oneDNN where that is faster and as exact."""
    if theta.device.type != "cpu" or theta.dtype != torch.float32 or theta.numel() < LARGE or not _exact():
        yield
        return
    with _allowed():
        yield


@contextmanager
def _allowed() -> Iterator[None]:
    before, _mkldnn.matmul.fp32_precision = _mkldnn.matmul.fp32_precision, "bf16"
    try:
        yield
    finally:
        _mkldnn.matmul.fp32_precision = before


@cache
def _exact() -> bool:
    """Whether products keep float32's accuracy with the permission, as they lie and transposed."""
    if not hasattr(getattr(_mkldnn, "matmul", None), "fp32_precision"):  # before torch 2.9
        return False
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    pairs = [(left, right), (left.T, right), (left, right.T)]
    with torch.no_grad(), torch.autocast("cpu", enabled=False), _allowed():
        found = [one @ other for one, other in pairs]
    exact = [one.double() @ other.double() for one, other in pairs]
    return all(float((f - e).norm() / e.norm()) < ROUNDING for f, e in zip(found, exact, strict=True))
