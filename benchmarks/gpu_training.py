"""Seconds an epoch of ``flatmin.training.train`` on a GPU (or CPU), over those of a loop with no framework at all.

The loop is written here: the data lie on the device, a permutation is drawn there, batches are indexed out of it, Adam
is fused, nothing is recorded. flatmin's side is ``train`` as it is, set-up included, but for the records that it takes
of all data after every epoch: they are a constant here, and one is timed on its own. A warm-up on a few batches is not
counted (kernels are chosen and compiled there); then both sides alternate, and the ratio is the median over the pairs.

    python benchmarks/gpu_training.py --networks C1 C2 C3 C4 --precisions float32 bfloat16 --compile no yes
    python benchmarks/gpu_training.py --device cpu --examples 2048 --epochs 2
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from flatmin.data.batches import Pair, fixed_batches
from flatmin.objective.channels import is_convolutional
from flatmin.objective.objective import Objective
from flatmin.training import TrainingSettings, start_network, train
from subjects import NETWORKS, noise, without_records


class Case(NamedTuple):
    """What one line of the table is about."""

    network: str
    precision: str
    compiled: bool
    batch_size: int
    epochs: int


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Until the device has done all of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def bare_loop(network: nn.Module, data: Pair, case: Case, layout: torch.memory_format) -> None:
    inputs, targets = data.inputs, data.targets
    if is_convolutional(network):
        network.to(memory_format=layout)
        inputs = inputs.contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    network.train()
    for _ in range(case.epochs):
        order = torch.randperm(len(targets), device=targets.device)
        for chosen in order.split(case.batch_size):
            with torch.autocast(targets.device.type, torch.bfloat16, enabled=case.precision == "bfloat16"):
                loss = F.cross_entropy(network(inputs[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def with_flatmin(network: nn.Module, data: Pair, case: Case) -> None:
    settings = TrainingSettings(case.batch_size, epochs=case.epochs, precision=case.precision)
    few = Pair(data.inputs[:2], data.targets[:2])
    train(network, data, few, settings, device=data.inputs.device)


def measure(case: Case, examples: int, repeats: int, device: torch.device, layout: torch.memory_format) -> str:
    subject = NETWORKS[case.network]
    data = noise(subject, examples, device)
    few = case.batch_size + examples % case.batch_size

    def fresh() -> nn.Module:
        network = start_network(subject.build, 0).to(device)
        if case.compiled:
            network.compile(dynamic=False)
        return network

    sides = {"loop": partial(bare_loop, layout=layout), "flatmin": with_flatmin}
    for work in sides.values():
        work(fresh(), Pair(data.inputs[:few], data.targets[:few]), case._replace(epochs=1))
    pairs = []
    for repeat in range(repeats):
        order = sorted(sides, reverse=repeat % 2 == 0)
        pairs.append({side: seconds(partial(sides[side], fresh(), data, case), device) / case.epochs for side in order})
    objective = Objective(fresh(), F.cross_entropy, fixed_batches(*data, 5000))
    record = seconds(objective.evaluate, device)
    ratios = [pair["flatmin"] / pair["loop"] for pair in pairs]
    loop, ours = (statistics.median(pair[side] for pair in pairs) for side in sides)
    return (
        f"{case.network:<8}{case.precision:<10}{'yes' if case.compiled else 'no':<9}{loop:>11.3f}{ours:>13.3f}"
        f"{statistics.median(ratios):>8.3f}  {f'{min(ratios):.3f} - {max(ratios):.3f}':<15}"
        f"{examples / ours:>12,.0f}{record:>12.3f}"
    )


def card(device: torch.device) -> str:
    if device.type == "cuda":
        return (
            f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        )
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=["C1"])
    parser.add_argument("--examples", type=int, default=50_000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=5, help="epochs a run (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument("--compile", nargs="+", choices=["no", "yes"], default=["no"], help="both sides compiled")
    parser.add_argument(
        "--channels-last",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="layout of the loop's images and convolutions; flatmin's are always channels-last (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="on the CPU (default: %(default)s)"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    without_records()
    device = torch.device(chosen.device)
    layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
    print(f"{card(device)}; torch {torch.__version__}, Python {platform.python_version()}")
    print(
        f"{chosen.examples:,} examples, batch {chosen.batch_size}, {chosen.epochs} epochs a run, "
        f"{chosen.repeats} pairs; the loop's images are {'channels-last' if chosen.channels_last else 'contiguous'}"
    )
    print("network precision compiled  loop s/ep flatmin s/ep   ratio  range            examples/s  s a record")
    for network, precision, compiled in product(chosen.networks, chosen.precisions, chosen.compile):
        case = Case(network, precision, compiled == "yes", chosen.batch_size, chosen.epochs)
        print(measure(case, chosen.examples, chosen.repeats, device, layout), flush=True)


if __name__ == "__main__":
    main()
