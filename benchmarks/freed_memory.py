"""What reusing freed memory saves: CPU seconds with the C library's defaults over those with `keep_freed_memory`.

Every measurement is a process of its own, since the setting lasts as long as its process; both ways alternate. System
time counts: it is where the page faults of large tensors are. The work is what an experiment does: an epoch of
training, the loss over a data set, and the loss with its gradient that a search for sharpness asks for.

    python benchmarks/freed_memory.py --networks C1 F1
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from flatmin.core.allocator import keep_freed_memory
from flatmin.data.batches import Pair, fixed_batches
from flatmin.objective.objective import Objective
from flatmin.training import TrainingSettings, start_network, train
from subjects import NETWORKS, noise, without_records

WORK = ("training", "loss", "gradient")


def tasks(name: str, examples: int, batch_size: int) -> dict[str, Callable[[], object]]:
    without_records()
    subject = NETWORKS[name]
    data, network = noise(subject, examples, torch.device("cpu")), start_network(subject.build, 0)
    few = Pair(data.inputs[:2], data.targets[:2])
    objective = Objective(network, F.cross_entropy, fixed_batches(*data, 5000), batch_norm="batch")
    settings = TrainingSettings(batch_size=batch_size, epochs=1)
    return {
        "training": lambda: train(start_network(subject.build, 0), data, few, settings),
        "loss": objective.evaluate,
        "gradient": objective.value_and_gradient,
    }


def measured(name: str, work: str, kept: bool, examples: int, batch_size: int) -> tuple[float, float]:
    """CPU seconds of one round after another that is not counted, and the peak of memory in GB."""
    if kept and not keep_freed_memory():
        raise SystemExit("keep_freed_memory() did nothing here: no glibc, or the environment chooses an allocator.")
    task = tasks(name, examples, batch_size)[work]
    task()
    begin = time.process_time()
    task()
    return time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=["F1", "C1"])
    parser.add_argument("--examples", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="of training (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of processes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--single", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.single:
        name, work, kept = json.loads(chosen.single)
        print(json.dumps(measured(name, work, kept, chosen.examples, chosen.batch_size)))
        return
    print(f"torch {torch.__version__}, {chosen.threads} thread(s), CPU time, {chosen.examples:,} examples")
    print("network work        default s     kept s   ratio  range            default GB  kept GB")
    for name in chosen.networks:
        for work in WORK:
            pairs = []
            for repeat in range(chosen.repeats):
                order = [False, True] if repeat % 2 else [True, False]
                pairs.append({kept: alone([name, work, kept]) for kept in order})
            ratios = [pair[False][0] / pair[True][0] for pair in pairs]
            seconds, memory = ([[pair[kept][place] for pair in pairs] for kept in (False, True)] for place in (0, 1))
            cells = [statistics.median(values) for values in (*seconds, *memory)]
            print(
                f"{name:<8}{work:<9}{cells[0]:>12.2f}{cells[1]:>11.2f}{statistics.median(ratios):>8.2f}  "
                f"{f'{min(ratios):.2f} - {max(ratios):.2f}':<15}{cells[2]:>12.2f}{cells[3]:>9.2f}",
                flush=True,
            )


def alone(what: list[str | bool]) -> tuple[float, float]:
    """The measurement in a process of its own, with the other settings of this one."""
    command = [sys.executable, *sys.argv, "--single", json.dumps(what)]
    seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, memory


if __name__ == "__main__":
    main()
