"""Random numbers that a network draws while it is evaluated: the same ones at every point.

A function that draws anew at each call has no maximum to search and no slope. With *common random numbers* it is one
function again: before each batch the global generators are set to a seed of that batch, and afterwards they are given
back as they were.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Draws:
    """The global generators of torch, and of numpy and Python where a network draws from those.

    Args:
        device: Where the network is evaluated.
        seed: Distinguishes one set of draws from another.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        self.seed = seed
        self.everywhere = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give all generators back as they were."""
        others = _others() if self.everywhere else None
        devices = [] if self.device.type == "cpu" else [self.device.index or 0]
        kind = "cuda" if self.device.type == "cpu" else self.device.type
        with torch.random.fork_rng(devices, device_type=kind):
            try:
                yield
            finally:
                if others is not None:
                    random.setstate(others[0])
                    np.random.set_state(others[1])

    def begin(self, batch: int) -> None:
        """Set the generators for a batch."""
        seed = (self.seed << 24) + batch
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index or 0].manual_seed(seed)
        elif self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(seed)
        if self.everywhere:
            random.seed(seed)
            np.random.seed(seed % 2**32)

    def drawn(self) -> tuple[Any, ...]:
        """What tells whether something was drawn: the states of all generators."""
        states = [torch.get_rng_state().numpy().tobytes()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device).numpy().tobytes())
        numbers, numpy_state = _others()
        return (*states, numbers, numpy_state[1].tobytes(), numpy_state[2:])


def _others() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()
