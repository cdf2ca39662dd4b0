"""The gradient-noise scale against gradients of single examples written out, and its error against many draws."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from flatmin import Objective, gradient_noise_scale
from flatmin.core.functions import QuadraticObjective
from flatmin.sharpness.gradient_noise import smith_le_noise_scale

WEIGHTS = np.array([0.5, -1.0, 0.3])


def objective_of(inputs, targets, *edges):
    model = nn.Linear(3, 1, bias=False).double()
    model.weight.data.copy_(torch.tensor(WEIGHTS)[None])
    cuts = np.split(np.arange(len(inputs)), edges)
    batches = [(torch.tensor(inputs[cut]), torch.tensor(targets[cut])[:, None]) for cut in cuts]
    return Objective(model, mse_loss, batches)


def gradients_of(inputs, targets):
    """Of every example: 2 (x'w - y) x."""
    return 2 * (inputs @ WEIGHTS - targets)[:, None] * inputs


def drawn(seed, count):
    generator = np.random.default_rng(seed)
    inputs = generator.choice([-1.0, 1.0], size=(count, 3)) * [1.0, 2.0, 0.5]
    return inputs, inputs @ [1.0, -0.5, 0.0] + generator.uniform(-1, 1, count)


def estimates(gradients, hessian):
    """Both terms from gradients of single examples."""
    covariance = np.cov(gradients.T)
    mean = gradients.mean(0)
    noise = np.trace(hessian @ covariance)
    return noise, mean @ hessian @ mean - noise / len(gradients)


@pytest.mark.parametrize("kind", ["simple", "hessian"])
def test_of_single_examples_it_is_their_covariance_over_the_gradient(kind):
    inputs, targets = drawn(0, 23)
    hessian = np.eye(3) if kind == "simple" else 2 * inputs.T @ inputs / 23
    gradients = gradients_of(inputs, targets)
    noise, signal = estimates(gradients, hessian)
    found = gradient_noise_scale(objective_of(inputs, targets, 9), size=1, kind=kind)
    assert [found.variance, found.signal, found.value] == pytest.approx([noise, signal, noise / signal], rel=1e-10)
    left = np.array([estimates(np.delete(gradients, index, 0), hessian) for index in range(23)])
    for name, values in (
        ("variance_error", left[:, 0]),
        ("signal_error", left[:, 1]),
        ("standard_error", left[:, 0] / left[:, 1]),
    ):
        assert getattr(found, name) == pytest.approx(math.sqrt(22 * values.var()), rel=1e-8)


def test_of_equal_parts_it_is_mccandlishs_estimate_at_two_batch_sizes():
    inputs, targets = drawn(1, 40)
    gradients = gradients_of(inputs, targets)
    small = np.mean([np.sum(part.mean(0) ** 2) for part in np.split(gradients, 8)])
    large = np.sum(gradients.mean(0) ** 2)
    found = gradient_noise_scale(objective_of(inputs, targets), size=5)
    assert found.signal == pytest.approx((40 * large - 5 * small) / 35, rel=1e-10)
    assert found.variance == pytest.approx((small - large) / (1 / 5 - 1 / 40), rel=1e-10)


def exact():
    """Both terms of the distribution: inputs have fixed squares S, and e = x'd + noise has variance d'Sd + 1/3."""
    squares, off = np.array([1.0, 4.0, 0.25]), WEIGHTS - np.array([1.0, -0.5, 0.0])
    mean = 2 * squares * off
    return 4 * squares.sum() * (squares @ off**2 + 1 / 3) - mean @ mean, mean @ mean


def test_both_terms_are_without_bias_for_uneven_parts_and_the_error_covers_as_it_says():
    found = [gradient_noise_scale(objective_of(*drawn(seed, 205)), size=10) for seed in range(150)]
    assert found[0].parts == 21
    noise, signal = exact()
    for name, truth in (("variance", noise), ("signal", signal)):
        values = np.array([getattr(one, name) for one in found])
        assert abs(values.mean() - truth) < 3 * values.std() / math.sqrt(len(values))
        errors = np.array([getattr(one, f"{name}_error") for one in found])
        assert 0.88 < np.mean(abs(values - truth) < 2 * errors) < 0.99
    inside = [abs(one.value - noise / signal) < 2 * one.standard_error for one in found]
    assert 0.85 < np.mean(inside) <= 1.0


def test_a_gradient_of_which_nothing_is_seen_is_said():
    inputs = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    targets = inputs @ WEIGHTS + np.array([1.0, -1.0] * 3)
    found = gradient_noise_scale(objective_of(inputs, targets), size=1)
    assert found.signal < 0 and math.isnan(found.value) and "NO GRADIENT IS SEEN: its square" in repr(found)


def test_a_last_example_without_statistics_of_its_own_is_left_out():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    batch = torch.randn(21, 3), torch.randn(21, 1)
    assert gradient_noise_scale(Objective(model, mse_loss, [batch], batch_norm="batch"), size=4).parts == 5
    assert gradient_noise_scale(objective_of(*drawn(0, 21)), size=4).parts == 6


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"size": 0}, ValueError, "`size` must be at least 1"),
        ({"size": 4}, ValueError, "`size` must leave at least three parts, got 2 of 4; take a smaller one"),
        ({"kind": "noisy"}, ValueError, "`kind` must be one of 'simple', 'hessian'"),
    ],
)
def test_bad_arguments_are_named(changes, kind, message):
    with pytest.raises(kind, match=message):
        gradient_noise_scale(objective_of(*drawn(0, 8)), **changes)


def test_a_gradient_that_is_not_finite_is_refused():
    inputs, targets = drawn(0, 8)
    targets[3] = np.inf
    with pytest.raises(RuntimeError, match="gradients must be finite"):
        gradient_noise_scale(objective_of(inputs, targets), size=2)


def test_smith_and_les_noise_is_gone_with_the_whole_batch_and_grows_with_momentum():
    assert smith_le_noise_scale(0.1, 100, 100) == 0
    assert smith_le_noise_scale(0.1, 50_000, 256, momentum=0.9) == pytest.approx(10 * 0.1 * (50_000 / 256 - 1))
    with pytest.raises(ValueError, match=r"`batch_size` must lie in \(-inf, 10\], got 11"):
        smith_le_noise_scale(0.1, 10, 11)


def test_a_function_without_examples_is_refused():
    with pytest.raises(TypeError, match="`objective` must have parts of its examples, got QuadraticObjective"):
        gradient_noise_scale(QuadraticObjective([1.0]))
