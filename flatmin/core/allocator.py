"""Keeping freed memory: on Linux the C library returns every large tensor to the kernel and has it zeroed anew."""

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_CHOSEN_BY_USER = ("LD_PRELOAD", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Have this process reuse the memory of freed tensors, for all its life.

    By default glibc maps each allocation of many megabytes on its own and unmaps it when it is freed, so that every
    activation of a convolutional network costs one page fault for each 4 KiB. Kept memory costs none; the process may
    hold up to about twice the memory. Numbers do not change.

    Returns:
        Whether it was done: not without glibc, nor where the environment already chooses an allocator or its settings
        (``MALLOC_...``, ``GLIBC_TUNABLES``, ``LD_PRELOAD``).
    """
    chosen = any(name in _CHOSEN_BY_USER or name.startswith("MALLOC_") for name in os.environ)
    if chosen or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
