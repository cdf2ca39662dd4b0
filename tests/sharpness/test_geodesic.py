"""Geodesic sharpness: geodesics of a metric differentiated by differences, a toy by brute force, a symmetry."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, geodesic_sharpness, worst_case_sharpness
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.attention import Pair, attention_pairs
from flatmin.sharpness.geodesics import Geodesics

ROWS, COLUMNS = (4, 3), 2
PLACES = Pair(torch.arange(8).reshape(4, 2), torch.arange(8, 14).reshape(3, 2))


def split(theta):
    return theta[:8].reshape(4, 2), theta[8:].reshape(3, 2)


def metric(theta):
    """The matrix of equation 9: a block inv(M'M) for each row of M."""
    return np.block(
        [
            [np.kron(np.eye(4), np.linalg.inv(split(theta)[0].T @ split(theta)[0])), np.zeros((8, 6))],
            [np.zeros((6, 8)), np.kron(np.eye(3), np.linalg.inv(split(theta)[1].T @ split(theta)[1]))],
        ]
    )


def acceleration(theta, velocity, step=1e-5):
    """Of the geodesic: minus the Christoffel symbols, which are derivatives of the metric."""
    axes = np.eye(len(theta))
    derivative = np.stack([(metric(theta + step * e) - metric(theta - step * e)) / (2 * step) for e in axes])
    lowered = np.einsum("kij,k,j->i", derivative, velocity, velocity)
    lowered -= np.einsum("ijk,j,k->i", derivative, velocity, velocity) / 2
    return -np.linalg.solve(metric(theta), lowered)


@pytest.fixture
def theta():
    return np.random.default_rng(0).normal(size=14)


def vertical(theta):
    """What moves along (G L, -H L') for each of the four L, as columns."""
    first, second = split(theta)
    units = [unit.reshape(2, 2) for unit in np.eye(4)]
    return np.stack([np.concatenate([(first @ e).ravel(), (-second @ e.T).ravel()]) for e in units], axis=1)


def test_geodesics_are_those_of_the_metric_to_second_order(theta):
    paths, rng = Geodesics(torch.tensor(theta), [PLACES]), np.random.default_rng(1)
    for _ in range(3):
        u = torch.tensor(rng.normal(size=14))
        velocity = ((paths.perturbation(1e-4 * u) - paths.perturbation(-1e-4 * u)) / 2e-4).numpy()
        assert velocity @ metric(theta) @ velocity == pytest.approx(float(u @ u), rel=1e-6)
        bend = (paths.perturbation(u) - torch.tensor(velocity)).numpy()
        np.testing.assert_allclose(bend, acceleration(theta, velocity) / 2, atol=1e-6)


def test_horizontal_is_orthogonal_to_what_leaves_the_product(theta):
    paths, u = Geodesics(torch.tensor(theta), [PLACES]), torch.randn(14, dtype=torch.float64)

    def velocity(u):
        return ((paths.perturbation(1e-4 * u) - paths.perturbation(-1e-4 * u)) / 2e-4).numpy()

    kept, whole = velocity(paths.admissible(u)), velocity(u)
    np.testing.assert_allclose(vertical(theta).T @ metric(theta) @ kept, 0, atol=1e-8)
    left, *_ = np.linalg.lstsq(vertical(theta), whole - kept, rcond=None)
    np.testing.assert_allclose(vertical(theta) @ left, whole - kept, atol=1e-8)


@pytest.mark.parametrize("rho", [0.01, 0.5])
def test_of_two_scalars_it_is_found_by_trying_all_of_the_one_horizontal_direction(rho):
    objective = FunctionObjective(
        lambda t: (1.5 * t[0] * t[1] - 1) ** 2, torch.tensor([0.4, -3.0], dtype=torch.float64)
    )
    growths = np.linspace(-rho / math.sqrt(2), rho / math.sqrt(2), 100_001)
    losses = (1.5 * 0.4 * -3.0 * (1 + growths + growths**2 / 2) ** 2 - 1) ** 2
    found = geodesic_sharpness(objective, rho=rho, pairs=[(torch.tensor([[0]]), torch.tensor([[1]]))])
    assert found.value == pytest.approx(losses.max() - (1.5 * 0.4 * -3.0 - 1) ** 2, rel=1e-6) and found.converged


def test_a_small_ball_feels_the_slope_in_the_metric(theta):
    mixed = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    objective = FunctionObjective(
        lambda t: (t[:8].reshape(4, 2) @ t[8:14].reshape(3, 2).T * mixed).sum().sin() + t[14] ** 3,
        torch.tensor([*theta, 0.7]),
    )
    gradient = objective.gradient().numpy()
    squares = gradient[:14] @ np.linalg.solve(metric(theta), gradient[:14]) + (0.7 * gradient[14]) ** 2
    found = geodesic_sharpness(objective, rho=1e-6, pairs=[PLACES])
    assert found.value == pytest.approx(1e-6 * math.sqrt(squares), rel=1e-4)


class Attending(nn.Module):
    """A residual attention of two heads."""

    def __init__(self, bias):
        super().__init__()
        self.enter, self.leave = nn.Linear(5, 6), nn.Linear(6, 3)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True, bias=bias)

    def forward(self, x):
        x = self.enter(x)
        return self.leave((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(20, 4, 5, generator=generator, dtype=torch.float64), torch.arange(20) % 3)]


@pytest.mark.parametrize("bias", [False, True])
def test_other_heads_of_the_same_function_fool_the_adaptive_kind_but_not_the_geodesic_one(batches, bias):
    torch.manual_seed(0)
    model = Attending(bias).double()
    if bias:
        nn.init.normal_(model.attention.in_proj_bias, std=0.3)

    def measured():
        objective = Objective(model, cross_entropy, batches)
        found = geodesic_sharpness(objective, rho=0.3), worst_case_sharpness(objective, rho=0.3, adaptive=True)
        return float(objective.value()), *map(float, found), geodesic_sharpness(objective, rho=0.3, per=10).value

    before = measured()
    queries, keys, values = model.attention.in_proj_weight.detach().chunk(3)
    biases = model.attention.in_proj_bias.detach().chunk(3) if bias else [torch.zeros(6, dtype=torch.float64)] * 3
    for head in (slice(0, 3), slice(3, 6)):
        for first, second, first_bias, second_bias in (
            (queries[head], keys[head], biases[0][head], biases[1][head]),
            (values[head], model.attention.out_proj.weight.detach()[:, head].T, biases[2][head], None),
        ):
            mixing = torch.randn(3, 3, dtype=torch.float64) + torch.eye(3)
            for matrix in (first, first_bias):
                matrix.copy_(torch.linalg.inv(mixing).T @ matrix)
            for matrix in (second, second_bias):
                if matrix is not None:
                    matrix.copy_(mixing @ matrix)
    after = measured()
    assert after[0] == pytest.approx(before[0], rel=1e-9)
    assert (after[1], after[3]) == pytest.approx((before[1], before[3]), rel=1e-7)
    assert abs(after[2] / before[2] - 1) > 0.2


def test_without_attention_it_is_the_adaptive_worst_case(batches):
    torch.manual_seed(0)
    objective = Objective(
        nn.Sequential(nn.Flatten(), nn.Linear(20, 4), nn.Linear(4, 3)).double(), cross_entropy, batches
    )
    found, adaptive = geodesic_sharpness(objective, rho=0.3), worst_case_sharpness(objective, rho=0.3, adaptive=True)
    assert found.value == adaptive.value and found.pairs == 0 and "NO ATTENTION" in repr(found)


def test_layers_of_which_not_all_moves_are_left_out(batches):
    model = Attending(bias=True).double()
    pairs = attention_pairs(Objective(model, cross_entropy, batches))
    assert len(pairs) == 4
    assert attention_pairs(Objective(model, cross_entropy, batches, select=["enter.*"])) == []
    model.attention.in_proj_bias.requires_grad_(False)
    assert attention_pairs(Objective(model, cross_entropy, batches)) == []


def test_what_is_no_pair_is_refused():
    objective, pair = QuadraticObjective(torch.ones(6), theta=torch.ones(6)), torch.arange(4).reshape(2, 2)
    with pytest.raises(TypeError, match="`pairs` must be given: a QuadraticObjective does not know"):
        geodesic_sharpness(objective, rho=0.1)
    for second, message in (
        (torch.tensor([[4], [5]]), r"pair 0 must be two matrices of as many columns, got \(2, 2\) and \(2, 1\)"),
        (torch.tensor([[4, 6]]), "pair 0 must hold places in the 6 weights"),
        (torch.tensor([[4, 0]]), "pair 0 has an entry that stands in a pair already"),
        (torch.tensor([[4, 5]]), "`pairs` must hold matrices of independent columns"),
    ):
        with pytest.raises(ValueError, match=message):
            geodesic_sharpness(objective, rho=0.1, pairs=[(pair, second)])
