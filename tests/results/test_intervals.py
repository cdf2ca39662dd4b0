import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flatmin.results.intervals import of_difference, of_mean, of_ratio, of_share

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


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (1, 5), (5, 5), (3, 60)])
def test_share_as_scipy_has_it(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert of_share(successes, trials) == pytest.approx((expected.low, expected.high))


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
