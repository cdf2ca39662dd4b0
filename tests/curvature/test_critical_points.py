"""Kinds of points against closed forms, the way out of a saddle, the way to one."""

import math

import pytest
import torch

from flatmin import critical_point, escape, find_critical_point
from flatmin.core.functions import FunctionObjective, QuadraticObjective


def toy(*point):
    """(1 - w1 w2)^2 of Lee's chapter 3.1."""
    return FunctionObjective(lambda w: (1 - w[0] * w[1]) ** 2, torch.tensor(point, dtype=torch.float64))


@pytest.mark.parametrize(
    ("point", "kind", "ends", "signs"),
    [
        ((0.0, 0.0), "saddle", (-2.0, 2.0), (1, 0, 1)),
        ((1.0, 1.0), "minimum or flat", (0.0, 4.0), (0, 1, 1)),
        ((-1.0, -1.0), "minimum or flat", (0.0, 4.0), (0, 1, 1)),
        ((0.5, 2.0), "minimum or flat", (0.0, 8.5), (0, 1, 1)),
        ((2.0, 0.5), "minimum or flat", (0.0, 8.5), (0, 1, 1)),
    ],
)
def test_the_toy_table_of_the_book(point, kind, ends, signs):
    found = critical_point(toy(*point))
    assert found.kind == kind and found.exact and found.gradient_norm == 0
    assert (found.lowest, found.highest) == pytest.approx(ends, abs=1e-12)
    assert (found.negative, found.zero, found.positive) == signs and found.minimum_ratio == 0.5


@pytest.mark.parametrize(
    ("spectrum", "kind"),
    [
        ([1.0, 2.0], "minimum"),
        ([-1.0, -2.0], "maximum"),
        ([-1.0, 2.0], "saddle"),
        ([0.0, 0.0], "flat"),
        ([0.0, 1e-9, 2.0], "minimum or flat"),
        ([0.0, -2.0], "maximum or flat"),
        ([-1e-9, 2.0], "minimum or flat"),
    ],
)
def test_kinds_by_the_signs(spectrum, kind):
    assert critical_point(QuadraticObjective(spectrum)).kind == kind


def test_a_gradient_that_is_not_zero_is_no_critical_point_whatever_the_units():
    for unit in (1e-6, 1.0, 1e6):
        slope = unit * torch.tensor([1e-3, 0.0], dtype=torch.float64)
        assert critical_point(QuadraticObjective([unit, 2 * unit], linear=slope)).kind == "no critical point"
        assert critical_point(QuadraticObjective([unit, 2 * unit], linear=slope * 1e-6)).kind == "minimum"


def test_a_large_network_has_its_kind_by_the_ends_and_says_that_nothing_was_counted():
    spectrum = torch.cat([torch.linspace(-2, -1, 300), torch.linspace(5, 10, 900)])
    found = critical_point(QuadraticObjective(spectrum), limit=100)
    assert found.kind == "saddle" and not found.exact and "NOT COUNTED" in repr(found)
    assert (found.negative, found.zero, found.positive) == (None, None, None) and math.isnan(found.minimum_ratio)
    assert critical_point(QuadraticObjective(spectrum.abs()), limit=100).kind == "minimum or flat"
    assert (found.lowest, found.highest) == pytest.approx((-2, 10), rel=1e-3)


def test_a_step_along_the_negative_eigenvector_lowers_the_loss_both_ways():
    found = escape(toy(0.0, 0.0), [-1.0, -0.1, 0.1, 1.0])
    assert found.eigenvalue == pytest.approx(-2) and abs(float(found.direction.sum())) == pytest.approx(2**0.5)
    lengths = found.lengths
    torch.testing.assert_close(found.loss, (1 - lengths**2 / 2) ** 2)
    torch.testing.assert_close(found.model, 1 - lengths**2)
    assert (found.loss < 1).all() and found.lowest_loss == pytest.approx(0.25)
    assert float(toy(0, 0).value(found.theta)) == pytest.approx(0.25)


def test_a_minimum_has_no_way_out_and_says_so():
    found = escape(QuadraticObjective([1.0, 3.0], constant=1.0))
    assert "NO WAY OUT BY CURVATURE" in repr(found) and (found.loss >= 1).all()


def test_the_model_knows_the_slope(written):
    objective = written(0).objective()
    found = escape(objective, [1e-4], direction=objective.gradient())
    assert float(found.model[0]) == pytest.approx(float(found.loss[0]), abs=1e-11)


@pytest.mark.parametrize("method", ["levenberg_marquardt", "gradient_norm"])
@pytest.mark.parametrize(("start", "kind"), [((0.3, -0.2), "saddle"), ((1.1, 1.0), "minimum or flat")])
def test_the_way_leads_to_a_critical_point_of_either_kind(method, start, kind):
    found = find_critical_point(toy(*start), method=method)
    assert found.converged and found.gradient_norm <= 1e-9
    assert critical_point(toy(*start), theta=found.theta).kind == kind
    assert len(found.losses) == len(found.gradient_norms) and found.gradients and found.products


@pytest.mark.parametrize("method", ["levenberg_marquardt", "gradient_norm", "saddle_free_newton"])
def test_a_network_is_driven_to_a_gradient_of_nothing(written, method):
    objective = written(0).objective(37)
    found = find_critical_point(objective, method=method, tolerance=1e-6)
    assert found.converged and float(objective.gradient(found.theta).norm()) == pytest.approx(found.gradient_norm)
    assert float(found.gradient_norms[0]) > 1e-2 and found.distance > 0


def test_the_way_down_leaves_a_saddle():
    found = find_critical_point(toy(1e-3, 1.1e-3), method="saddle_free_newton")
    assert found.converged and found.loss < 1e-18
    nearest = find_critical_point(toy(1e-3, 1.1e-3), method="levenberg_marquardt")
    assert nearest.converged and nearest.loss == pytest.approx(1)


def test_a_function_without_a_critical_point_is_said_not_to_be_at_one():
    slope = FunctionObjective(lambda t: t.exp().sum(), torch.tensor([0.0], dtype=torch.float64))
    found = find_critical_point(slope, steps=3)
    assert not found.converged and "NOT CONVERGED" in repr(found)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: critical_point(toy(0, 0), tolerance=-1.0), "`tolerance` must be positive"),
        (lambda: escape(toy(0, 0), []), "`lengths` must hold at least one"),
        (lambda: escape(toy(0, 0), direction=torch.zeros(2)), "`direction` must be a finite vector"),
        (lambda: find_critical_point(toy(0, 0), method="newton"), "`method` must be one of"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
