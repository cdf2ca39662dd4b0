"""Would several seeds of a small network train faster together? Stacked weights under ``vmap`` against one by one.

Both sides are bare torch loops over the same batches with the same fused Adam: one trains ``--seeds`` networks in turn,
the other holds their weights in one tensor a layer (``torch.func.stack_module_state``) and steps all of them at once,
each on the batch of its own permutation. The losses in the end show that both do the same work; their weights differ,
because the biases before a BatchNorm have no slope but rounding, which Adam makes a step of. Repeats alternate; the
ratio is the median over the pairs, above 1 where together is faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from flatmin.data.batches import Pair, ShuffledBatches
from flatmin.networks import F1
from flatmin.training import start_network

Weights = dict[str, Tensor]


def networks(seeds: int, width: int) -> list[nn.Module]:
    return [start_network(lambda: F1((64,), 10, width=width), seed).train() for seed in range(seeds)]


def one_by_one(starts: list[nn.Module], data: Pair, batch_size: int, epochs: int) -> list[Weights]:
    for seed, network in enumerate(starts):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        for epoch in range(epochs):
            for inputs, targets in ShuffledBatches(*data, batch_size, seed=seed, epoch=epoch):
                optimizer.zero_grad()
                F.cross_entropy(network(inputs), targets).backward()
                optimizer.step()
    return [network.state_dict() for network in starts]


def together(starts: list[nn.Module], data: Pair, batch_size: int, epochs: int) -> list[Weights]:
    weights, buffers = stack_module_state(starts)
    optimizer = torch.optim.Adam(weights.values(), lr=1e-3, fused=True)

    def loss(own: Weights, averages: Weights, inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(starts[0], (own, averages), (inputs,)), targets)

    of_each = torch.vmap(loss)
    for epoch in range(epochs):
        streams = [ShuffledBatches(*data, batch_size, seed=seed, epoch=epoch) for seed in range(len(starts))]
        for batches in zip(*streams, strict=True):
            optimizer.zero_grad()
            inputs, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
            of_each(weights, buffers, inputs, targets).sum().backward()
            optimizer.step()
    return [{name: tensor[index] for name, tensor in (weights | buffers).items()} for index in range(len(starts))]


def losses(ends: list[Weights], data: Pair, width: int) -> list[float]:
    network = F1((64,), 10, width=width).eval()
    with torch.no_grad():
        return [float(F.cross_entropy(functional_call(network, end, (data.inputs,)), data.targets)) for end in ends]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="networks (default: %(default)s)")
    parser.add_argument("--width", type=int, default=256, help="units a layer of F1 (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=2, help="epochs a run (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    digits = load_digits()
    data = Pair(torch.tensor(digits.data[:1437] / 16).float(), torch.tensor(digits.target[:1437]))
    sides: dict[str, Callable[..., list[Weights]]] = {"one by one": one_by_one, "together": together}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(-1, chosen.repeats):
        ends = {}
        for side in sorted(sides, reverse=repeat % 2 == 0):
            starts = networks(chosen.seeds, chosen.width)
            begin = time.process_time()
            ends[side] = sides[side](starts, data, chosen.batch_size, chosen.epochs)
            if repeat >= 0:
                seconds[side].append((time.process_time() - begin) / chosen.epochs / chosen.seeds)
    ratios = [alone / both for alone, both in zip(*seconds.values(), strict=True)]
    print(f"torch {torch.__version__}, {chosen.threads} thread(s), CPU time; F1 on digits, {vars(chosen)}")
    for side, times in seconds.items():
        print(f"{side:<11}{statistics.median(times):8.3f} s an epoch and seed")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})")
    for side, end in ends.items():
        print(f"{side:<11}training losses in the end:", *(f"{loss:.4f}" for loss in losses(end, data, chosen.width)))


if __name__ == "__main__":
    main()
