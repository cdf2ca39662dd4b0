"""The arithmetic of an objective, whatever the code around it has switched on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import backends

Settings = tuple[Any, ...]

if hasattr(backends.cudnn, "conv"):  # torch 2.9 names the precision of each kind of operation
    _mkldnn: Any = backends.mkldnn
    _KINDS = (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        _mkldnn.matmul,
        _mkldnn.conv,
        _mkldnn.rnn,
    )
    _FULL: Settings = ("ieee",) * len(_KINDS)

    def _exchange(settings: Settings) -> Settings:
        before = tuple(kind.fp32_precision for kind in _KINDS)
        for kind, precision in zip(_KINDS, settings, strict=True):
            kind.fp32_precision = precision
        return before

else:
    _FULL = ("highest", False)

    def _exchange(settings: Settings) -> Settings:
        before = (torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32)
        torch.set_float32_matmul_precision(settings[0])
        backends.cudnn.allow_tf32 = settings[1]
        return before


RESOLVED = 32
"""Half-widths of so many machine epsilons of the weights' dtype: below, rounding decides what a search finds. In
float32 on small networks sharpness at a half-width of 1e-6 was off by up to 12 %, at 1e-8 six times, at 1e-9 zero."""


def resolves(epsilon: float, dtype: torch.dtype) -> bool:
    """Whether a box of that half-width is wide enough for numbers of that kind."""
    return epsilon >= RESOLVED * torch.finfo(dtype).eps


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, no inference mode, and float32 products in float32: neither TF32 nor bfloat16."""
    before = _exchange(_FULL)
    try:
        with torch.autocast(device.type, enabled=False), torch.inference_mode(False):
            yield
    finally:
        _exchange(before)
