"""What a pure function costs: an objective beside a plain loop of torch, CPU seconds of one thread.

Over the same batches, the plain loop puts nothing back, copies nothing and takes its product with the Hessian by
double backward anew each time (``torch.autograd.grad`` of the gradient). Both are measured in turn; the ratio is
plain over objective, more than 1 where the objective is faster. Products are repeated at one point, as in Lanczos.
``deep`` has 20 BatchNorm layers; for it the ratio of re-estimated statistics to those of the batch is given too.

    python benchmarks/objective.py --networks F1 C1 deep
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin import Objective
from flatmin.core.allocator import keep_freed_memory
from flatmin.networks import C1, F1

Batches = list[tuple[Tensor, Tensor]]
SHAPES = {"F1": (1, 28, 28), "C1": (3, 32, 32), "deep": (8,)}


def deep() -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(8, 64)]
    for _ in range(20):
        layers += [nn.BatchNorm1d(64), nn.Tanh(), nn.Linear(64, 64)]
    return nn.Sequential(*layers, nn.Linear(64, 10))


BUILD = {"F1": F1, "C1": C1, "deep": deep}


class PlainLoop:
    """The same numbers by the shortest way in torch.

    Args:
        model: The network, used as it is.
        batches: What it is evaluated on.
        batch: Whether BatchNorm takes the statistics of the batch.
    """

    def __init__(self, model: nn.Module, batches: Batches, *, batch: bool) -> None:
        self.model, self.batches = model.eval(), batches
        for layer in model.modules():
            if batch and isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.running_mean = layer.running_var = None
        self.parameters = list(model.parameters())
        self.examples = sum(len(targets) for _, targets in batches)

    def losses(self) -> list[Tensor]:
        return [F.cross_entropy(self.model(x), y) * (len(y) / self.examples) for x, y in self.batches]

    def value(self) -> Tensor:
        with torch.no_grad():
            return sum(self.losses(), torch.zeros(()))

    def gradient(self) -> Tensor:
        total: Tensor | float = 0.0
        for x, y in self.batches:
            loss = F.cross_entropy(self.model(x), y) * (len(y) / self.examples)
            parts = torch.autograd.grad(loss, self.parameters)
            total = total + torch.cat([part.reshape(-1) for part in parts])
        return torch.as_tensor(total)

    def product(self, vector: Tensor) -> Tensor:
        total: Tensor | float = 0.0
        pieces = vector.split([p.numel() for p in self.parameters])
        outer = [piece.view_as(p) for piece, p in zip(pieces, self.parameters, strict=True)]
        for x, y in self.batches:
            loss = F.cross_entropy(self.model(x), y) * (len(y) / self.examples)
            first = torch.autograd.grad(loss, self.parameters, create_graph=True)
            parts = torch.autograd.grad(first, self.parameters, outer)
            total = total + torch.cat([part.reshape(-1) for part in parts])
        return torch.as_tensor(total)


def seconds(task: Callable[[], object]) -> float:
    begin = time.process_time()
    task()
    return time.process_time() - begin


def compared(name: str, examples: int, batch_size: int, reading: str, repeats: int) -> None:
    torch.manual_seed(0)
    model = BUILD[name]()
    inputs, targets = torch.rand(examples, *SHAPES[name]), torch.randint(10, (examples,))
    if len(SHAPES[name]) == 3:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    batches = [(inputs[k : k + batch_size], targets[k : k + batch_size]) for k in range(0, examples, batch_size)]
    objective = Objective(model, F.cross_entropy, batches, batch_norm=reading)
    plain = PlainLoop(model, batches, batch=reading == "batch")
    vector = torch.randn(objective.size)
    pairs: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
        "value": (plain.value, objective.value),
        "gradient": (plain.gradient, objective.gradient),
        "product": (lambda: plain.product(vector), lambda: objective.hvp(vector)),
    }
    for work, (theirs, ours) in pairs.items():
        difference = float((theirs() - ours()).norm() / theirs().norm())
        ours()
        times = [(seconds(theirs), seconds(ours)) for _ in range(repeats)]
        ratio = statistics.median(a / b for a, b in times)
        own = statistics.median(b for _, b in times)
        print(f"{name:5} {reading:8} {work:9} {own:8.4f} s  plain/objective {ratio:5.2f}  difference {difference:.0e}")


def reestimated(name: str, examples: int, batch_size: int, repeats: int) -> None:
    torch.manual_seed(0)
    model = BUILD[name]()
    inputs, targets = torch.rand(examples, *SHAPES[name]), torch.randint(10, (examples,))
    batches = [(inputs[k : k + batch_size], targets[k : k + batch_size]) for k in range(0, examples, batch_size)]
    one, other = (Objective(model, F.cross_entropy, batches, batch_norm=b) for b in ("batch", "reestimate"))
    vector = torch.randn(one.size)
    for work in ("value", "gradient", "hvp"):
        arguments = [vector] if work == "hvp" else []
        tasks = [lambda o=o, w=work, a=arguments: getattr(o, w)(*a) for o in (one, other)]
        for task in tasks * 2:
            task()
        ratio = statistics.median(1 / (seconds(tasks[0]) / seconds(tasks[1])) for _ in range(repeats))
        print(f"{name:5} {work:9} reestimate/batch {ratio:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(BUILD), default=["F1", "C1", "deep"])
    parser.add_argument("--examples", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for name in options.networks:
        for reading in ("running", "batch"):
            compared(name, options.examples, options.batch_size, reading, options.repeats)
        if name == "deep":
            reestimated(name, options.examples, options.batch_size, options.repeats)


if __name__ == "__main__":
    main()
