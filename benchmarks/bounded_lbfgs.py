"""What flatmin's bounded L-BFGS costs and finds beside SciPy's, on the networks of the paper.

Both climb from the same point of the same box around the same lightly trained network, for the same number of
iterations. Seconds an iteration are those outside the network: the time of the climb less that of its evaluations.
Losses are 1e-3 relative apart at most where the two agree; evaluations may differ by a few once nothing is gained.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize
from torch import Tensor
from torch.nn import functional as F

from flatmin.objective.objective import Objective
from flatmin.sharpness.bounded_lbfgs import bounded_lbfgs
from subjects import CLOCK_HELP, CLOCKS, NETWORKS, patterns


@dataclass
class Timed:
    """The loss to climb, with what it cost."""

    objective: Objective
    clock: Callable[[], float]
    evaluations: int = 0
    seconds: float = 0.0
    highest: float = -float("inf")

    def __call__(self, z: Tensor) -> tuple[float, Tensor]:
        """Minus the loss at theta + z, and its gradient."""
        begin = self.now()
        value, gradient = self.objective.value_and_gradient(self.objective.theta + z)
        loss = float(value)
        self.evaluations += 1
        self.highest = max(self.highest, loss)
        self.seconds += self.now() - begin
        return -loss, -gradient

    def now(self) -> float:
        """Seconds, with all work on a GPU done."""
        if self.objective.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock()


def trained(name: str, examples: int, steps: int, device: str) -> Objective:
    """A network after some steps of Adam on images of one noisy pattern a class."""
    torch.manual_seed(0)
    network = NETWORKS[name].build().to(device)
    inputs, targets = (part.to(device) for part in patterns(NETWORKS[name], examples))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
    return Objective(network, F.cross_entropy, [(inputs, targets)], batch_norm="batch")


def with_flatmin(loss: Timed, z: Tensor, half_width: Tensor, iterations: int) -> int:
    return sum(1 for _ in islice(bounded_lbfgs(loss, z, half_width), iterations))


def with_scipy(loss: Timed, z: Tensor, half_width: Tensor, iterations: int) -> int:
    def descend(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = loss(torch.from_numpy(x).to(z))
        return value, gradient.cpu().double().numpy()

    limit = half_width.cpu().double().numpy()
    options = {"maxiter": iterations, "maxcor": 10, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0}
    start, bounds = z.cpu().double().numpy(), Bounds(-limit, limit)
    return int(minimize(descend, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).nit)


SIDES = {"scipy": with_scipy, "flatmin": with_flatmin}


def measure(
    name: str, start: str, examples: int, steps: int, iterations: int, device: str, clock: Callable[[], float]
) -> Iterator[str]:
    objective = trained(name, examples, steps, device)
    base, slope = objective.value_and_gradient()
    half_width = 1e-3 * (objective.theta.abs() + 1)
    z = {"centre": torch.zeros_like(half_width), "sign": half_width / 2 * slope.sign()}[start]
    found: dict[str, tuple[float, float]] = {}
    for side, climb in SIDES.items():
        loss = Timed(objective, clock)
        begin = loss.now()
        done = climb(loss, z.clone(), half_width, iterations)
        outside = (loss.now() - begin - loss.seconds) / max(done, 1)
        found[side] = loss.highest, outside
        yield (
            f"{name:<8}{objective.size:>10}  {start:<7} {side:<8}{float(base):>11.4g}{loss.highest:>12.6g}{done:>6}"
            f"{loss.evaluations:>7}{outside:>11.4f}{loss.seconds / loss.evaluations:>11.4f}"
        )
    (theirs, slow), (ours, fast) = found["scipy"], found["flatmin"]
    apart = abs(ours / theirs - 1)
    yield f"{'':<28}relative difference {apart:.1e}, {slow / fast:.1f} times faster outside the network"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=["F1"])
    parser.add_argument("--starts", nargs="+", choices=["centre", "sign"], default=["centre", "sign"])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=256, help="in one batch (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of training (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=10, help="of each climb (default: %(default)s)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help=CLOCK_HELP)
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {chosen.threads} thread(s), {chosen.device}, {chosen.clock} time")
    print("network    weights  start   by        loss at 0     highest  iter  evals  s/it vector  s/eval")
    settings = chosen.examples, chosen.steps, chosen.iterations, chosen.device, CLOCKS[chosen.clock]
    for name in chosen.networks:
        for start in chosen.starts:
            for line in measure(name, start, *settings):
                print(line, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
