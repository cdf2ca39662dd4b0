"""Along how many directions a loss is steep: closed forms, Wilson's interval against SciPy's, directions by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from flatmin import Objective, load, steep_directions, top_eigenvalues
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.core.shares import wilson
from flatmin.sharpness.steep_directions import KINDS


@pytest.mark.parametrize(("hits", "of"), [(0, 73), (0, 1), (1, 1), (3, 40), (25, 40), (40, 40)])
def test_the_interval_is_scipys(hits, of):
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    found = wilson(hits, of)
    assert found.value == hits / of
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_interval_covers_as_often_as_it_says():
    hits = np.random.default_rng(0).binomial(40, 0.1, 2000)
    assert 0.93 < np.mean([wilson(int(h), 40).low <= 0.1 <= wilson(int(h), 40).high for h in hits]) < 0.97


def test_along_eigenvectors_of_a_quadratic_the_rise_is_half_the_eigenvalue_times_the_square_of_the_length():
    values = [9.0, 4.0, 1.0] + [0.0] * 22
    found = steep_directions(QuadraticObjective(values), epsilon=0.2, k=3, directions=2, threshold=1.5, share=0.3)
    assert found.length == pytest.approx(0.2 * 5) and found.base_loss == 0
    rises = found.of_kind("eigenvector", found.rises)
    assert rises.tolist() == pytest.approx([4.5, 2.0, 0.5])
    assert found.of_kind("eigenvector", found.box_lengths).tolist() == pytest.approx([0.2] * 3)
    assert found.of_kind("eigenvector", found.box_rises).tolist() == pytest.approx([0.18, 0.08, 0.02])
    assert found.steep("eigenvector").value == pytest.approx(2 / 3)
    assert found.steep("eigenvector", relative=True).value == pytest.approx(2 / 3)
    assert found.of_kind("orthogonal", found.rises).abs().max() < 1e-12
    assert "gradient" not in found.directions


def test_a_gaussian_direction_has_the_trace_over_the_size_in_the_mean():
    values = np.random.default_rng(1).uniform(0, 5, 60)
    found = steep_directions(QuadraticObjective(values.tolist()), epsilon=0.1, k=1, directions=400)
    exact = found.length**2 / 2 * values.mean()
    for kind in ("gaussian", "box"):
        rises = found.of_kind(kind, found.rises)
        assert abs(float(rises.mean()) - exact) < 4 * float(rises.std()) / 20


def test_every_direction_has_its_length_and_stays_in_the_box_where_it_is_to():
    steps = []
    theta = torch.tensor([1.0, -3.0, 0.0, 0.5], dtype=torch.float64)

    class Watched(FunctionObjective):
        def value(self, point=None):
            steps.append(torch.zeros(4) if point is None else point - theta)
            return super().value(point)

    loss = Watched(lambda t: ((t - 1) ** 4).sum(), theta)
    found = steep_directions(loss, epsilon=0.01, k=2, directions=3)
    width = 0.01 * (theta.abs() + 1)
    taken = [step for step in steps if step.abs().max() > 0]
    assert len(taken) + 1 == found.evaluations and set(found.directions) == set(KINDS)
    for place, inside in enumerate(found.box_lengths.tolist()):
        far, back, near, nearer = taken[4 * place : 4 * place + 4]
        assert torch.allclose(far, -back) and torch.allclose(near, -nearer)
        assert float(far.norm()) == pytest.approx(float(width.norm())) and float(near.norm()) == pytest.approx(inside)
        assert float((near.abs() / width).max()) == pytest.approx(1)
    gradient = 4 * (theta - 1) ** 3
    assert torch.allclose(taken[-4].abs(), width * gradient.sign().abs() * width.norm() / width[gradient != 0].norm())


def test_filters_keep_their_share_and_biases_stay():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2).double()
    batch = torch.randn(8, 3, dtype=torch.float64), torch.arange(8) % 2
    points = []

    class Watched(Objective):
        def value(self, theta=None):
            points.append(theta)
            return super().value(theta)

    objective = Watched(model, torch.nn.functional.cross_entropy, [batch])
    found = steep_directions(objective, k=1, directions=1)
    place = 1 + 4 * found.directions.index("filter")
    step = points[place] - objective.theta
    rows, weights = step[:6].view(2, 3).norm(dim=1), model.weight.detach().norm(dim=1)
    assert step[6:].abs().max() == 0
    assert (rows / rows.norm()).tolist() == pytest.approx((weights / weights.norm()).tolist())


def test_a_loss_that_is_no_number_counts_as_steep():
    cliff = FunctionObjective(lambda t: t.square().sum() + 0 * (0.5 - t.abs().max()).log(), torch.zeros(4).double())
    found = steep_directions(cliff, epsilon=1.0, k=2, directions=5)
    assert found.steep("gaussian").value == 1 and math.isinf(float(found.rises.max()))


def test_eigenvalues_found_before_give_the_same():
    objective = QuadraticObjective([3.0, 2.0, 1.0, 0.5])
    known = top_eigenvalues(objective, 2, tolerance=1e-2, copies=False)
    plain, given = (steep_directions(objective, directions=3, **one) for one in ({"k": 2}, {"eigenvalues": known}))
    assert given.rises.tolist() == plain.rises.tolist()
    with pytest.raises(ValueError, match="`eigenvalues` must be of 2 weights, got 4"):
        steep_directions(QuadraticObjective([1.0, 2.0]), eigenvalues=known)


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0.0}, {"directions": 0}, {"k": 0}, {"threshold": -1.0}, {"share": 0.0}, {"seed": -1}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        steep_directions(QuadraticObjective([1.0, 2.0]), **wrong)


def test_a_loss_that_is_infinite_is_refused():
    with pytest.raises(RuntimeError, match="the loss at theta must be finite, got inf"):
        steep_directions(QuadraticObjective([1.0], constant=math.inf))


def test_it_is_kept_and_told(tmp_path):
    found = steep_directions(QuadraticObjective([3.0, 2.0, 1.0, 0.5]), k=2, directions=3)
    again = load(found.save(tmp_path / "it.npz"))
    assert again.directions == found.directions and torch.equal(again.rises, found.rises)
    assert "0 of 3 gaussian" in repr(found) and len(found.to_frame()) == len(found.directions)
