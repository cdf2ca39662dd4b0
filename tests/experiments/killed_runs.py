"""Run an experiment to its end while stopping it again and again; started by test_killed_runs.py.

Everything is imported once; each attempt is a fork of this process, so that signals fall into the work. A line is
printed for each: how the attempt ended, what it said, how many records there are and what is unfinished.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import flatmin.figures
import flatmin.training.trainer
from flatmin.cli import main
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run  # noqa: F401
from flatmin.experiments.runner import UNFINISHED


def attempt(file: Path, results: Path, said: Path) -> int:
    """Start the command in a process of its own."""
    child = os.fork()
    if not child:
        for number in (1, 2):
            os.dup2(os.open(said if number == 2 else os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["flatmin", "run", str(file), "--results", str(results)]
        main()
    return child


def wait_for_handler(child: int) -> None:
    """Wait until a process answers SIGTERM by itself, which the command does from its first moment on."""
    caught, deadline = 0, time.monotonic() + 10
    while not caught >> (signal.SIGTERM - 1) & 1 and time.monotonic() < deadline:
        time.sleep(0.005)
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
        caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)


def stopped_runs(file: Path, results: Path, duration: float, number: int, times: int) -> None:
    """Stop at random moments, each in what is left of the work, and say what that left unfinished."""
    draw = random.Random(number)
    said = results.with_suffix(".said")
    for _ in range(times):
        child = attempt(file, results, said)
        wait_for_handler(child)
        time.sleep(draw.uniform(0, 0.8 / times) * duration)
        os.kill(child, number)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        unfinished = sorted({path.name for name in UNFINISHED for path in results.rglob(name)})
        records = len(list(results.rglob("result.json")))
        print(status, " / ".join(said.read_text().strip().splitlines()), records, *unfinished, sep="|", flush=True)


if __name__ == "__main__":
    file, whole, cut = map(Path, sys.argv[1:4])
    number, times = signal.Signals[sys.argv[4]], int(sys.argv[5])
    flatmin.training.trainer.CHECKPOINT_SECONDS = 0.0
    flatmin.figures.render = lambda tables, out: out.mkdir(exist_ok=True) or []
    load("digits")
    started = time.monotonic()
    assert os.waitpid(attempt(file, whole, whole.with_suffix(".said")), 0)[1] == 0
    stopped_runs(file, cut, time.monotonic() - started, number, times)
    assert os.waitpid(attempt(file, cut, cut.with_suffix(".said")), 0)[1] == 0
