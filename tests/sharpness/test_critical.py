"""The critical sharpness against the crossing of a parabola written out, and where there is none."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, critical_sharpness
from flatmin.core.functions import FunctionObjective, QuadraticObjective

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 7.0]])
POINT = np.array([0.7, -1.2, 0.4])
BOWL = QuadraticObjective(torch.tensor(MATRIX), theta=torch.tensor(POINT))
SLOPE = MATRIX @ POINT


@pytest.mark.parametrize("start", [1e-9, 1e-3, 0.5, 1.0, 1e4])
@pytest.mark.parametrize("tolerance", [0.3, 0.05, 1e-4])
def test_along_the_negative_gradient_it_is_the_curvature_there(start, tolerance):
    found = critical_sharpness(BOWL, start=start, tolerance=tolerance)
    exact = SLOPE @ MATRIX @ SLOPE / (SLOPE @ SLOPE)
    assert found.value == pytest.approx(exact, rel=tolerance**2) and found.converged
    assert found.value < np.linalg.eigvalsh(MATRIX)[-1]


def test_along_any_update_it_is_curvature_over_slope():
    update = np.array([-1.0, 0.5, -0.3])
    found = critical_sharpness(BOWL, torch.tensor(update), learning_rate=0.25, tolerance=1e-4)
    assert found.step == pytest.approx(-2 * SLOPE @ update / (update @ MATRIX @ update), rel=1e-6)
    assert found.value == pytest.approx(2 / (0.25 * found.step))


def test_it_costs_about_six_losses_from_the_last_step():
    first = critical_sharpness(BOWL)
    assert first.evaluations <= 10
    assert critical_sharpness(BOWL, start=1.1 * first.step).evaluations <= 7


def test_a_learning_rate_below_two_over_it_lowers_the_loss_and_one_above_raises_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    objective = Objective(model, cross_entropy, [(torch.randn(20, 4).double(), torch.arange(20) % 3)])
    edge = 2 / float(critical_sharpness(objective, tolerance=1e-3))
    for factor, worse in ((0.99, False), (1.01, True)):
        stepped = objective.value(objective.theta - factor * edge * objective.gradient())
        assert (stepped > objective.value()) == worse


def test_along_an_optimisers_update_its_learning_rate_does_not_matter():
    weights = nn.Parameter(torch.tensor(POINT))
    for rate in (1e-3, 0.2):
        optimizer = torch.optim.SGD([weights], lr=rate)
        found = critical_sharpness(BOWL, optimizer=optimizer, tolerance=1e-3)
        assert found.value == pytest.approx(SLOPE @ MATRIX @ SLOPE / (SLOPE @ SLOPE), rel=1e-5)
        assert found.learning_rate == rate


def test_the_relative_kind_looks_at_one_loss_along_the_gradient_of_another():
    other = np.diag([1.0, 5.0, 2.0])
    slope = other @ POINT
    found = critical_sharpness(
        BOWL, along=QuadraticObjective([1.0, 5.0, 2.0], theta=torch.tensor(POINT)), tolerance=1e-3
    )
    assert found.value == pytest.approx(slope @ MATRIX @ slope / (SLOPE @ slope), rel=1e-5) and found.relative
    assert repr(found).startswith("CriticalSharpness(relative critical sharpness")


def at(function, *point):
    return FunctionObjective(function, torch.tensor(point, dtype=torch.float64))


@pytest.mark.parametrize(
    ("objective", "direction", "step", "value", "said"),
    [
        (at(lambda t: -t.sum(), 1.0), None, math.inf, 0.0, "NEVER RISES"),
        (at(lambda t: t.sum().sigmoid(), 1.0), None, math.inf, 0.0, "NEVER RISES"),
        (BOWL, torch.tensor(SLOPE), 0.0, math.inf, "NO STEP LOWERS THE LOSS: uphill"),
        (at(lambda t: (t**2).sum(), 0.0), torch.ones(1), 0.0, math.inf, "NO STEP LOWERS THE LOSS"),
        (at(lambda t: (t**2).sum(), 0.0), None, math.nan, math.nan, "NO DIRECTION"),
    ],
    ids=["a slope", "a plateau", "uphill", "at a minimum", "no gradient"],
)
@pytest.mark.parametrize("start", [1e-3, 1.0])
def test_where_there_is_no_crossing_it_says_so(objective, direction, step, value, said, start):
    found = critical_sharpness(objective, direction, start=start)
    assert [found.step, found.value] == pytest.approx([step, value], nan_ok=True)
    assert said in " ".join(repr(found).split()) and not found.converged


def test_a_loss_that_is_not_finite_counts_as_raised():
    wall = at(lambda t: torch.where(t < 0.5, torch.nan, t).sum(), 1.0)
    found = critical_sharpness(wall, tolerance=0.01)
    assert found.step == pytest.approx(0.5, rel=0.01) and found.converged


def test_rounding_is_told_from_a_dip():
    def loss(point):
        return 1.0 + 1e-9 * ((point - 1) ** 2).sum()

    exact = critical_sharpness(FunctionObjective(loss, torch.zeros(1, dtype=torch.float64)), torch.ones(1))
    assert exact.step == pytest.approx(2, rel=1e-2) and exact.resolved
    coarse = critical_sharpness(FunctionObjective(loss, torch.zeros(1)), torch.ones(1))
    assert not coarse.resolved and ("ROUNDING DECIDES" in repr(coarse) or "NO STEP LOWERS" in repr(coarse))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"start": 0.0}, ValueError, "`start` must be positive"),
        ({"tolerance": 2.0}, ValueError, "`tolerance` must lie in"),
        ({"learning_rate": -1.0}, ValueError, "`learning_rate` must be positive"),
        ({"direction": torch.ones(2)}, ValueError, r"`direction` must have shape \(3,\), got \(2,\)"),
        ({"direction": torch.ones(3), "along": BOWL}, ValueError, "must not be given beside `along`"),
        (
            {
                "optimizer": torch.optim.SGD(
                    [{"params": [nn.Parameter(torch.ones(n))], "lr": 0.1 * n} for n in (1, 2)], lr=0.1
                )
            },
            ValueError,
            "must have one learning rate, got 0.1, 0.2; pass learning_rate=",
        ),
    ],
)
def test_bad_arguments_are_named(changes, kind, message):
    with pytest.raises(kind, match=message):
        critical_sharpness(BOWL, **changes)


def test_a_loss_that_is_not_finite_where_it_stands_is_refused():
    with pytest.raises(RuntimeError, match="must be finite, got nan"):
        critical_sharpness(at(lambda t: t.sum() * torch.nan, 1.0), torch.ones(1))


def test_a_function_that_has_to_be_told_where_serves():
    class Own:
        theta = torch.ones(2, dtype=torch.float64)

        def value(self, theta):
            return self.value_and_gradient(theta)[0]

        def value_and_gradient(self, theta):
            return 2 * theta @ theta, 4 * theta

    for found in (critical_sharpness(Own()), critical_sharpness(QuadraticObjective([4.0, 4.0]), along=Own())):
        assert found.lowest_loss <= found.base_loss
    assert critical_sharpness(Own(), tolerance=1e-6).value == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("curvature", [0.25, 2.0, 4.0, 64.0])
def test_a_step_that_comes_back_to_the_very_loss_is_the_crossing(curvature):
    bowl = QuadraticObjective([curvature, curvature], theta=torch.ones(2))
    found = critical_sharpness(bowl)
    assert found.value == pytest.approx(curvature, rel=1e-3) and found.converged
