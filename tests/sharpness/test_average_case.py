"""The mean rise under Gaussian noise, against closed forms, noise written out by hand, and a law."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, average_case_sharpness
from flatmin.core.functions import FunctionObjective, QuadraticObjective


def test_the_standard_error_covers_the_closed_form_of_a_quadratic_as_often_as_it_says():
    bowl, sigma = QuadraticObjective([0.5, 1.0, 4.0, 10.0]), 0.1
    exact = sigma**2 / 2 * 15.5
    found = [average_case_sharpness(bowl, sigma=sigma, pairs=50, seed=seed) for seed in range(400)]
    inside = np.mean([abs(one.value - exact) < 1.96 * one.standard_error for one in found])
    assert 0.90 < inside < 0.97
    spread = np.std([one.value for one in found])
    exact_error = sigma**2 / 2 * math.sqrt(2 * (0.25 + 1 + 16 + 100) / 50)  # the variance of a form in Gaussians
    assert spread == pytest.approx(exact_error, rel=0.15)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(exact_error, rel=0.1)


def test_a_slope_adds_nothing():
    slope = FunctionObjective(lambda theta: 1e3 * theta.sum(), torch.zeros(5, dtype=torch.float64))
    found = average_case_sharpness(slope, sigma=1.0, pairs=3)
    assert abs(found.value) < 1e-9 and found.standard_error < 1e-9


def test_fourth_powers_are_as_they_should_be():
    steep = FunctionObjective(lambda theta: (theta**4).sum(), torch.zeros(2, dtype=torch.float64))
    found = average_case_sharpness(steep, sigma=0.5, pairs=20_000)
    assert abs(found.value - 2 * 3 * 0.5**4) < 4 * found.standard_error


def test_relative_noise_by_hand():
    theta = torch.tensor([2.0, 0.0, -3.0], dtype=torch.float64)
    objective = FunctionObjective(lambda point: (point**2).sum(), theta)
    found = average_case_sharpness(objective, sigma=0.1, relative=True, pairs=2, seed=7)
    generator = torch.Generator().manual_seed(7)
    draws = [0.1 * theta.abs() * torch.randn(3, generator=generator, dtype=torch.float64) for _ in range(2)]
    rises = [float((noise**2).sum()) for noise in draws]
    assert found.value == pytest.approx(np.mean(rises)) and found.evaluations == 5
    assert found.standard_error == pytest.approx(np.std(rises, ddof=1) / math.sqrt(2))


@pytest.mark.parametrize("relative", [False, True])
def test_uniform_noise_fills_the_box(relative):
    theta = torch.tensor([2.0, -0.5, 0.0], dtype=torch.float64)
    bowl = QuadraticObjective([1.0, 4.0, 10.0], theta=theta, linear=-torch.tensor([2.0, -2.0, 0.0]))
    found = average_case_sharpness(bowl, sigma=0.3, relative=relative, distribution="uniform", pairs=4000)
    exact = 0.3**2 / 6 * (4 + 1 if relative else 1 + 4 + 10)
    assert abs(found.value - exact) < 3 * found.standard_error < 0.1 * exact
    assert f"uniform noise up to 0.3{' of each weight' if relative else ''}," in repr(found)
    furthest = []
    box = FunctionObjective(lambda point: furthest.append(float((point - theta).abs().max())) or point.sum(), theta)
    average_case_sharpness(box, sigma=0.3, distribution="uniform", pairs=200)
    assert 0.29 < max(furthest) <= 0.3


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8, bias=False), torch.nn.ReLU(), torch.nn.Linear(8, 3, bias=False))
    return model, [(torch.randn(30, 4), torch.arange(30) % 3)]


def test_a_rescaling_of_layers_fools_absolute_noise_but_not_relative(network):
    model, batches = network

    def measured(relative):
        return float(
            average_case_sharpness(
                Objective(model, cross_entropy, batches, dtype=torch.float64), sigma=0.1, relative=relative
            )
        )

    kept = {relative: measured(relative) for relative in (False, True)}
    with torch.no_grad():
        model[0].weight *= 20.0
        model[2].weight /= 20.0
    assert measured(relative=True) == pytest.approx(kept[True], rel=1e-5)
    assert measured(relative=False) > 10 * kept[False]


def test_one_pair_has_no_error_and_an_infinite_loss_is_not_averaged_away():
    assert math.isnan(average_case_sharpness(QuadraticObjective([1.0]), pairs=1).standard_error)
    cliff = FunctionObjective(
        lambda theta: torch.where(theta.abs().max() > 0, torch.inf, 0.0).double(), torch.zeros(1, dtype=torch.float64)
    )
    assert average_case_sharpness(cliff).value == math.inf


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sigma": 0.0}, ValueError, "`sigma` must be"),
        ({"sigma": math.nan}, ValueError, "`sigma` must be"),
        ({"distribution": "cauchy"}, ValueError, "`distribution` must be one of 'normal', 'uniform'"),
        ({"pairs": 0}, ValueError, "`pairs` must be"),
        ({"pairs": 2.5}, TypeError, "`pairs` must be"),
        ({"seed": 2**32}, ValueError, "`seed` must be below"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        average_case_sharpness(QuadraticObjective([1.0]), **changes)


def test_a_loss_that_is_not_finite_is_refused():
    nowhere = FunctionObjective(lambda theta: theta.sum() * torch.nan, torch.ones(1, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="must be finite, got nan"):
        average_case_sharpness(nowhere)
