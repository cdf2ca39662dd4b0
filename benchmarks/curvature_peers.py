"""The curvature of a loss by other means than flatmin: a loop of torch, and the libraries that are installed.

Each does three tasks on a network and its batches and counts its own products with the Hessian. What a library leaves
to its user, such as how many steps or probes are enough, is told to it (:class:`Told`), so that it pays for one run
alone. A library that lacks a task raises in its own words.
"""

import copy
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Batches = list[tuple[Tensor, Tensor]]


class Answer(NamedTuple):
    """Numbers (eigenvalues, a trace, nodes of a density), products, and the standard error where one is said."""

    numbers: Tensor
    products: int
    standard_error: float = math.nan


@dataclass
class Told:
    """What a user of a library has to know beforehand.

    Attributes:
        ends: Smallest and largest eigenvalue.
        steps: Of hessian-eigenthings' Lanczos process, until its residuals are 1e-3 of the values.
        tolerance: Of PyHessian's power iteration, until its eigenvalues are right to 1e-3.
        probes: Of Hutchinson's estimator, until its standard error is 2 %.
        sketched: Products of Hutch++ for the same.
        crossed: Products of XTrace, which says no error.
    """

    ends: tuple[float, float] = (0.0, 1.0)
    steps: int = 25
    tolerance: float = 1e-3
    probes: int = 50
    sketched: int = 60
    crossed: int = 30


@dataclass
class Work:
    """A network, its batches, and what is to be known."""

    model: nn.Module
    batches: Batches
    told: Told = field(default_factory=Told)

    def network(self) -> nn.Module:
        """A copy, for some write into it."""
        return copy.deepcopy(self.model)


def drawn_seed() -> int:
    """By torch's own generator, from which the others draw."""
    return int(torch.randint(2**31, (1,)))


class Loop:
    """Products by double backward through graphs that are kept, one for each batch."""

    def __init__(self, work: Work) -> None:
        model = work.network()
        self.parameters = list(model.parameters())
        self.sizes = [p.numel() for p in self.parameters]
        self.size = sum(self.sizes)
        examples = sum(len(y) for _, y in work.batches)
        losses = (F.cross_entropy(model(x), y) * (len(y) / examples) for x, y in work.batches)
        self.graphs = [torch.autograd.grad(loss, self.parameters, create_graph=True) for loss in losses]
        self.products = 0

    def product(self, vector: Tensor) -> Tensor:
        self.products += 1
        outer = [part.view_as(p) for part, p in zip(vector.split(self.sizes), self.parameters, strict=True)]
        total: Tensor | float = 0.0
        for graph in self.graphs:
            parts = torch.autograd.grad(graph, self.parameters, outer, retain_graph=True)
            total = total + torch.cat([part.reshape(-1) for part in parts])
        return torch.as_tensor(total)

    def lanczos(self, steps: int, k: int = 0, tolerance: float = 0.0) -> tuple[Tensor, Tensor]:
        """Ritz values and vectors; with ``k`` only until the residuals of the k largest are small."""
        first = self.parameters[0]
        basis = torch.empty(steps, self.size, dtype=first.dtype)
        matrix = torch.zeros(steps, steps, dtype=torch.float64)
        vector = torch.randn(self.size, dtype=first.dtype)
        vector /= vector.norm()
        for j in range(steps):
            basis[j] = vector
            image = self.product(vector)
            rows, matrix[j, j] = basis[: j + 1], float(vector.double() @ image.double())
            for _ in range(2):
                image -= rows.T @ (rows @ image)
            beta = float(torch.linalg.vector_norm(image, dtype=torch.float64))
            values, vectors = torch.linalg.eigh(matrix[: j + 1, : j + 1])
            if k and j + 1 >= k and bool((beta * vectors[-1, -k:].abs() <= tolerance * values[-k:].abs()).all()):
                break
            if j + 1 < steps:
                matrix[j, j + 1] = matrix[j + 1, j] = beta
            vector = image / beta
        return values, vectors


def loop_eigenvalues(work: Work) -> Answer:
    loop = Loop(work)
    return Answer(loop.lanczos(100, 5, 1e-3)[0][-5:].flip(0), loop.products)


def loop_trace(work: Work) -> Answer:
    loop, found, error = Loop(work), list[float](), math.inf
    while len(found) < 12 or error > 0.02 * abs(sum(found) / len(found)):
        signs = torch.randint(2, (loop.size,)) * 2.0 - 1
        found.append(float(signs.double() @ loop.product(signs).double()))
        error = float(torch.tensor(found).std()) / math.sqrt(len(found)) if len(found) > 1 else math.inf
    return Answer(torch.tensor([sum(found) / len(found)]), loop.products, error)


def loop_density(work: Work) -> Answer:
    loop = Loop(work)
    return Answer(loop.lanczos(50)[0], loop.products)


class Eigenthings:
    """hessian-eigenthings; it weighs all batches alike, so they must be of one size."""

    def __init__(self, work: Work) -> None:
        self.library = importlib.import_module("hessian_eigenthings")
        self.products = 0
        loss = self.library.supervised_loss(F.cross_entropy)
        self.operator = self.library.HessianOperator(work.network(), work.batches, loss)
        product = self.operator.matvec

        def counted(vector: Tensor) -> Tensor:
            self.products += 1
            return torch.as_tensor(product(vector))

        self.operator.matvec = counted

    @staticmethod
    def eigenvalues(work: Work) -> Answer:
        its = Eigenthings(work)
        found = its.library.lanczos(
            its.operator, k=5, which="LA", tol=1e-3, max_iter=work.told.steps, seed=drawn_seed()
        )
        converged = 0.0 if bool(found.converged.all()) else math.inf
        return Answer(found.eigenvalues.double(), its.products, converged)

    @staticmethod
    def hutchinson(work: Work) -> Answer:
        return Eigenthings._trace(work, "hutchinson", work.told.probes)

    @staticmethod
    def sketched(work: Work) -> Answer:
        return Eigenthings._trace(work, "hutch++", work.told.sketched)

    @staticmethod
    def _trace(work: Work, method: str, products: int) -> Answer:
        its = Eigenthings(work)
        seed = drawn_seed()
        found = its.library.trace(its.operator, num_matvecs=products, method=method, seed=seed)
        return Answer(torch.tensor([found.estimate]), its.products, found.stderr)

    @staticmethod
    def density(work: Work) -> Answer:
        its = Eigenthings(work)
        seed = drawn_seed()
        found = its.library.spectral_density(its.operator, num_runs=1, lanczos_steps=50, seed=seed)
        return Answer(found.raw_eigenvalues[0].double(), its.products)


class Curvlinops:
    """curvlinops, with SciPy's ``eigsh`` for eigenvalues."""

    def __init__(self, work: Work) -> None:
        self.library = importlib.import_module("curvlinops")
        self.products = 0
        model = work.network()
        self.operator = self.library.HessianLinearOperator(
            model, nn.CrossEntropyLoss(), list(model.parameters()), work.batches, check_deterministic=False
        )
        product = self.operator._matmat

        def counted(columns: list[Tensor]) -> list[Tensor]:
            self.products += columns[0].shape[-1]
            return list(product(columns))

        self.operator._matmat = counted

    @staticmethod
    def eigenvalues(work: Work) -> Answer:
        from scipy.sparse.linalg import eigsh

        its = Curvlinops(work)
        found = eigsh(its.operator.to_scipy(), k=5, which="LA", tol=1e-3, return_eigenvectors=False)
        return Answer(torch.as_tensor(found.copy()).double().sort(descending=True).values, its.products)

    @staticmethod
    def sketched(work: Work) -> Answer:
        its = Curvlinops(work)
        return Answer(its.library.hutchpp_trace(its.operator, work.told.sketched).reshape(1), its.products)

    @staticmethod
    def crossed(work: Work) -> Answer:
        its = Curvlinops(work)
        return Answer(its.library.xtrace(its.operator, work.told.crossed).reshape(1), its.products)

    @staticmethod
    def density(work: Work) -> Answer:
        its = Curvlinops(work)  # told both ends, without which eigsh looks for them first, at 150 products or more
        cached = its.library.LanczosApproximateSpectrumCached(its.operator, 50, boundaries=work.told.ends)
        cached.approximate_spectrum()
        return Answer(cached._lanczos_iters[0][0].double(), its.products)


class PyHessian:
    """PyHessian 0.1, which keeps the graph of a single batch."""

    def __init__(self, work: Work) -> None:
        library = importlib.import_module("pyhessian.hessian")
        self.products = 0
        (data,) = work.batches
        self.hessian = library.hessian(work.network(), nn.CrossEntropyLoss(), data=data, cuda=False)
        product = importlib.import_module("pyhessian.utils").hessian_vector_product

        def counted(*arguments: Any) -> Any:
            self.products += 1
            return product(*arguments)

        library.hessian_vector_product = counted

    @staticmethod
    def eigenvalues(work: Work) -> Answer:
        its = PyHessian(work)
        found, _ = its.hessian.eigenvalues(maxIter=500, tol=work.told.tolerance, top_n=5)
        return Answer(torch.tensor(found, dtype=torch.float64).sort(descending=True).values, its.products)

    @staticmethod
    def hutchinson(work: Work) -> Answer:
        its = PyHessian(work)
        found = torch.tensor(its.hessian.trace(maxIter=work.told.probes, tol=0.0), dtype=torch.float64)
        return Answer(found.mean().reshape(1), its.products)

    @staticmethod
    def density(work: Work) -> Answer:
        its = PyHessian(work)
        nodes, _ = its.hessian.density(iter=50, n_v=1)
        return Answer(torch.tensor(nodes[0], dtype=torch.float64).sort().values, its.products)

    @staticmethod
    def mended_density(work: Work) -> Answer:
        """With a ``torch.eig``, which torch 2 has no more, as the repository's unreleased state has it mended."""

        def eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
            values, vectors = torch.linalg.eigh(matrix)
            return values[:, None], vectors

        before = getattr(torch, "eig", None)
        torch.eig = eig
        try:
            return PyHessian.density(work)
        finally:
            torch.eig = before


Task = dict[str, Callable[[Work], Answer]]

EIGENVALUES: Task = {
    "loop": loop_eigenvalues,
    "hessian-eigenthings": Eigenthings.eigenvalues,
    "curvlinops, eigsh": Curvlinops.eigenvalues,
    "pyhessian": PyHessian.eigenvalues,
}
TRACE: Task = {
    "loop, Hutchinson": loop_trace,
    "hessian-eigenthings, Hutchinson": Eigenthings.hutchinson,
    "hessian-eigenthings, Hutch++": Eigenthings.sketched,
    "curvlinops, Hutch++": Curvlinops.sketched,
    "curvlinops, XTrace": Curvlinops.crossed,
    "pyhessian, stop off": PyHessian.hutchinson,
}
DENSITY: Task = {
    "loop": loop_density,
    "hessian-eigenthings": Eigenthings.density,
    "curvlinops, told both ends": Curvlinops.density,
    "pyhessian": PyHessian.density,
    "pyhessian, torch.eig put back": PyHessian.mended_density,
}
MODULES = {"hessian-eigenthings": "hessian_eigenthings", "curvlinops": "curvlinops", "pyhessian": "pyhessian"}


def absent() -> dict[str, str]:
    """Libraries that cannot be imported, each with the reason."""
    found = {}
    for name, module in MODULES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            found[name] = str(error)
    return found
