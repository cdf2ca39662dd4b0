"""Eigenvalues against dense matrices, closed forms and SciPy."""

import math

import pytest
import torch
from scipy.sparse.linalg import eigsh

from flatmin import Objective, linear_operator, top_eigenvalues
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.curvature.basis import Basis

DENSE = {
    "largest": lambda values: values.flip(0),
    "smallest": lambda values: values,
    "magnitude": lambda values: values[values.abs().argsort(descending=True)],
}


@pytest.mark.parametrize("which", DENSE)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_over_uneven_batches_has_the_eigenvalues_of_its_dense_hessian(written, which, seed):
    net = written(seed)
    matrix = net.matrix()
    found = top_eigenvalues(net.objective(), k=6, which=which, tolerance=1e-9, seed=seed)
    expected = DENSE[which](torch.linalg.eigvalsh(matrix))[:6]
    assert found.converged and found.copies
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-8 * float(matrix.norm()))
    rest = matrix @ found.vectors.T - found.vectors.T * found.values
    torch.testing.assert_close(rest.norm(dim=0), found.residuals, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("cut", [37, 15])
def test_batch_statistics_are_differentiated_too(written, cut):
    net = written(0, norms=True)
    expected = torch.linalg.eigvalsh(net.matrix(cut)).flip(0)[:3]
    found = top_eigenvalues(net.objective(cut, batch_norm="batch"), k=3, tolerance=1e-9)
    torch.testing.assert_close(found.values, expected, rtol=1e-8, atol=1e-10)


def test_by_differences_of_the_gradient_and_in_float32(written):
    net = written(0)
    expected = torch.linalg.eigvalsh(net.matrix()).flip(0)[:3]
    differences = top_eigenvalues(net.objective(hvp="finite_difference"), k=3, tolerance=1e-5)
    torch.testing.assert_close(differences.values, expected, rtol=1e-6, atol=0)
    single = top_eigenvalues(net.objective(dtype=torch.float32), k=3, tolerance=1e-5)
    assert differences.converged and single.converged and single.vectors.dtype == torch.float32
    torch.testing.assert_close(single.values, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("which", DENSE)
def test_few_vectors_in_memory_give_the_same(which):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(150, 150, generator=generator, dtype=torch.float64)
    matrix = matrix + matrix.T
    found = top_eigenvalues(QuadraticObjective(matrix), k=4, which=which, tolerance=1e-9, vectors=16, copies=False)
    assert found.converged and not found.copies
    torch.testing.assert_close(found.values, DENSE[which](torch.linalg.eigvalsh(matrix))[:4], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("spectrum", "k", "expected"),
    [
        ([4.0, 4.0, 4.0, 3.0, 2.0] + [0.0] * 95 + [-1.0] * 20, 5, [4.0, 4.0, 4.0, 3.0, 2.0]),
        ([1.0] * 60, 3, [1.0, 1.0, 1.0]),
        ([0.0] * 60, 2, [0.0, 0.0]),
        ([-4.0] * 3 + [-2.0], 2, [-2.0, -4.0]),
        ([7.0] * 2 + list(torch.linspace(0, 5, 200)), 3, [7.0, 7.0, 5.0]),
    ],
)
def test_copies_of_a_multiple_eigenvalue_are_all_found(spectrum, k, expected):
    for seed in range(5):
        found = top_eigenvalues(QuadraticObjective([float(value) for value in spectrum]), k=k, seed=seed)
        assert found.converged and found.copies
        assert found.values.tolist() == pytest.approx(expected, abs=1e-4)


def test_scipy_says_the_same_of_the_operator(written):
    objective = written(3).objective()
    expected = eigsh(linear_operator(objective), k=4, which="LA", return_eigenvectors=False)[::-1]
    assert top_eigenvalues(objective, k=4, tolerance=1e-8).values.tolist() == pytest.approx(expected.tolist(), rel=1e-9)


def test_a_start_near_the_vectors_saves_products_and_misses_nothing_that_has_overtaken():
    spectrum = torch.cat([torch.tensor([9.0, 8.0]), torch.linspace(0, 7, 6000)]).double()
    before = top_eigenvalues(QuadraticObjective(spectrum), k=2, tolerance=1e-4, copies=False)
    spectrum[0], spectrum[-1] = 9.1, 12.0
    moved = QuadraticObjective(spectrum)
    cold = top_eigenvalues(moved, k=2, tolerance=1e-3, copies=False)
    for start in (before.vectors, before.vectors[0]):
        warm = top_eigenvalues(moved, k=2, tolerance=1e-3, copies=False, start=start)
        assert warm.values.tolist() == pytest.approx([12.0, 9.1], rel=1e-4)
        assert warm.products <= cold.products
    again = top_eigenvalues(QuadraticObjective(spectrum), k=2, tolerance=1e-3, copies=False, start=warm.vectors)
    assert again.products < 0.8 * cold.products


def test_products_of_no_symmetric_matrix_never_converge():
    matrix = torch.randn(80, 80, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    class Odd:
        size, theta = 80, torch.zeros(80, dtype=torch.float64)

        def value(self, theta=None):
            return torch.tensor(0.0)

        def hvp(self, vector, theta=None):
            return matrix @ vector

    found = top_eigenvalues(Odd(), k=2)
    assert not found.converged and float(found.residuals.max()) > 1 and "NOT CONVERGED" in repr(found)


def test_too_few_products_are_said(written):
    found = top_eigenvalues(written(0).objective(), k=5, tolerance=1e-9, products=8)
    assert not found.converged and found.products == 8 and "NOT CONVERGED" in repr(found)


def test_an_infinite_curvature_is_an_error():
    steep = FunctionObjective(lambda t: t.abs().sqrt().sum(), torch.zeros(3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="not finite"):
        top_eigenvalues(steep)


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"k": 0}, ValueError, "`k` must be at least 1"),
        ({"k": 9}, ValueError, "`k` must be at most the number of weights, 3"),
        ({"which": "top"}, ValueError, "`which` must be one of 'largest'"),
        ({"tolerance": 0.0}, ValueError, "`tolerance` must be positive"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"start": torch.zeros(2)}, ValueError, r"`start` must hold vectors of shape \(3,\)"),
        ({"start": torch.zeros(3)}, ValueError, "`start` must hold finite vectors other than 0"),
        ({"start": torch.tensor([1.0, math.nan, 0.0])}, ValueError, "`start` must hold finite vectors"),
        ({"vectors": 2}, ValueError, "`vectors` must be at least"),
    ],
)
def test_what_cannot_be_is_refused(wrong, error, said):
    with pytest.raises(error, match=said):
        top_eigenvalues(QuadraticObjective([1.0, 2.0, 3.0]), **wrong)


def test_a_network_is_no_objective():
    with pytest.raises(TypeError, match=r"make one: Objective\(model, loss, batches\)"):
        top_eigenvalues(torch.nn.Linear(2, 2))


def test_a_basis_of_float32_multiplies_in_float64():
    generator = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(50_000, 20, generator=generator, dtype=torch.float64))[0].T.float()
    basis = Basis(rows[0])
    for row in rows:
        basis.append(row)
    vector = torch.randn(50_000, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(basis.coefficients(vector), rows.double() @ vector, rtol=1e-12, atol=1e-12)
    rest, _ = basis.orthogonalized(vector)
    assert float((rows.double() @ rest).abs().max()) < 2e-7 * math.sqrt(50_000)
    weights = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(basis.combined(weights), (weights.T @ rows.double()).float())


def test_a_layer_has_the_eigenvalues_of_its_block(written):
    net = written(1)
    block = net.matrix()[:56, :56]
    found = top_eigenvalues(net.objective().restricted(["0"]), k=2, tolerance=1e-9)
    torch.testing.assert_close(found.values, torch.linalg.eigvalsh(block).flip(0)[:2], rtol=1e-9, atol=0)


def test_numbers_of_one_seed_are_the_same_again(written):
    first, second = (top_eigenvalues(Objective.restricted(written(0).objective(), ["*"]), k=2) for _ in range(2))
    assert torch.equal(first.values, second.values) and torch.equal(first.vectors, second.vectors)


SPECTRA = {
    "fewer than asked are not zero": ([3.0, 2.0, 1.0] + [0.0] * 97, 3),
    "more than there are": ([3.0, 2.0, 1.0] + [0.0] * 97, 6),
    "one far above all others": ([1e4] + [0.01 * n for n in range(99)], 1),
    "one far above, by magnitude the same": ([1e4, 1.0] + [0.003 * n - 0.15 for n in range(98)], 2),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_beside_the_values_found_does_not_undo_that_they_converged(spectrum, dtype, seed):
    entries, k = SPECTRA[spectrum]
    values = torch.tensor(entries, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    turned, _ = torch.linalg.qr(torch.randn(100, 100, generator=generator, dtype=torch.float64))
    matrix = (turned * values) @ turned.T
    objective = QuadraticObjective(matrix)
    objective._theta = objective._theta.to(dtype)
    objective.hvp = lambda vector, theta=None: (matrix @ vector.double()).to(dtype)
    found = top_eigenvalues(objective, k=k, seed=seed)
    assert found.converged and found.copies and found.products < 90
    off = 1e-6 if dtype == torch.float64 else 4e-6
    torch.testing.assert_close(found.values, values.sort(descending=True).values[:k], rtol=1e-6, atol=off * entries[0])
