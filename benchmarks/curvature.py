r"""What curvature costs: eigenvalues, trace and density of F1's Hessian beside other libraries and a loop of torch.

F1 is trained on MNIST, where the data are found, else on patterns under noise; the loss is that on 2,000 examples, in
evaluation mode and float32. Three tasks: the five largest eigenvalues to 1e-3, the trace to a relative standard error
of 2 %, and one probe of the spectral density of 50 steps. Beside flatmin stand PyHessian, hessian-eigenthings,
curvlinops (eigenvalues by SciPy's ``eigsh``) and a loop written out, which keeps its graph and orthogonalises twice.

Results before times: eigenvalues are held against a process in float64, the trace against its exact value (a network
of ReLUs in evaluation mode is linear in each single weight, so the trace of its Hessian is that of Fisher's
information, and that a sum of squares), of the density the five largest nodes. Times are CPU seconds of one thread from
the network to the number, all set-up included, candidates in turn, medians; each repeat draws anew. What a library
leaves to its user to know (steps, probes, tolerance, the ends of the spectrum) is found beforehand and costs it
nothing.

    python benchmarks/curvature.py

Libraries that are absent are named and left out. They want an environment of their own, for curvlinops' backpack brings
torchvision, and with it another torch; ``--no-deps`` prevents that::

    python -m venv peers && . peers/bin/activate
    pip install torch==2.13.0 --index-url INDEX_OF_CPU_BUILDS
    pip install -c constraints.txt . opt-einsum einops linear_operator unfoldNd
    pip install --no-deps curvlinops-for-pytorch==3.0.1 backpack-for-pytorch==1.7.1 einconv==0.1.0 \
        hessian-eigenthings==1.0.0a5 PyHessian==0.1
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from curvature_peers import DENSITY, EIGENVALUES, TRACE, Answer, Loop, Task, Work, absent, drawn_seed
from flatmin import Objective, spectral_density, top_eigenvalues, trace
from flatmin.core.allocator import keep_freed_memory
from flatmin.core.errors import DataError
from flatmin.data import load
from flatmin.networks import F1
from subjects import NETWORKS, patterns

Error = Callable[[Answer], float]


def trained(examples: int, epochs: int) -> tuple[nn.Module, Tensor, Tensor, str]:
    """F1 after some epochs of Adam on 10,000 examples, and the first of these."""
    torch.manual_seed(0)
    try:
        data = load("mnist", download=False)
        inputs, targets, name = data.train.inputs[:10_000], data.train.targets[:10_000], "MNIST"
    except DataError:
        (inputs, targets), name = patterns(NETWORKS["F1"], 10_000), "patterns under noise (MNIST is not here)"
    model = F1()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for some in torch.randperm(len(targets)).split(250):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[some]), targets[some]).backward()
            optimizer.step()
    return model.eval(), inputs[:examples].clone(), targets[:examples].clone(), name


def exact_trace(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    r""":math:`\frac{1}{N} \sum_{n,c} p_{nc} \|\nabla \log p_{nc}\|^2` in float64, layer by layer."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Linear | nn.BatchNorm1d):
            seen.append((layer, given[0].detach(), output))

    network = Work(model, []).network().double()
    handles = [layer.register_forward_hook(note) for layer in network.modules()]
    scores = network(inputs.double()).log_softmax(1)
    for handle in handles:
        handle.remove()
    total = 0.0
    for one in range(scores.shape[1]):
        slopes = torch.autograd.grad(scores[:, one].sum(), [output for _, _, output in seen], retain_graph=True)
        squares = torch.zeros(len(targets), dtype=torch.float64)
        for (layer, given, _), slope in zip(seen, slopes, strict=True):
            if isinstance(layer, nn.BatchNorm1d):
                spread = (layer.running_var + layer.eps).sqrt()  # type: ignore[operator]
                squares += (slope * (given - layer.running_mean) / spread).square().sum(1) + slope.square().sum(1)  # type: ignore[operator]
            else:
                squares += slope.square().sum(1) * (given.square().sum(1) + 1)
        total += float(scores[:, one].exp().detach() @ squares) / len(targets)
    return total


def flatmin_tasks(work: Work) -> dict[str, Callable[[Work], Answer]]:
    def objective() -> Objective:
        return Objective(work.model, F.cross_entropy, work.batches)

    def eigenvalues(_: Work) -> Answer:
        found = top_eigenvalues(objective(), k=5, tolerance=1e-3, seed=drawn_seed())
        return Answer(found.values, found.products)

    def its_trace(_: Work) -> Answer:
        found = trace(objective(), relative_error=0.02, seed=drawn_seed())
        return Answer(torch.tensor([float(found)]), found.products, found.standard_error)

    def density(_: Work) -> Answer:
        found = spectral_density(objective(), probes=1, steps=50, seed=drawn_seed())
        return Answer(found.nodes[0], found.products)

    return {"eigenvalues": eigenvalues, "trace": its_trace, "density": density}


def tell_eigenvalues(work: Work, names: set[str], values: Tensor) -> None:
    """Find how many steps and which tolerance the libraries need."""
    known = work.told
    if "hessian-eigenthings" in names:
        while EIGENVALUES["hessian-eigenthings"](work).standard_error > 0 and known.steps < 50:
            known.steps += 5
    if "pyhessian" in names:
        while worst(EIGENVALUES["pyhessian"](work), values) > 1e-3 and known.tolerance > 1e-6:
            known.tolerance /= 10


def tell_trace(work: Work, names: set[str], true: float, products: int) -> None:
    """Find how many probes they need; XTrace, which says no error, gets as many products as flatmin."""
    known = work.told
    known.crossed = products // 2 * 2
    known.probes = TRACE["loop, Hutchinson"](work).products
    if "hessian-eigenthings" in names:
        while TRACE["hessian-eigenthings, Hutch++"](work).standard_error > 0.02 * true and known.sketched < 300:
            known.sketched += 15


def worst(answer: Answer, values: Tensor) -> float:
    """The largest relative error of the five largest."""
    found = answer.numbers.double().sort(descending=True).values[:5]
    return float(((found - values) / values).abs().max())


def compared(title: str, work: Work, task: Task, error: Error, repeats: int, *, squared: bool = False) -> None:
    """Run all in turn and print a line for each, ours first."""
    answers: dict[str, list[Answer]] = {name: [] for name in task}
    seconds: dict[str, list[float]] = {name: [] for name in task}
    failed: dict[str, str] = {}
    for repeat in range(repeats):
        for name, run in task.items():
            if name in failed:
                continue
            torch.manual_seed(repeat)
            begin = time.process_time()
            try:
                answers[name].append(run(work))
            except (AttributeError, RuntimeError, ValueError) as reason:
                failed[name] = str(reason).splitlines()[0]
                continue
            seconds[name].append(time.process_time() - begin)
    ours = statistics.median(seconds["flatmin"])
    print(
        f"\n{title}\n{'':<34}{'products':>9}{'error':>10}{'said':>8}{'CPU s':>8}{'a product':>11}{'over flatmin':>14}"
    )
    for name in task:
        if name in failed:
            print(f"{name:<34}fails: {failed[name]}")
            continue
        products = statistics.median(answer.products for answer in answers[name])
        errors = [error(answer) for answer in answers[name]]
        shown = math.sqrt(statistics.fmean(e**2 for e in errors)) if squared else max(errors)
        own = statistics.median(answer.standard_error for answer in answers[name]) if squared else math.nan
        said = "-" if math.isnan(own) else f"{own / abs(float(answers[name][0].numbers[0])):.1%}"
        total = statistics.median(seconds[name])
        figures = f"{products:>9.0f}{shown:>10.1e}{said:>8}{total:>8.2f}{total / products:>11.3f}{total / ours:>14.2f}"
        print(f"{name:<34}{figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2_000, help="in one batch (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=6, help="of training (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    tasks = ["density", "eigenvalues", "trace"]
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, help="default: all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    model, inputs, targets, name = trained(options.examples, options.epochs)
    work = Work(model, [(inputs, targets)])
    missing = absent()
    present = {"hessian-eigenthings", "curvlinops", "pyhessian"} - set(missing)
    for peer, reason in missing.items():
        print(f"absent: {peer} ({reason})")
    ritz = Loop(Work(work.network().double(), [(inputs.double(), targets)])).lanczos(45)[0]
    values, true = ritz[-5:].flip(0), exact_trace(model, inputs, targets)
    subject = f"F1 after {options.epochs} epochs on {name}, {options.examples} examples"
    print(f"torch {torch.__version__}, one thread; {subject}")
    print("eigenvalues " + ", ".join(f"{v:.6g}" for v in values.tolist()) + f"; trace {true:.6g}")
    ours = flatmin_tasks(work)
    work.told.ends = float(ritz[0]), float(ritz[-1])
    repeats = options.repeats

    def run(title: str, key: str, task: Task, error: Error, *, squared: bool = False) -> None:
        there = {who: its for who, its in task.items() if who.startswith(("loop", *present))}
        compared(title, work, {"flatmin": ours[key], **there}, error, repeats, squared=squared)

    if "density" in options.tasks:
        title = "density, one probe, 50 steps: its five largest nodes"
        run(title, "density", DENSITY, lambda answer: worst(answer, values))
    if "eigenvalues" in options.tasks:
        tell_eigenvalues(work, present, values)
        title = f"five largest eigenvalues to 1e-3 (told: steps {work.told.steps}, tolerance {work.told.tolerance:g})"
        run(title, "eigenvalues", EIGENVALUES, lambda answer: worst(answer, values))
    if "trace" in options.tasks:
        tell_trace(work, present, true, ours["trace"](work).products)
        title = "trace to 2 % (told: as many probes as the loop takes, as many products of Hutch++ as do)"
        run(title, "trace", TRACE, lambda answer: float(answer.numbers[0]) / true - 1, squared=True)


if __name__ == "__main__":
    main()
