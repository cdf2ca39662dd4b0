"""The noise that is borne, against closed forms: quadratics, and a linear classifier's accuracy under noise."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.pac_bayes import pac_bayes_sigma


@pytest.fixture(scope="module")
def classifier():
    """A linear classifier without a bias, two classes, some answers wrong; with what its accuracy is under noise."""
    random = np.random.default_rng(0)
    inputs, weights = random.normal(size=(400, 3)), random.normal(size=(2, 3))
    targets = (inputs @ (weights[1] - weights[0]) + 0.3 * random.normal(size=400) > 0).astype(int)
    model = torch.nn.Linear(3, 2, bias=False).double()
    model.weight.data = torch.as_tensor(weights)
    objective = Objective(model, cross_entropy, [(torch.as_tensor(inputs), torch.as_tensor(targets))])
    margins = (2 * targets - 1) * (inputs @ (weights[1] - weights[0]))

    def drop(variances):
        return np.mean(margins > 0) - np.mean(norm.cdf(margins / np.sqrt(inputs**2 @ variances)))

    return objective, weights, drop


def test_of_a_linear_classifier_the_standard_error_covers_the_closed_form_as_often_as_it_says(classifier):
    objective, _, drop = classifier
    exact = brentq(lambda sigma: drop(np.full(3, 2 * sigma**2)) - 0.1, 1e-3, 10)
    found = [pac_bayes_sigma(objective, draws=20, seed=seed) for seed in range(24)]
    assert all(one.converged and one.monotone for one in found)
    assert abs(np.mean([one.value for one in found]) - exact) < 0.05 * exact
    assert np.mean([abs(one.value - exact) < 1.96 * one.standard_error for one in found]) > 0.85
    assert np.std([one.value for one in found]) == pytest.approx(
        np.mean([one.standard_error for one in found]), rel=0.3
    )


def test_magnitude_aware_noise_has_its_closed_form_with_the_floor(classifier):
    objective, weights, drop = classifier
    exact = brentq(lambda s: drop((s**2 * weights**2 + 0.2**2).sum(0)) - 0.1, 1e-3, 10)
    found = pac_bayes_sigma(objective, magnitude_aware=True, epsilon=0.2, draws=300)
    assert abs(found.value - exact) < 3 * found.standard_error < 0.2 * exact
    assert found.flatness == pytest.approx(1 / found.value**2)


def test_a_rise_of_the_loss_of_a_quadratic():
    bowl = QuadraticObjective([0.5, 1.0, 4.0])
    found = pac_bayes_sigma(bowl, criterion="loss", drop=0.3, draws=1000)
    exact = math.sqrt(2 * 0.3 / 5.5)
    assert abs(found.value - exact) < 3 * found.standard_error < 0.06 * exact and found.found_drop == pytest.approx(
        0.3, rel=0.02
    )


def test_what_the_published_code_calls_sigma_is_the_root_of_it():
    """It hands sigma^2 to a function that takes a standard deviation."""
    bowl, drop = QuadraticObjective([3.0, 1.0]), 0.02
    found = pac_bayes_sigma(bowl, criterion="loss", drop=drop, draws=1000)
    published = brentq(lambda sigma: (sigma**2) ** 2 / 2 * 4 - drop, 1e-3, 2)
    assert found.value == pytest.approx(published**2, rel=0.07)


def test_a_drop_that_no_noise_reaches_is_no_sigma():
    flat = FunctionObjective(lambda theta: 0 * theta.sum(), torch.zeros(2))
    found = pac_bayes_sigma(flat, criterion="loss", largest=0.5)
    assert (found.value, found.converged) == (0.5, False) and "NOT REACHED: at least that" in repr(found).replace(
        "\n    ", " "
    )
    cliff = FunctionObjective(lambda theta: (theta.abs().max() > 0).double(), torch.zeros(2))
    found = pac_bayes_sigma(cliff, criterion="loss")
    assert found.value < 1e-10 and not found.converged and "at most that" in repr(found)


def test_a_loss_that_falls_again_further_out_is_said():
    wall = FunctionObjective(lambda theta: (theta.norm() > 3).double(), torch.zeros(200).double())
    ring = FunctionObjective(lambda t: wall.value(t) + torch.exp(-((t.norm() - 1.5) ** 2) / 0.02), wall.theta)
    plain, ringed = (pac_bayes_sigma(one, criterion="loss", drop=0.5) for one in (wall, ring))
    assert plain.monotone and not ringed.monotone and plain.value == ringed.value == pytest.approx(0.212, rel=0.05)
    assert "NOT MONOTONE" in repr(ringed)


def test_a_rescaling_of_layers_fools_plain_noise_but_not_its_magnitude_aware_kind():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16, bias=False), torch.nn.ReLU(), torch.nn.Linear(16, 3, bias=False))
    batches = [(inputs := torch.randn(300, 4), model(inputs).argmax(1))]

    def sigma(aware):
        objective = Objective(model, cross_entropy, batches, dtype=torch.float64)
        return float(pac_bayes_sigma(objective, magnitude_aware=aware, epsilon=0.0))

    kept = {aware: sigma(aware) for aware in (False, True)}
    with torch.no_grad():
        model[0].weight *= 20.0
        model[2].weight /= 20.0
    assert sigma(True) == pytest.approx(kept[True], rel=1e-6) and sigma(False) < kept[False] / 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"drop": 0.0}, ValueError, "`drop` must lie in"),
        ({"drop": 1.5, "criterion": "accuracy"}, ValueError, r"`drop` must lie in \(0, 1\]"),
        ({"criterion": "margin"}, ValueError, "`criterion` must be one of"),
        ({"criterion": "accuracy"}, TypeError, "must have an accuracy, by `evaluate`; use criterion='loss'"),
        ({"epsilon": -1.0}, ValueError, "`epsilon` must"),
        ({"draws": 0}, ValueError, "`draws` must"),
        ({"largest": math.inf}, ValueError, "`largest` must"),
        ({"tolerance": 1.0}, ValueError, "`tolerance` must"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        pac_bayes_sigma(QuadraticObjective([1.0]), **{"criterion": "loss"} | changes)


def test_outputs_that_are_no_class_scores_have_no_accuracy():
    model = torch.nn.Linear(2, 1)
    objective = Objective(model, torch.nn.functional.mse_loss, [(torch.ones(3, 2), torch.zeros(3, 1))])
    with pytest.raises(ValueError, match="`criterion` must be 'loss' where the outputs are no class scores"):
        pac_bayes_sigma(objective)
