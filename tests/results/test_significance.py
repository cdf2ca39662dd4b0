from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flatmin.results.significance import holm, sign_test


def test_twelve_of_twelve_by_hand():
    assert sign_test(12, 0) == pytest.approx(2 / 2**12)
    assert sign_test(0, 5) == pytest.approx(2 / 2**5)


@pytest.mark.parametrize("total", [1, 2, 5, 12, 31])
def test_sign_test_as_scipy_has_it(total):
    for first in range(total + 1):
        assert sign_test(first, total - first) == pytest.approx(stats.binomtest(first, total).pvalue)


def test_no_seed_says_nothing():
    assert sign_test(0, 0) == 1.0
    assert holm([]) == []


def test_holm_by_hand():
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(values):
    """A hypothesis is refuted if Bonferroni refutes every set of hypotheses that it is in."""
    places = range(len(values))
    sets = [chosen for size in places for chosen in combinations(places, size + 1)]
    expected = [
        max(min(1.0, len(chosen) * min(values[other] for other in chosen)) for chosen in sets if place in chosen)
        for place in places
    ]
    assert holm(values) == pytest.approx(expected)
