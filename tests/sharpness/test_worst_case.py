"""The largest rise in a ball, against closed forms, brute force, limits of small balls, and laws."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, load, worst_case_sharpness
from flatmin.core.functions import FunctionObjective, QuadraticObjective


def highest_in_the_ball(hessian, linear, rho):
    """The maximum of b'x + x'Hx/2 over a Euclidean ball: x = (lambda - H)^-1 b of length rho, above all eigenvalues."""
    eigenvalues, vectors = np.linalg.eigh(hessian)
    slope = vectors.T @ linear
    low, high = max(eigenvalues[-1], 0) + 1e-13, max(eigenvalues[-1], 0) + np.linalg.norm(slope) / rho + 1
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.linalg.norm(slope / (middle - eigenvalues)) > rho else (low, middle)
    x = slope / (high - eigenvalues)
    return slope @ x + eigenvalues @ x**2 / 2


@pytest.mark.parametrize("kind", ["bowl", "saddle", "hill"])
def test_in_l2_a_quadratic_rises_as_the_secular_equation_says(kind):
    generator = np.random.default_rng(1)
    root = generator.normal(size=(12, 12))
    hessian = {"bowl": root @ root.T, "saddle": root + root.T, "hill": -root @ root.T / 12}[kind]
    linear = generator.normal(size=12)
    objective = QuadraticObjective(torch.tensor(hessian), linear=torch.tensor(linear))
    for rho in (0.01, 0.3, 5.0):
        found = worst_case_sharpness(objective, rho=rho, steps=60)
        assert found.value == pytest.approx(highest_in_the_ball(hessian, linear, rho), rel=1e-3)
        assert found.converged and found.evaluations == 61
        at = objective.value(objective.theta + found.perturbation)
        assert float(at - objective.value()) == found.value and found.perturbation.norm() <= rho * (1 + 1e-12)


def test_in_linf_a_convex_quadratic_is_highest_in_a_corner():
    root = torch.randn(8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    theta = torch.linspace(-1, 2, 8, dtype=torch.float64)
    objective = QuadraticObjective(root @ root.T, theta=theta)
    for adaptive, scale in ((False, torch.ones(8)), (True, theta.abs())):
        corners = [theta + 0.3 * scale * torch.tensor(signs) for signs in product((-1.0, 1.0), repeat=8)]
        highest = max(float(objective.value(corner)) for corner in corners) - float(objective.value())
        found = worst_case_sharpness(objective, rho=0.3, norm="linf", adaptive=adaptive, restarts=10)
        assert found.value == pytest.approx(highest, rel=1e-6) and found.converged


@pytest.mark.parametrize("search", ["auto_pgd", "sam"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_a_small_ball_feels_the_slope_alone(search, adaptive):
    theta = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    objective = FunctionObjective(lambda t: (t * torch.arange(1.0, 5.0)).sin().sum() + t.prod(), theta)
    slope = objective.gradient().numpy() * (np.abs(theta.numpy()) if adaptive else 1)
    for norm, dual in (("l2", np.linalg.norm(slope)), ("linf", np.abs(slope).sum())):
        found = worst_case_sharpness(objective, rho=1e-6, norm=norm, adaptive=adaptive, search=search)
        assert found.value == pytest.approx(1e-6 * dual, rel=1e-4) and found.converged


def test_one_step_is_that_of_sam_and_asam():
    theta, hessian = np.array([1.0, -2.0, 0.5]), np.diag([3.0, 1.0, -2.0])
    objective = QuadraticObjective(torch.tensor(hessian), theta=torch.tensor(theta))
    gradient, squares = hessian @ theta, theta**2
    steps = {
        ("l2", False): 0.3 * gradient / np.linalg.norm(gradient),
        ("linf", False): 0.3 * np.sign(gradient),
        ("l2", True): 0.3 * squares * gradient / np.linalg.norm(np.abs(theta) * gradient),
        ("linf", True): 0.3 * np.abs(theta) * np.sign(gradient),
    }
    for (norm, adaptive), step in steps.items():
        found = worst_case_sharpness(objective, rho=0.3, norm=norm, adaptive=adaptive, search="sam")
        np.testing.assert_allclose(found.perturbation, step, rtol=1e-12)
        assert found.value == pytest.approx(gradient @ step + step @ hessian @ step / 2) and found.evaluations == 2


def test_at_a_critical_point_the_search_finds_the_top_eigenvalue_and_one_step_says_that_it_does_not():
    theta = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    curvatures = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    critical = FunctionObjective(lambda t: (curvatures * (t - theta) ** 2).sum() / 2, theta)
    assert worst_case_sharpness(critical, rho=0.1).value == pytest.approx(0.1**2 / 2 * 4, rel=1e-6)
    adaptive = worst_case_sharpness(critical, rho=0.1, adaptive=True, steps=100)
    assert adaptive.value == pytest.approx(0.1**2 / 2 * 9, rel=1e-3)  # c H c has the diagonal 4, 8, 9
    step = worst_case_sharpness(critical, rho=0.1, search="sam")
    assert step.value == 0 and not step.converged and "NOT CONVERGED" in repr(step)


def test_what_is_missing_after_few_steps_is_told():
    generator = np.random.default_rng(0)
    missing = {True: [], False: []}
    for _ in range(30):
        root, slope = generator.normal(size=(40, 40)), 0.1 * generator.normal(size=40)
        objective = QuadraticObjective(torch.tensor(root + root.T), linear=torch.tensor(slope))
        for steps in (2, 5, 10, 20, 40):
            found = worst_case_sharpness(objective, rho=1.0, steps=steps)
            missing[found.converged].append(1 - found.value / highest_in_the_ball(root + root.T, slope, 1.0))
    assert min(map(len, missing.values())) > 20
    assert np.mean(missing[True]) < 0.01 and max(missing[True]) < 0.1 < np.mean(missing[False])


def test_climbs_that_end_apart_are_told():
    two_hills = FunctionObjective(lambda t: (t**2 + t / 2).sum(), torch.zeros(1, dtype=torch.float64))
    found = worst_case_sharpness(two_hills, rho=1.0, restarts=4, steps=40)
    assert found.value == pytest.approx(1.5) and found.spread == pytest.approx(2 / 3)  # the other hill is 0.5 high
    assert "CLIMBS DISAGREE by 67%" in repr(found)
    assert math.isnan(worst_case_sharpness(two_hills, rho=1.0).spread)


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(22, 4, generator=generator, dtype=torch.float64), torch.arange(22) % 3


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double()


@pytest.mark.parametrize("search", ["auto_pgd", "sam"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_rescaling_of_neurons_fools_the_standard_kind_but_not_the_adaptive_one(network, points, norm, search):
    def measured(adaptive):
        objective = Objective(network, cross_entropy, [points])
        return worst_case_sharpness(objective, rho=0.05, norm=norm, adaptive=adaptive, search=search).value

    kept = {adaptive: measured(adaptive) for adaptive in (False, True)}
    with torch.no_grad():
        factors = torch.logspace(-1.5, 1.5, 8, dtype=torch.float64)
        network[0].weight *= factors[:, None]
        network[0].bias *= factors
        network[2].weight /= factors
    assert measured(adaptive=True) == pytest.approx(kept[True], rel=1e-9)
    assert measured(adaptive=False) > 1.5 * kept[False]


def test_parts_are_objectives_of_their_own_and_count_by_their_examples(network, points):
    inputs, targets = points
    objective = Objective(network, cross_entropy, [(inputs[:7], targets[:7]), (inputs[7:], targets[7:])])
    alone = [
        worst_case_sharpness(Objective(network, cross_entropy, [(inputs[a:b], targets[a:b])]), rho=0.1)
        for a, b in ((0, 8), (8, 16), (16, 22))
    ]
    values, shares = np.array([one.value for one in alone]), np.array([8, 8, 6]) / 22
    found = worst_case_sharpness(objective, rho=0.1, per=8)
    assert found.value == pytest.approx(shares @ values) and found.parts == 3 and found.perturbation is None
    assert found.evaluations == sum(one.evaluations for one in alone)
    assert found.standard_error == pytest.approx(math.sqrt(1.5 * np.sum((shares * (values - found.value)) ** 2)))
    assert found.value > worst_case_sharpness(objective, rho=0.1).value
    equal = worst_case_sharpness(objective, rho=0.1, per=11)
    halves = [
        worst_case_sharpness(Objective(network, cross_entropy, [(inputs[a:b], targets[a:b])]), rho=0.1).value
        for a, b in ((0, 11), (11, 22))
    ]
    assert equal.standard_error == pytest.approx(np.std(halves, ddof=1) / math.sqrt(2))


def test_parts_with_statistics_of_their_own_are_cautioned(network, points):
    normed = torch.nn.Sequential(network[0], torch.nn.BatchNorm1d(8).double(), *network[1:])
    objective = Objective(normed, cross_entropy, [points], batch_norm="batch")
    assert "statistics of its own 11 examples" in " ".join(
        repr(worst_case_sharpness(objective, rho=0.1, per=11)).split()
    )
    assert "of its own" not in repr(worst_case_sharpness(objective, rho=0.1))


def test_a_ball_too_small_for_float32_is_named(network, points):
    objective = Objective(network, cross_entropy, [points], dtype=torch.float32)
    for rho, resolved in ((1e-8, False), (0.05, True)):
        found = worst_case_sharpness(objective, rho=rho)
        assert found.resolved is found.converged is resolved and ("NOT RESOLVED" in repr(found)) is not resolved


def test_nan_is_passed_over_and_infinity_has_not_converged():
    theta = torch.zeros(1, dtype=torch.float64)
    hole = FunctionObjective(lambda t: torch.where(t[0].abs() > 0.05, torch.nan, 1.0) * t.sum(), theta)
    found = worst_case_sharpness(hole, rho=0.1)
    assert 0.02 < found.value <= 0.05 and found.not_a_number and "NOT A NUMBER" in repr(found)
    assert math.isnan(worst_case_sharpness(hole, rho=0.1, search="sam").value)
    cliff = FunctionObjective(lambda t: torch.where(t[0] > 0.05, torch.inf, 0.0) + t.sum(), theta)
    found = worst_case_sharpness(cliff, rho=0.1)
    assert found.value == math.inf and not found.converged and "infinite" in repr(found)


def test_a_result_is_kept(tmp_path, network, points):
    objective = Objective(network, cross_entropy, [points])
    for per in (None, 11):
        found = worst_case_sharpness(objective, rho=0.1, per=per)
        again = load(found.save(tmp_path / "found.npz"))
        assert repr(again) == repr(found) and str(again.to_record()) == str(found.to_record())
        assert (found.perturbation is None) == (per is not None) and len(found.to_frame()) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rho": 0.0}, ValueError, "`rho` must be positive"),
        ({"norm": "l1"}, ValueError, "`norm` must be one of 'l2', 'linf'"),
        ({"search": "pgd"}, ValueError, "`search` must be one of 'auto_pgd', 'sam'"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1"),
        ({"restarts": -1}, ValueError, "`restarts` must be at least 0"),
        ({"per": 0}, ValueError, "`per` must be at least 1"),
        ({"per": 2}, TypeError, "`per` needs an objective with examples, got QuadraticObjective"),
        ({"seed": 2**32}, ValueError, "`seed` must be below"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        worst_case_sharpness(QuadraticObjective([1.0]), **{"rho": 0.1} | changes)


def test_a_loss_that_is_not_finite_is_refused():
    nowhere = FunctionObjective(lambda theta: theta.sum() * torch.nan, torch.ones(1, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="must be finite, got nan"):
        worst_case_sharpness(nowhere, rho=0.1)
