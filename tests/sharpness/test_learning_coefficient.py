"""The learning coefficient by chains against integrals of the same posterior on a grid, and known coefficients."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from flatmin import Objective
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.learning_coefficient import local_learning_coefficient

N = 10_000


class ByHand:
    """A loss with its gradient written out, float64."""

    def __init__(self, loss, gradient, size):
        self.loss, self.slope, self.theta = loss, gradient, torch.zeros(size, dtype=torch.float64)

    def value(self, theta):
        return self.loss(theta)

    def value_and_gradient(self, theta):
        return self.loss(theta), self.slope(theta)


POWERS = torch.tensor([2.0, 4.0], dtype=torch.float64)
SUM = ByHand(lambda w: (w**POWERS).sum(), lambda w: POWERS * w ** (POWERS - 1), 2)
CROSSING = ByHand(lambda w: (w**2).prod(), lambda w: 2 * w * (w.flip(0) ** 2), 2)


def exact(loss, gamma, *, n=N, reach=3.0, points=2001):
    """The expectation of the estimate, on a grid of two dimensions."""
    axis = np.linspace(-reach, reach, points)
    values, scale = loss(axis[:, None], axis[None, :]), n / math.log(n)
    density = np.exp(-scale * values - gamma / 2 * (axis[:, None] ** 2 + axis[None, :] ** 2))
    return scale * (values * density).sum() / density.sum()


def sum_of_powers(first, second):
    return first**2 + second**4


def crossing(first, second):
    return first**2 * second**2


@pytest.mark.parametrize(
    ("objective", "loss", "gamma", "step"),
    [(SUM, sum_of_powers, 1.0, 2e-4), (SUM, sum_of_powers, 300.0, 2e-4), (CROSSING, crossing, 30.0, 1e-3)],
)
def test_chains_give_the_integral_of_the_posterior_that_they_are_held_in(objective, loss, gamma, step):
    found = local_learning_coefficient(
        objective, population=N, gamma=gamma, step=step, chains=5, draws=2000, burn_in=100, seed=2
    )
    expected = exact(loss, gamma)
    assert abs(found.value - expected) < 3 * found.standard_error + 0.06 * expected and found.standard_error < 0.1
    assert abs(found.equipartition - 1) < 0.15


def test_the_integrals_tend_to_the_known_coefficients():
    """1 / (2 p) for each w^(2 p); 1/2 for a crossing, from below as 1 / ln n, since its multiplicity is 2."""
    assert exact(sum_of_powers, 1e-9) == pytest.approx(1 / 2 + 1 / 4, rel=1e-3)
    off = [0.5 - exact(crossing, 1.0, n=n, reach=6, points=2501) for n in (10**3, 10**5)]
    assert 0.2 > off[0] > 1.2 * off[1] > 0


def test_the_error_covers_a_closed_form_and_the_step_found_is_small_enough():
    curvatures, gamma, scale = [0.0, 0.1, 1.0, 4.0], 400.0, N / math.log(N)
    expected = sum(scale * h / (scale * h + gamma) for h in curvatures) / 2
    bowl = ByHand(
        lambda w: 0.5 * (torch.tensor(curvatures).double() * w**2).sum(),
        lambda w: torch.tensor(curvatures).double() * w,
        4,
    )
    found = local_learning_coefficient(bowl, population=N, gamma=gamma, chains=8, draws=1500, burn_in=300)
    assert found.step == pytest.approx(0.1 / (scale * 4 + gamma), rel=0.02)
    assert abs(found.value - expected) < 3 * found.standard_error < 0.3 * expected


def test_chains_that_have_not_spread_or_step_too_far_have_not_converged():
    bowl = QuadraticObjective([1.0, 4.0])
    early = local_learning_coefficient(bowl, population=100, gamma=1.0, draws=20, burn_in=0, step=1e-4)
    assert not early.converged and early.equipartition < 0.2 and "NOT CONVERGED: split R-hat" in repr(early)
    curvature = 100 / math.log(100) * 4 + 1
    far = local_learning_coefficient(bowl, population=100, gamma=1.0, draws=400, step=3.6 / curvature)
    assert not far.converged and far.equipartition > 1.5
    gone = local_learning_coefficient(bowl, population=100, gamma=1.0, draws=3000, step=10.0)
    assert gone.value == math.inf and gone.diverged == 4 and not gone.converged and "DIVERGED" in repr(gone)


def test_where_the_loss_falls_away_the_coefficient_is_negative_and_said():
    saddle = FunctionObjective(lambda w: w[0] ** 2 - 3 * w[1] ** 2, torch.zeros(2).double())
    found = local_learning_coefficient(saddle, population=100, gamma=200.0, draws=200, burn_in=50)
    assert found.value < 0 and "NEGATIVE: the chains found lower losses" in repr(found)


def test_batches_have_the_mean_of_all_examples():
    """A linear model whose examples have one curvature each: the parts differ by their slopes alone."""
    model = torch.nn.Linear(2, 1, bias=False).double()
    torch.nn.init.zeros_(model.weight)
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double().repeat(20, 1)
    objective = Objective(model, mse_loss, [(inputs, torch.zeros(40, 1).double())])
    batched = local_learning_coefficient(objective, gamma=5.0, batch_size=10, draws=400, burn_in=100, chains=3)
    whole = local_learning_coefficient(objective, gamma=5.0, draws=400, burn_in=100, chains=3)
    assert batched.batch_size == 10 and batched.evaluations == whole.evaluations + 4 and whole.population == 40
    assert abs(batched.value - whole.value) < 3 * math.hypot(batched.standard_error, whole.standard_error)
    scale = 40 / math.log(40)
    assert abs(whole.value - scale / (scale + 5)) < 4 * whole.standard_error


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"gamma": 0.0}, ValueError, "`gamma` must be positive"),
        ({"draws": 3}, ValueError, "`draws` must be at least 4"),
        ({"chains": 0}, ValueError, "`chains` must"),
        ({"step": -1.0}, ValueError, "`step` must be positive"),
        ({"beta": 0.0}, ValueError, "`beta` must be positive"),
        ({"population": None}, ValueError, "`population` must be given for an objective that does not say"),
        ({"population": 1}, ValueError, "`population` must be at least 2"),
        ({"batch_size": 5}, TypeError, "`batch_size` must be left out for an objective without `parts`"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        local_learning_coefficient(QuadraticObjective([1.0]), **{"population": 100} | changes)
