"""Where numbers end: boxes that float32 cannot resolve, seeds that a generator of 32 bits cannot tell apart."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, average_case_sharpness, epsilon_sharpness, filter_normalized
from flatmin.core.functions import QuadraticObjective
from flatmin.networks import F1
from flatmin.sharpness.effort import effort
from flatmin.training import start_network

SMALL = (1e-6, 1e-8, 1e-9)


def objective(dtype):
    network = start_network(lambda: F1((1, 3, 3), 4, width=6), 0)
    inputs = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    return Objective(network, cross_entropy, [(inputs, torch.arange(20) % 4)], dtype=dtype)


@pytest.mark.parametrize("method", ["paper", "strong"])
@pytest.mark.parametrize("subspace_dim", [None, 5])
def test_box_below_the_resolution_of_float32_never_converges(method, subspace_dim):
    single, double = (objective(dtype) for dtype in (torch.float32, torch.float64))
    for epsilon in SMALL:
        found = epsilon_sharpness(single, epsilon=epsilon, method=method, subspace_dim=subspace_dim)
        assert not found.resolved and not found.converged and found.to_record()["resolved"] is False
        assert not effort(single, epsilon=epsilon, evaluations=3, subspace_dim=subspace_dim).resolved
        assert epsilon_sharpness(double, epsilon=epsilon, method=method, subspace_dim=subspace_dim).resolved


def test_box_that_is_called_resolved_has_the_value_of_float64():
    single, double = (objective(dtype) for dtype in (torch.float32, torch.float64))
    for epsilon in (5e-4, 5e-5, 4e-6):
        found, exact = (epsilon_sharpness(each, epsilon=epsilon, method="paper") for each in (single, double))
        assert found.resolved and float(found) == pytest.approx(float(exact), rel=0.02)


@pytest.mark.parametrize(
    "draw",
    [
        lambda bowl, seed: epsilon_sharpness(bowl, seed=seed),
        lambda bowl, seed: epsilon_sharpness(bowl, seed=seed, subspace_dim=1),
        lambda bowl, seed: effort(bowl, seed=seed),
        lambda bowl, seed: average_case_sharpness(bowl, seed=seed),
        lambda bowl, seed: filter_normalized(bowl, seed=seed),
        lambda bowl, seed: start_network(lambda: torch.nn.Linear(1, 1), seed),
    ],
    ids=["search", "subspace", "effort", "average", "direction", "start"],
)
def test_seed_of_more_than_32_bits_is_refused(draw):
    bowl = QuadraticObjective([1.0, 4.0])
    draw(bowl, 2**32 - 1)
    for seed in (2**32, 2**40 + 3):
        with pytest.raises(ValueError, match=rf"^`seed` must be below 2\*\*32, got {seed}"):
            draw(bowl, seed)
