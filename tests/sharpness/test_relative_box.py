"""Keskar's box without its 1: maxima by hand, and a network rescaled as by Dinh et al."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, epsilon_sharpness, load
from flatmin.core.functions import QuadraticObjective
from flatmin.measures import measures
from flatmin.measures.measure import Specimen


@pytest.mark.parametrize("size", [2, 33, 300])
def test_of_a_separable_quadratic_each_weight_adds_its_own_highest_point(size):
    rng = np.random.default_rng(size)
    curvature, slope, theta = rng.standard_normal((3, size))
    theta[0] = 0.0
    widths = 0.1 * np.abs(theta)
    inner = np.where((curvature < 0) & (np.abs(slope) < -curvature * widths), -slope / curvature, np.nan)
    places = np.stack([-widths, widths, np.where(np.isnan(inner), 0, inner)])
    exact = (slope * places + curvature * places**2 / 2).max(axis=0).sum()
    constant = 1 - (slope - curvature * theta) @ theta - curvature @ theta**2 / 2
    tensors = [torch.tensor(array) for array in (curvature, slope - curvature * theta, theta)]
    objective = QuadraticObjective(tensors[0], linear=tensors[1], theta=tensors[2], constant=float(constant))
    found = epsilon_sharpness(objective, epsilon=0.1, box="relative")
    assert float(found) * 2 / 100 == pytest.approx(exact, rel=1e-6) and found.converged
    assert found.perturbation[0] == 0 and (found.perturbation.abs() <= torch.tensor(widths) * (1 + 1e-12)).all()
    assert torch.equal(found.perturbation, found.coordinates * objective.theta.abs())
    assert float(found) < float(epsilon_sharpness(objective, epsilon=0.1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double()


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(22, 4, generator=generator, dtype=torch.float64), torch.arange(22) % 3


@pytest.mark.parametrize("method", ["paper", "strong"])
def test_rescaled_neurons_change_the_published_sharpness_alone(network, points, method):
    def measured(box):
        return float(
            epsilon_sharpness(Objective(network, cross_entropy, [points]), epsilon=0.02, box=box, method=method)
        )

    kept = {box: measured(box) for box in ("published", "relative")}
    with torch.no_grad():
        factors = torch.logspace(-3, 3, 8, dtype=torch.float64)
        network[0].weight *= factors[:, None]
        network[0].bias *= factors
        network[2].weight /= factors
    assert measured("relative") == pytest.approx(kept["relative"], rel=1e-9)
    assert measured("published") > 3 * kept["published"]


def test_permuted_neurons_leave_what_the_measure_finds(network, points):
    measure = measures()["relative_sharpness"]

    def measured():
        objective = Objective(network, cross_entropy, [points])
        (asked,) = measure.plan(measure.settings(epsilons=(0.01,)), 22, 22)
        (row,) = measure.run(
            Specimen(objective=objective, following=None, test=None, population=22, each=None), asked, id
        )
        return row["sharpness"]

    before, order = measured(), torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    with torch.no_grad():
        network[0].weight.copy_(network[0].weight[order].clone())
        network[0].bias.copy_(network[0].bias[order].clone())
        network[2].weight.copy_(network[2].weight[:, order].clone())
    assert measured() == pytest.approx(before, rel=1e-6)


def test_the_box_is_told_kept_and_refused_where_there_are_no_shares(network, points, tmp_path):
    objective = Objective(network, cross_entropy, [points])
    found = epsilon_sharpness(objective, box="relative", method="paper")
    assert "epsilon 0.001 of each weight, full space" in " ".join(repr(found).split())
    assert load(found.save(tmp_path / "found.npz")).box == "relative"
    assert epsilon_sharpness(objective, method="paper").box == "published"
    with pytest.raises(ValueError, match="`box` must be 'published' in a random subspace"):
        epsilon_sharpness(objective, box="relative", subspace_dim=3)
    with pytest.raises(ValueError, match="`box` must be one of 'published', 'relative'"):
        epsilon_sharpness(objective, box="absolute")
