"""The filtered loss and the local entropy against closed forms of quadratics and an integral on a grid."""

import math

import numpy as np
import pytest
import torch

from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.local_entropy import local_entropy
from flatmin.sharpness.low_pass import low_pass

HESSIAN = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 0.5]], dtype=torch.float64)
SLOPE = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
BOWL = QuadraticObjective(HESSIAN, linear=SLOPE, constant=1.5)
SIGMA = 0.4


def filtered():
    return 1.5 + SIGMA**2 / 2 * 5.5


def entropy(beta):
    """A Gaussian integral, completed to a square."""
    matrix = np.eye(3) + beta * SIGMA**2 * HESSIAN.numpy()
    pull = SLOPE.numpy() @ np.linalg.solve(matrix, SLOPE.numpy())
    return 1.5 + np.linalg.slogdet(matrix)[1] / (2 * beta) - beta * SIGMA**2 / 2 * pull


@pytest.mark.parametrize(
    ("measure", "options", "exact"),
    [
        (low_pass, {}, filtered()),
        (local_entropy, {}, entropy(1.0)),
        (local_entropy, {"beta": 4.0}, entropy(4.0)),
    ],
)
def test_the_error_covers_the_closed_form_of_a_quadratic_as_often_as_it_says(measure, options, exact):
    found = [measure(BOWL, sigma=SIGMA, draws=200, seed=seed, **options) for seed in range(60)]
    assert abs(np.mean([one.value for one in found]) - exact) < 0.02
    assert np.mean([abs(one.value - exact) < 2 * one.standard_error for one in found]) > 0.85
    spread = np.std([one.value for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.3)
    assert all(one.rise == pytest.approx(one.value - 1.5) and one.evaluations == 201 for one in found)


def test_of_a_double_well_both_are_integrals_on_a_grid():
    well = FunctionObjective(lambda w: ((w**2 - 1) ** 2).sum(), torch.tensor([0.8], dtype=torch.float64))
    noise = np.linspace(-8, 8, 20001)
    density = np.exp(-(noise**2) / 2)
    losses = ((0.8 + 0.7 * noise) ** 2 - 1) ** 2
    mean = (losses * density).sum() / density.sum()
    free = -np.log((np.exp(-losses) * density).sum() / density.sum())
    first, second = (measure(well, sigma=0.7, draws=4000) for measure in (low_pass, local_entropy))
    assert abs(first.value - mean) < 3 * first.standard_error < 0.3 * mean
    assert abs(second.value - free) < 3 * second.standard_error < 0.1 * free


def test_the_local_entropy_says_how_many_draws_it_rests_on():
    alike = local_entropy(QuadraticObjective([1e-6]), draws=50)
    assert alike.counting == pytest.approx(50) and "FEW DRAWS" not in repr(alike)
    steep = local_entropy(QuadraticObjective([1.0] * 50), sigma=1.0, beta=100.0, draws=50)
    assert steep.counting < 2 and "FEW DRAWS COUNT" in repr(steep)
    one = low_pass(BOWL, draws=1)
    assert math.isnan(one.standard_error) and math.isnan(local_entropy(BOWL, draws=1).standard_error)


def test_losses_that_are_not_finite_are_not_averaged_away():
    cliff = FunctionObjective(
        lambda w: torch.where(w.abs().max() > 0, torch.inf, 0.0).double(), torch.zeros(1).double()
    )
    assert low_pass(cliff).value == math.inf and local_entropy(cliff).value == math.inf
    assert "NOT FINITE" in repr(low_pass(cliff)) and "NOT FINITE" in repr(local_entropy(cliff))
    nowhere = FunctionObjective(lambda w: w.sum() * torch.nan, torch.ones(1))
    for measure in (low_pass, local_entropy):
        with pytest.raises(RuntimeError, match="must be finite, got nan"):
            measure(nowhere)


@pytest.mark.parametrize("measure", [low_pass, local_entropy])
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sigma": 0.0}, ValueError, "`sigma` must be positive"),
        ({"draws": 0}, ValueError, "`draws` must"),
        ({"draws": 1.5}, TypeError, "`draws` must"),
        ({"seed": -1}, ValueError, "`seed` must"),
    ],
)
def test_bad_arguments_are_named(measure, changes, error, message):
    with pytest.raises(error, match=message):
        measure(QuadraticObjective([1.0]), **changes)


@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e-30])
def test_of_losses_that_hardly_differ_the_entropy_is_their_mean_with_its_error(scale):
    bowl = QuadraticObjective([scale, 2 * scale], theta=torch.ones(2))
    mean, found = low_pass(bowl, sigma=1e-3, draws=50), local_entropy(bowl, sigma=1e-3, draws=50)
    assert found.value == pytest.approx(mean.value, rel=1e-4)
    assert found.rise == pytest.approx(mean.rise, rel=0.05, abs=0)
    assert found.standard_error == pytest.approx(mean.standard_error, rel=0.05, abs=0)
