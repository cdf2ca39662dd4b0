"""Freed memory that is kept is not asked for again: counted by the kernel's page faults."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from flatmin.core.allocator import keep_freed_memory

done = keep_freed_memory() if "keep" in sys.argv else False
for _ in range(6):  # the heap grows over the first ones
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(25_000_000)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(done, faults)
"""


def faults(*arguments: str, **environment: str) -> tuple[str, int]:
    chosen = {"LD_PRELOAD", "GLIBC_TUNABLES"}
    plain = {name: value for name, value in os.environ.items() if name not in chosen and name[:7] != "MALLOC_"}
    command = [sys.executable, "-c", FAULTS, *arguments]
    result = subprocess.run(command, env=plain | environment, capture_output=True, text=True, check=True)
    done, count = result.stdout.split()
    return done, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system's C library is not glibc")
def test_kept_memory_costs_no_page_faults():
    (_, plain), (done, kept) = faults(), faults("keep")
    assert done == "True"
    if plain < 1000:
        pytest.skip(f"this system takes {plain} page faults for 500 MB without any help")
    assert kept < plain / 10


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_chosen_is_left_alone(name):
    value = "1" if name.startswith("MALLOC") else "glibc.malloc.arena_max=1"
    assert faults("keep", **{name: value})[0] == "False"
