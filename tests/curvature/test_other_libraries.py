"""Products, eigenvalues and traces against two libraries that share no code with flatmin or with each other.

They are in no extra, for one brings another torch with it; ``benchmarks/curvature.py`` says how to install them.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import gauss_newton, hessian, top_eigenvalues, trace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs

CUT = 10  # 37 examples: the last of four batches has 7


@pytest.fixture
def library():
    """Import a library, or skip."""

    def imported(name):
        return pytest.importorskip(name, reason=f"{name} is not installed")

    return imported


def batches(net, cut=CUT):
    return list(zip(net.inputs.split(cut), net.targets.split(cut), strict=True))


def curvlinops_of(library, net, kind="HessianLinearOperator"):
    model = net.model.eval()
    return getattr(library("curvlinops"), kind)(model, nn.CrossEntropyLoss(), list(model.parameters()), batches(net))


def eigenthings_of(library, net, kind="HessianOperator"):
    """It weighs every batch alike, whatever its size: the batches are given one by one and weighed here."""
    their = library("hessian_eigenthings")
    loss = their.supervised_loss(cross_entropy)
    parts = [(their.HessianOperator(net.model.eval(), [batch], loss), len(batch[1]) / 37) for batch in batches(net)]
    return their.LambdaOperator(
        lambda vector: sum(share * part.matvec(vector) for part, share in parts),
        size=parts[0][0].size,
        device=torch.device("cpu"),
        dtype=torch.float64,
    )


THEIRS = pytest.mark.parametrize("theirs", [curvlinops_of, eigenthings_of], ids=["curvlinops", "hessian-eigenthings"])


@THEIRS
@pytest.mark.parametrize("seed", range(3))
def test_products_are_those_of_another_library_over_an_uneven_last_batch(theirs, library, written, seed):
    net = written(seed)
    operator, objective = theirs(library, net), net.objective(CUT)
    for _ in range(3):
        vector = torch.randn(objective.size, dtype=torch.float64)
        torch.testing.assert_close(objective.hvp(vector), operator @ vector, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_eigenvalues_are_those_of_scipy_on_curvlinops(library, written, which):
    from scipy.sparse.linalg import eigsh

    net = written(0)
    its = {"largest": "LA", "smallest": "SA", "magnitude": "LM"}[which]
    values = eigsh(curvlinops_of(library, net).to_scipy(), k=5, which=its, tol=1e-12, return_eigenvectors=False)
    found = top_eigenvalues(net.objective(CUT), k=5, which=which, tolerance=1e-9)
    assert sorted(found.values.tolist()) == pytest.approx(sorted(values.tolist()), rel=1e-9)


def test_eigenvalues_are_those_of_hessian_eigenthings(library, written):
    net = written(0)
    their = library("hessian_eigenthings")
    values = their.lanczos(eigenthings_of(library, net), k=5, which="LA", max_iter=60, reorthogonalize=True, seed=0)
    found = top_eigenvalues(net.objective(CUT), k=5, tolerance=1e-9)
    torch.testing.assert_close(found.values, values.eigenvalues, rtol=1e-9, atol=1e-12)


@THEIRS
def test_the_trace_is_theirs_within_its_standard_error(theirs, library, written):
    net = written(0)
    operator = theirs(library, net)
    rows = torch.eye(net.objective(CUT).size, dtype=torch.float64)
    exact = sum(float((operator @ row) @ row) for row in rows)
    found = trace(net.objective(CUT), relative_error=0.01)
    assert abs(float(found) - exact) <= 4 * found.standard_error + 1e-9
    assert float(hessian(net.objective(CUT)).trace()) == pytest.approx(exact, rel=1e-9)


def test_gauss_newton_is_that_of_curvlinops(library, written):
    net = written(1)
    operator, objective = curvlinops_of(library, net, "GGNLinearOperator"), net.objective(CUT)
    vector = torch.randn(objective.size, dtype=torch.float64)
    torch.testing.assert_close(gauss_newton(objective).hvp(vector), operator @ vector, rtol=1e-10, atol=1e-12)


def test_batches_of_unequal_size_weighed_alike_are_another_matrix(library, written):
    """What hessian-eigenthings gives for them; were it mended, :func:`eigenthings_of` could do without its weights."""
    net = written(0)
    their = library("hessian_eigenthings")
    operator = their.HessianOperator(net.model.eval(), batches(net), their.supervised_loss(cross_entropy))
    vector = torch.randn(operator.size, dtype=torch.float64)
    expected = net.objective(CUT).hvp(vector)
    assert float((operator @ vector - expected).norm() / expected.norm()) > 1e-3
