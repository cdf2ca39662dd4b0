"""The states of every generator that code may draw from, put back after work that must not be felt."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave Python's, NumPy's and torch's generators (on every device) as they are found, also if the body raises.

    Example:
        >>> before = random.getstate()
        >>> with undisturbed():
        ...     drawn = random.random()
        >>> random.getstate() == before
        True
    """
    python, numpy = random.getstate(), np.random.get_state()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    metal = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if metal is not None:
            torch.mps.set_rng_state(metal)
