"""Trace, Frobenius norm, diagonal, density and spectrum against dense matrices, and their errors against many seeds."""

import math
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import diagonal, empirical_fisher, gauss_newton, hessian, spectral_density, spectrum, trace
from flatmin.core.functions import QuadraticObjective


def rotated(spectrum, seed=0):
    """A matrix of these eigenvalues in general position."""
    generator = torch.Generator().manual_seed(seed)
    size = len(spectrum)
    axes = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return axes @ torch.diag(spectrum.double()) @ axes.T


N = 200
SPECTRA = {
    "outliers": torch.cat([torch.linspace(100, 300, 10), torch.linspace(0, 1, N - 10)]),
    "flat": torch.linspace(0.5, 1.5, N),
    "decay": 1 / torch.arange(1, N + 1.0),
    "both signs": torch.cat([torch.linspace(1, 30, 10), torch.linspace(-0.5, 0.4, N - 10)]),
}


def covered(found, truth, error):
    """In how many of 100 cases the truth is within one and within two of the errors."""
    apart = abs(torch.tensor(found) - truth) / torch.tensor(error)
    return float((apart < 1).double().mean()), float((apart < 2).double().mean())


@pytest.mark.parametrize("name", SPECTRA)
def test_the_standard_error_covers_as_often_as_it_says_over_200_seeds(name):
    matrix = rotated(SPECTRA[name])
    objective = QuadraticObjective(matrix)
    found = [trace(objective, seed=seed) for seed in range(200)]
    assert all(one.converged and one.standard_error <= 0.02 * abs(float(one)) for one in found)
    one, two = covered([float(t) for t in found], float(matrix.trace()), [t.standard_error for t in found])
    assert 0.58 <= one <= 0.79 and two >= 0.89  # 0.683 and 0.954, of 200
    one, two = covered([t.frobenius for t in found], float(matrix.norm()), [t.frobenius_error for t in found])
    assert one >= 0.55 and two >= 0.87
    mean = sum(float(t) for t in found) / 200
    assert abs(mean - float(matrix.trace())) < 4 * 0.02 / math.sqrt(200) * float(matrix.trace())


def test_outliers_taken_out_save_most_of_the_probes():
    matrix = rotated(SPECTRA["outliers"])
    off = float(matrix.square().sum() - matrix.diagonal().square().sum())
    hutchinson = 2 * off / (0.02 * float(matrix.trace())) ** 2
    assert trace(QuadraticObjective(matrix)).products < hutchinson / 5


@pytest.mark.parametrize("spectrum_", [[3.0], [1.0, 4.0, -2.0], [0.0, 0.0], [2.0] * 12])
def test_small_matrices_are_known_without_an_error(spectrum_):
    found = trace(QuadraticObjective(spectrum_), relative_error=1e-3)
    assert float(found) == pytest.approx(sum(spectrum_), abs=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert found.frobenius == pytest.approx(math.hypot(*spectrum_))


def test_a_trace_of_zero_cannot_be_known_to_a_share_of_itself_and_says_so():
    matrix = rotated(torch.cat([torch.ones(N // 2), -torch.ones(N // 2)]))
    found = trace(QuadraticObjective(matrix), products=60)
    assert not found.converged and "NOT CONVERGED" in repr(found) and found.products <= 60


def test_a_network_has_the_trace_and_norm_of_its_dense_hessian(written):
    net = written(0)
    matrix = net.matrix()
    found = trace(net.objective(), relative_error=1e-3, products=400)
    assert abs(float(found) - float(matrix.trace())) <= 4 * found.standard_error + 1e-8
    assert abs(found.frobenius - float(matrix.norm())) <= 4 * found.frobenius_error + 1e-8


def test_the_diagonal_and_the_traces_of_layers(written):
    net = written(0)
    expected = net.matrix().diagonal()
    found = diagonal(net.objective(), probes=300)
    off = (found.values - expected).abs()
    assert float((off <= 2 * found.standard_errors).double().mean()) > 0.9
    sums = torch.stack([part.sum() for part in torch.split(expected, [p.numel() for p in net.model.parameters()])])
    assert found.layers == tuple(dict(net.model.named_parameters()))
    assert ((found.traces - sums).abs() <= 4 * found.trace_errors + 1e-9).all()
    whole = diagonal(net.objective(), deflate=1000)
    torch.testing.assert_close(whole.values, expected, rtol=0, atol=1e-10)
    assert whole.probes == 0


def test_nodes_and_weights_integrate_polynomials_of_the_start_exactly():
    matrix = rotated(SPECTRA["both signs"])
    found = spectral_density(QuadraticObjective(matrix), probes=3, steps=8, seed=5)
    assert found.nodes.shape == found.weights.shape == (3, 8)
    torch.testing.assert_close(found.weights.sum(1), torch.ones(3, dtype=torch.float64))
    generator = torch.Generator().manual_seed(5)
    for nodes, weights in zip(found.nodes, found.weights, strict=True):
        start = torch.randn(N, generator=generator, dtype=torch.float64)
        image = start = start / start.norm()
        for degree in range(16):
            expected = start @ image
            torch.testing.assert_close((weights * nodes**degree).sum(), expected, rtol=1e-9, atol=1e-9)
            image = matrix @ image


def test_as_many_steps_as_weights_give_the_spectrum_and_shares_their_error():
    matrix = rotated(torch.linspace(-1, 3, 40))
    found = spectral_density(QuadraticObjective(matrix), probes=60, steps=99)
    torch.testing.assert_close(found.nodes[0], torch.linspace(-1, 3, 40).double(), rtol=0, atol=1e-6)
    share, error = found.share(-math.inf, 0.0)
    assert abs(share - 10 / 40) < 3 * error < 0.1
    mean, error = found.moments
    assert abs(mean - 1.0) < 3 * error
    curve, band = found.smoothed(torch.linspace(-3, 5, 400), 0.2)
    assert float(torch.trapezoid(curve, torch.linspace(-3, 5, 400).double())) == pytest.approx(1, abs=1e-3)
    assert (band > 0).any()


def test_a_probe_that_ends_early_leaves_no_holes():
    found = spectral_density(QuadraticObjective([1.0, 1.0, 5.0, 5.0, 5.0]), probes=2, steps=5)
    assert found.nodes.isfinite().all() and found.products == 4
    torch.testing.assert_close(found.weights.sum(1), torch.ones(2, dtype=torch.float64))


def test_the_whole_spectrum_and_the_matrix(written):
    net = written(2)
    matrix, objective = net.matrix(), net.objective()
    torch.testing.assert_close(hessian(objective), matrix, rtol=0, atol=1e-12)
    found = spectrum(objective)
    torch.testing.assert_close(found.values, torch.linalg.eigvalsh(matrix), rtol=0, atol=1e-12)
    assert found.asymmetry < 1e-12 and sum(found.counts()) == objective.size
    with pytest.raises(ValueError, match="too many to write out its Hessian"):
        spectrum(objective, limit=10)


def test_gauss_newton_and_the_fisher_of_the_data_serve_every_tool(written):
    net = written(0)
    objective = net.objective()
    theta = objective.theta
    jacobian = torch.autograd.functional.jacobian(lambda t: net.outputs(t, net.inputs), theta)
    share = net.outputs(theta, net.inputs).softmax(1).detach()
    bend = torch.diag_embed(share) - share[:, :, None] * share[:, None, :]
    newton = torch.einsum("nip,nij,njq->pq", jacobian, bend, jacobian) / 37
    torch.testing.assert_close(hessian(gauss_newton(objective)), newton, rtol=0, atol=1e-12)
    each = partial(cross_entropy, reduction="none")
    slopes = torch.autograd.functional.jacobian(lambda t: each(net.outputs(t, net.inputs), net.targets), theta)
    fisher = empirical_fisher(objective, each)
    torch.testing.assert_close(hessian(fisher), slopes.T @ slopes / 37, rtol=0, atol=1e-12)
    assert spectrum(fisher).counts(1e-12)[0] == 0 and "Empirical Fisher matrix of Objective" in repr(fisher)


VIEWS = {
    "gauss_newton": gauss_newton,
    "fisher": lambda o: empirical_fisher(o, partial(cross_entropy, reduction="none")),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_layers_and_parts_of_the_examples_keep_the_matrix_that_stands_for_the_hessian(written, view):
    objective = written(0).objective()
    whole = hessian(view(objective))
    block = whole[:56, :56]  # the first layer has 6 * 8 weights and 8 biases
    for found in (view(objective).restricted(["0"]), view(objective.restricted(["0"]))):
        torch.testing.assert_close(hessian(found), block, rtol=0, atol=1e-12)
    narrower = view(objective).restricted(["0", "2"]).restricted(["0"])
    torch.testing.assert_close(hessian(narrower), block, rtol=0, atol=1e-12)
    parts = sum(hessian(part) * part.examples for part in view(objective).parts(10)) / 37
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)


def test_a_function_of_a_vector_has_no_outputs():
    with pytest.raises(TypeError, match="must be an Objective"):
        gauss_newton(QuadraticObjective([1.0]))
    with pytest.raises(TypeError, match="must be an Objective"):
        empirical_fisher(QuadraticObjective([1.0]), lambda outputs, targets: outputs)
