"""Run an experiment to its end while killing it again and again; started by test_killed_runs.py.

Everything is imported once; each attempt is a fork of this process, so that kills fall into the work.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import flatmin.figures
import flatmin.training.trainer
from flatmin.data import load
from flatmin.experiments import Study, load_experiment, run
from flatmin.experiments.runner import UNFINISHED

KILLS = 10


def attempt(file: Path, results: Path) -> int:
    """Start the experiment in a process of its own."""
    child = os.fork()
    if not child:
        run(Study.of(load_experiment(file), results=results))
        os._exit(0)
    return child


def killed_runs(file: Path, results: Path, duration: float) -> None:
    """Kill at random moments, each in what is left of the work, and say what the kill left unfinished."""
    draw = random.Random(0)
    for _ in range(KILLS):
        child = attempt(file, results)
        time.sleep(draw.uniform(0.03, 0.2) * duration)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        unfinished = {path.name for name in UNFINISHED for path in results.rglob(name)}
        print(len(list(results.rglob("result.json"))), *sorted(unfinished), flush=True)


if __name__ == "__main__":
    file, whole, cut = map(Path, sys.argv[1:])
    flatmin.training.trainer.CHECKPOINT_SECONDS = 0.0
    flatmin.figures.render = lambda tables, out: out.mkdir(exist_ok=True) or []
    load("digits")
    started = time.monotonic()
    assert os.waitpid(attempt(file, whole), 0)[1] == 0
    killed_runs(file, cut, time.monotonic() - started)
    assert os.waitpid(attempt(file, cut), 0)[1] == 0
