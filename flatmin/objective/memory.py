"""How much memory a graph may take."""

import os
from pathlib import Path

import torch

SHARE = 0.4
"""Of the memory that is free, the part that kept graphs may take."""

UNKNOWN = 2**31
"""Bytes taken to be free where the system does not tell."""


def free(device: torch.device) -> int:
    """Bytes that are free where ``device`` computes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_system(), _container())


def fits(count: float, device: torch.device) -> bool:
    """Whether so many bytes may be kept."""
    return count <= SHARE * free(device)


def _system() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN


def _container() -> int:
    """What a memory limit of the process' group leaves."""
    folder = Path("/sys/fs/cgroup")
    try:
        return int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return 2**63
