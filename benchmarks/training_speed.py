"""What Lightning costs: seconds an epoch of ``flatmin.training.train`` over those of a bare torch loop.

Both sides train the same network from the same start on the same tensors, batches, dropout seeds and fused Adam, and
the script says whether they end with the same bits. The loop does no more than that. On flatmin's side everything
that ``train`` does counts, set-up included (trainer, callbacks, a copy of the final state), except the evaluation of
the whole data after each epoch: the loop keeps no such record, so here it returns a constant. Repeats are interleaved,
and the ratio is the median over the pairs.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from flatmin.data.batches import Pair, ShuffledBatches, epoch_seed
from flatmin.training import TrainingSettings, start_network, train
from subjects import CLOCK_HELP, CLOCKS, NETWORKS, noise, without_records


def bare_loop(network: nn.Module, data: Pair, batch_size: int, epochs: int) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=torch.__version__ >= "2.4")
    network.train()
    for epoch in range(epochs):
        torch.manual_seed(epoch_seed(0, epoch))
        for inputs, targets in ShuffledBatches(*data, batch_size, seed=0, epoch=epoch):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), targets).backward()
            optimizer.step()


def with_flatmin(network: nn.Module, data: Pair, batch_size: int, epochs: int) -> None:
    few = Pair(data.inputs[:2], data.targets[:2])
    train(network, data, few, TrainingSettings(batch_size=batch_size, epochs=epochs))


def measure(name: str, examples: int, batch_size: int, epochs: int, repeats: int, clock: Callable[[], float]) -> str:
    subject = NETWORKS[name]
    data = noise(subject, examples, torch.device("cpu"))
    sides = {"loop": bare_loop, "flatmin": with_flatmin}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(-1, repeats):
        ends = []
        for side in sorted(sides, reverse=repeat % 2 == 0):
            network = start_network(subject.build, 0)
            count = epochs if repeat >= 0 else 1
            begin = clock()
            sides[side](network, data, batch_size, count)
            if repeat >= 0:
                seconds[side].append((clock() - begin) / epochs)
            ends.append(network.state_dict())
    equal = all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    ratios = [ours / theirs for ours, theirs in zip(seconds["flatmin"], seconds["loop"], strict=True)]
    times = [statistics.median(seconds[side]) for side in ("loop", "flatmin")]
    spread = f"{min(ratios):.3f} - {max(ratios):.3f}"
    return (
        f"{name:<8}{examples:>9}{times[0]:>12.3f}{times[1]:>13.3f}{statistics.median(ratios):>9.3f}"
        f"  {spread:<15}  {'yes' if equal else 'no'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=["F1", "C1"], default=["F1", "C1"])
    parser.add_argument("--f1-examples", type=int, default=10_000, help="28 x 28 images for F1 (default: %(default)s)")
    parser.add_argument("--c1-examples", type=int, default=2_048, help="32 x 32 images for C1 (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=3, help="epochs a run (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help=CLOCK_HELP)
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    without_records()
    examples = {"F1": chosen.f1_examples, "C1": chosen.c1_examples}
    print(
        f"torch {torch.__version__}, {chosen.threads} thread(s), {chosen.clock} time, "
        f"batch {chosen.batch_size}, {chosen.epochs} epochs a run"
    )
    print("network  examples   loop s/ep  flatmin s/ep   ratio  range            same bits")
    for name in chosen.networks:
        sizes = examples[name], chosen.batch_size, chosen.epochs, chosen.repeats
        print(measure(name, *sizes, CLOCKS[chosen.clock]), flush=True)


if __name__ == "__main__":
    main()
