"""Barriers in closed form."""

import math

import pytest
import torch

from flatmin import barrier, slice_path
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.landscapes import linear_path

T = torch.linspace(0, 1, 101, dtype=torch.float64)


def test_a_bowl_has_no_barrier_by_either_definition():
    first, second = torch.tensor([1.0, 2.0]), torch.tensor([-3.0, 0.5])
    found = barrier(slice_path(QuadraticObjective([1.0, 4.0]), linear_path(first, second), T))
    assert found.above_ends == 0.0 and found.above_line == 0.0 and found.first == pytest.approx(8.5)


def test_a_hill_on_a_slope_is_lower_above_the_higher_end_than_above_the_line():
    found = barrier(T + 4 * T * (1 - T), T)
    # the maximum of t + 4 t (1 - t) is 25/16 at 5/8; above the line t it is 1 at 1/2
    fine = torch.linspace(0, 1, 17, dtype=torch.float64)
    exact = barrier(fine + 4 * fine * (1 - fine), fine)
    assert (exact.above_ends, exact.at, exact.above_line, exact.at_line) == (9 / 16, 5 / 8, 1.0, 1 / 2)
    assert found.above_ends == pytest.approx(9 / 16, abs=1e-3) and float(found) == found.above_ends


def test_a_double_well_has_a_barrier_of_one_in_the_middle():
    well = FunctionObjective(lambda w: (w.square().sum() - 1).square(), torch.tensor([-1.0]).double())
    found = barrier(slice_path(well, linear_path(well.theta, -well.theta), T))
    assert (found.above_ends, found.above_line, found.at) == pytest.approx((1.0, 1.0, 0.5))


def test_order_does_not_matter_and_what_lies_beyond_the_ends_is_not_looked_at():
    values, ts = torch.tensor([9.0, 1.0, 5.0, 2.0, 9.0]), [-1.0, 1.0, 0.5, 0.0, 2.0]
    found = barrier(values, ts)
    assert (found.above_ends, found.first, found.second, found.points) == (3.0, 2.0, 1.0, 3)


def test_a_hole_in_the_middle_is_an_infinite_barrier_and_counted():
    found = barrier(torch.tensor([1.0, math.nan, 1.0]), [0.0, 0.5, 1.0])
    assert found.above_ends == found.above_line == math.inf and found.non_finite == 1 and "NOT FINITE" in repr(found)


@pytest.mark.parametrize(
    ("values", "ts", "kind", "words"),
    [
        (T, None, TypeError, "`ts` must be given with values"),
        (T[:5], T, ValueError, r"`values` must hold one number for each of `ts`, \(101,\), got \(5,\)"),
        (T[:-1], T[:-1], ValueError, "`ts` must hold both ends, 0 and 1"),
        (T / T, T, ValueError, "`values` must be finite at both ends, got nan and 1.0"),
    ],
)
def test_bad_arguments_are_refused_by_name(values, ts, kind, words):
    with pytest.raises(kind, match=words):
        barrier(values, ts)
