import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flatmin.results.intervals import (
    CORRELATION,
    NOT_NEGATIVE,
    PERCENT,
    POINTS,
    of_difference,
    of_mean,
    of_ratio,
    of_ratio_of_means,
)

SEEDS = st.lists(st.floats(0.01, 1e4), min_size=2, max_size=8)


def by_seed(values: list[float], first: int = 0) -> pd.Series:
    return pd.Series(values, index=range(first, first + len(values)))


def test_mean_of_two_by_hand():
    found = of_mean(by_seed([1.0, 3.0]))
    reach = 12.7062047 * math.sqrt(2) / math.sqrt(2)  # t table, one degree of freedom
    assert found.center == 2.0
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach))


@pytest.mark.parametrize("count", [2, 3, 5, 20])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_mean_as_scipy_has_it(count, level):
    values = np.random.default_rng(count).normal(3, 2, count)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    found = of_mean(pd.Series(values), level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_difference_pairs_the_seeds_and_leaves_out_the_rest():
    first, second = by_seed([1.0, 5.0, 4.0]), by_seed([2.0, 4.0, 100.0], first=1)
    found = of_difference(first, second.iloc[::-1])
    expected = stats.ttest_rel([5.0, 4.0], [2.0, 4.0]).confidence_interval(0.95)
    assert found.values == (3.0, 0.0)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_values_of_either_sign_have_no_ratio():
    found = of_ratio(by_seed([2.0, -1.0, 3.0]), by_seed([1.0, 1.0, 1.0]))
    assert np.isnan([found.center, found.low, found.high]).all() and found.values == ()


def test_ratio_is_the_difference_of_logarithms():
    first, second = by_seed([10.0, 40.0, 35.0]), by_seed([1.0, 2.0, 5.0])
    expected = stats.ttest_rel(np.log(first), np.log(second)).confidence_interval(0.95)
    found = of_ratio(first, second)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((expected.low, expected.high))
    assert found.center == pytest.approx(stats.gmean([10.0, 20.0, 7.0]))


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_no_seed_has_nothing(values):
    found = of_mean(by_seed(values).astype(float))
    assert math.isnan(found.center)
    assert not found.exists
    assert found.values == ()


def test_one_seed_has_a_center_and_no_interval():
    found = of_ratio(by_seed([6.0]), by_seed([2.0]))
    assert (found.center, found.exists) == (pytest.approx(3.0), False)


def test_zeros_and_infinities_have_no_interval_but_count():
    first = by_seed([math.inf, 3.0, 0.0, math.inf])
    second = by_seed([1.0, 0.0, 0.0, math.inf])
    found = of_ratio(first, second)
    assert found.values == (math.inf, math.inf)
    assert not found.exists
    assert (found.above(1), found.below(1)) == (2, 0)


def test_infinities_of_both_signs_have_no_center():
    found = of_ratio(by_seed([0.0, 1.0]), by_seed([1.0, 0.0]))
    assert math.isnan(found.center)
    assert (found.above(1), found.below(1)) == (1, 1)


def test_equal_values_have_an_interval_without_width():
    found = of_mean(by_seed([2.0, 2.0, 2.0]))
    assert (found.low, found.center, found.high) == (2.0, 2.0, 2.0)


def test_values_keep_their_seeds():
    assert of_mean(pd.Series({3: 1.0, 0: math.nan, 7: 2.0})).seeds == (3, 7)
    ratio = of_ratio(pd.Series({3: 1.0, 0: 0.0, 7: 2.0}), pd.Series({7: 4.0, 0: 0.0, 9: 1.0}))
    assert (ratio.values, ratio.seeds) == ((0.5,), (7,))


def test_percentages_have_the_t_interval_of_their_arcsine_square_root():
    values = [97.0, 99.0, 100.0]
    angles = np.degrees(np.arcsin(np.sqrt(np.array(values) / 100)))
    expected = stats.ttest_1samp(angles, 0).confidence_interval(0.95)
    assert expected.high > 90
    found = of_mean(by_seed(values), bounds=PERCENT)
    assert found.low == pytest.approx(100 * math.sin(math.radians(expected.low)) ** 2)
    assert (found.center, found.high) == (pytest.approx(296 / 3), 100.0)


def test_numbers_that_are_not_negative_have_that_of_their_square_root():
    values = [0.0, 1.0, 4.0]
    expected = stats.ttest_1samp([0.0, 1.0, 2.0], 0).confidence_interval(0.95)
    assert expected.low < 0
    found = of_mean(by_seed(values), bounds=NOT_NEGATIVE)
    assert (found.low, found.high) == (0.0, pytest.approx(expected.high**2))
    assert found.center == pytest.approx(5 / 3)


def test_far_from_its_bounds_an_interval_is_the_plain_one():
    plain, bounded = of_mean(by_seed([0.4, 0.5, 0.7])), of_mean(by_seed([0.4, 0.5, 0.7]), bounds=POINTS)
    assert (bounded.low, bounded.high) == pytest.approx((plain.low, plain.high), rel=1e-3)


def test_differences_have_bounds_too():
    found = of_difference(by_seed([99.0, 60.0]), by_seed([1.0, 55.0]), bounds=POINTS)
    assert (found.low, found.high) == (-100.0, 100.0)


@pytest.mark.parametrize(("bounds", "value"), [(PERCENT, 100.5), (PERCENT, -0.1), (NOT_NEGATIVE, -1.0)])
def test_values_outside_their_bounds_are_refused(bounds, value):
    with pytest.raises(ValueError, match=r"`values` must lie within .*, got"):
        of_mean(by_seed([value]), bounds=bounds)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6))
def test_no_end_is_impossible_and_both_enclose_the_mean(values):
    found = of_mean(by_seed(values), bounds=CORRELATION)
    assert -1 <= found.low <= found.center <= found.high <= 1


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize(("above", "below"), [(200, 1), (50, 1), (200, 5)])
def test_accuracies_near_all_are_covered_more_often_than_by_the_plain_interval(above, below, count):
    """Accuracies drawn around 97.6 to 99.5 %, whose plain t intervals reach beyond 100 % in 1 to 93 of 100 cases."""
    random = np.random.default_rng(count)
    mean = 100 * above / (above + below)
    hits = {"plain": 0, "bounded": 0}
    for _ in range(1000):
        values = by_seed(list(100 * random.beta(above, below, count)))
        for name, found in (("plain", of_mean(values)), ("bounded", of_mean(values, bounds=PERCENT))):
            hits[name] += found.low <= mean <= found.high
            assert name == "plain" or 0 <= found.low <= found.high <= 100
    assert hits["bounded"] >= hits["plain"]
    assert hits["bounded"] >= 880


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_does_not_matter(values, random):
    values = by_seed(values)
    shuffled = values.loc[random.sample(list(values.index), len(values))]
    one, other = of_mean(values), of_mean(shuffled)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9, abs=1e-9)


@given(SEEDS, st.floats(1e-3, 1e3))
def test_scaling_both_leaves_the_ratio(values, factor):
    first = by_seed(values)
    second = by_seed(values[::-1])
    one, other = of_ratio(first, second), of_ratio(factor * first, factor * second)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-6)


@given(SEEDS)
def test_turning_a_ratio_around_turns_its_interval_around(values):
    first, second = by_seed(values), by_seed(values[::-1])
    one, other = of_ratio(first, second), of_ratio(second, first)
    assert (1 / other.high, 1 / other.low) == pytest.approx((one.low, one.high), rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 5, 12])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_ratio_of_means_is_all_that_the_t_test_does_not_reject(count, level):
    """Against scipy's test of every ratio, for pairs of either sign that hang together."""
    draw = np.random.default_rng(count)
    second = draw.normal(3.0, 0.02 if count == 2 else 0.3, count)
    first = draw.normal(-1.0, 0.2, count) + 0.3 * second
    found = of_ratio_of_means(by_seed(first), by_seed(second), level)
    reach = found.high - found.low
    tried = np.linspace(found.low - reach, found.high + reach, 3001)
    kept = tried[[stats.ttest_1samp(first - r * second, 0).pvalue > 1 - level for r in tried]]
    step = tried[1] - tried[0]
    assert found.center == pytest.approx(first.mean() / second.mean())
    assert (kept.min(), kept.max()) == pytest.approx((found.low, found.high), abs=1.5 * step)
    assert len(kept) == pytest.approx(reach / step, abs=2)  # one interval, without holes


def test_a_ratio_of_means_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        second = draw.normal(2.0, 0.5, 4)
        found = of_ratio_of_means(by_seed(0.5 * second + draw.normal(0.0, 0.3, 4)), by_seed(second), 0.8)
        covered += not found.exists or found.low <= 0.5 <= found.high
    assert covered / 400 == pytest.approx(0.8, abs=0.06)


def test_a_ratio_to_a_mean_that_may_be_0_has_no_interval():
    """There every ratio far enough from 0 passes the test: the set of those that do has no ends."""
    first, second = by_seed([1.0, 2.0, 3.0]), by_seed([-0.5, 1.0, 0.4])
    found = of_ratio_of_means(first, second)
    assert not found.exists and found.center == pytest.approx(2.0 / 0.3)
    assert all(stats.ttest_1samp(first - r * second, 0).pvalue > 0.05 for r in (-1e6, 1e6))


def test_a_ratio_of_means_takes_the_seeds_that_have_both():
    first, second = by_seed([math.nan, 2.0, 3.0, 5.0]), by_seed([4.0, 6.1, 9.0], first=1)
    found = of_ratio_of_means(first, second.iloc[::-1])
    assert found.seeds == (1, 2, 3) and found.center == pytest.approx(10.0 / 19.1)
    assert not of_ratio_of_means(by_seed([1.0]), by_seed([2.0])).exists
    assert math.isnan(of_ratio_of_means(by_seed([]), by_seed([])).center)
