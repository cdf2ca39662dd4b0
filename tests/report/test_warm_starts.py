"""How far the sharpness falls from early to late warm starts, on invented searches whose falls are clear by hand."""

import math

import pytest

from flatmin.report.subjects import PUBLISHED, STRONG
from flatmin.report.warm_starts import collapse, fall


@pytest.fixture
def warm(study):
    """A study with warm starts: the values of both searches by seed, a start each."""

    def build(published, strong, epochs=(1, 20, 96), **names):
        runs = [(f"warm_start_{epoch}", epoch, seed) for seed in range(len(published)) for epoch in epochs]
        rows = [
            {"regime": f"warm_start_{epoch}", "seed": seed, "method": method, "sharpness": value}
            for method, values in ((PUBLISHED, published), (STRONG, strong))
            for seed, each in enumerate(values)
            for epoch, value in zip(epochs, each, strict=True)
        ]
        minima = [{"regime": name, "seed": seed, "start_epoch": float(epoch)} for name, epoch, seed in runs]
        return study(minima=minima, sharpness=rows, **names)

    return build


def test_the_fall_is_from_the_earliest_to_the_latest_start_and_what_goes_beyond_the_strong_one_is_the_searchs(warm):
    found = fall(warm([(200, 5, 0.2), (400, 5, 0.2)], [(240, 90, 20), (240, 90, 20)]))
    assert found.starts == (1.0, 96.0) and found.strong.values == pytest.approx((12.0, 12.0))
    assert found.published.values == pytest.approx((1000.0, 2000.0))
    assert found.beyond.values == pytest.approx((1000 / 12, 2000 / 12))


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ([(1000, 1, 1), (1100, 1, 1)], "so that the search makes the difference"),
        ([(10, 1, 9), (11, 1, 9)], "no less"),
        ([(10, 1, 1), (1000, 1, 1)], "which leaves open whether the search makes the difference"),
        ([(1000, 1, 1)], "which leaves open whether the search makes the difference"),
        ([(1000, 1, 0), (1100, 1, 0)], "further by the published search in 2 of 2 seeds (a fall to 0 has no interval)"),
        ([(1000, 1, 0), (0.5, 1, 1)], "further by the published search in 1 of 2 seeds (a fall to 0 has no interval)"),
    ],
)
def test_whose_the_rest_is_follows_the_interval(warm, published, words):
    said = collapse([warm(published, [(10, 5, 1), (10.1, 5, 1)][: len(published)])])
    assert words in said and ("falls to 0 by the published" in said) == (published[0][-1] == 0)


def test_seeds_and_starts_that_only_one_search_has_are_left_out(warm):
    found = fall(warm([(8, 4, math.nan), (6, 3, math.nan)], [(8, 4, 1), (math.nan, 3, 1)]))
    assert found.starts == (1.0, 20.0) and found.strong.seeds == (0,) and found.published.values == (2.0,)


def test_nothing_is_said_of_studies_without_warm_starts_or_with_one_search(study, warm):
    one = [{"regime": "warm_start_1", "seed": 0, "method": PUBLISHED, "sharpness": 1.0}]
    alone = study(minima=[{"regime": "warm_start_1", "seed": 0, "start_epoch": 1.0}], sharpness=one)
    single = warm([(1.0,)], [(2.0,)], epochs=(1,))
    assert collapse([alone, single, study(minima=[{"regime": "small_batch", "seed": 0}])]) == ""
