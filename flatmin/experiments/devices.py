"""The device on which an experiment is computed."""

import torch

from flatmin.core.errors import ConfigError


def resolved_device(name: str) -> torch.device:
    """The device that a setting names; ``auto`` is a GPU if there is one.

    Raises:
        ConfigError: If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"resources.device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs; use 'auto'.")
    return device


def device_name(device: torch.device) -> str:
    """A device as people name it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
