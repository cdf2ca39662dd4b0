"""The sentence on which minimum is sharper, in every case that could mislead."""

import math

import pandas as pd
import pytest
from invented import rows_of

from flatmin.results import Tables
from flatmin.results.verdict import verdict


def searches(small, large, **names) -> pd.DataFrame:
    """One search per seed and regime; `names` sets columns."""
    rows = [
        {"regime": regime, "seed": seed, "sharpness": value}
        for regime, values in (("small_batch", small), ("large_batch", large))
        for seed, value in enumerate(values)
    ]
    fixed = {"network": "F1", "data": "digits", "space": "full", "subspace_dim": math.nan, "epsilon": 1e-3}
    fixed |= {"method": "strong", "batch_norm": "batch", "converged": True, "examples": 500, "draw": math.nan}
    return rows_of("sharpness", rows, **{"spread": 0.0} | fixed | names)


def said(*frames: pd.DataFrame) -> str:
    (sentence,) = verdict(Tables(sharpness=pd.concat(frames, ignore_index=True)))
    assert sentence.startswith("F1 on digits (8×8): ")
    return sentence.removeprefix("F1 on digits (8×8): ")


SETTING = "strong search, full space, epsilon 0.001, batch statistics"


def test_both_searches_speak_at_the_same_setting():
    strong = searches([1, 2, 3], [10, 20, 90])
    paper = searches([2.0, 4, 6], [1, 2, 3], method="paper")
    assert said(paper, strong) == (
        f"the large-batch minimum is sharper, 20.0 times (means over 3 seeds, single seeds 10.0 to 30.0, {SETTING}); "
        "by the published search the small-batch minimum is sharper, 2.00 times "
        "(means over 3 seeds, single seeds 2.00 to 2.00)."
    )


def test_published_search_alone_speaks_first():
    assert said(searches([1], [4], method="paper")) == (
        "the large-batch minimum is sharper, 4.00 times "
        "(1 seed, published search, full space, epsilon 0.001, batch statistics)."
    )


def test_search_at_another_setting_is_not_compared():
    text = said(searches([1], [2]), searches([1], [9], method="paper", epsilon=5e-4))
    assert text.endswith("; the published search was not run at this setting.")


def test_setting_is_full_space_largest_epsilon_batch_statistics_whatever_the_order():
    decoys = [
        searches([1], [9], space="random", subspace_dim=100.0, draw=0.0, epsilon=1e-2),
        searches([1], [9], epsilon=5e-4),
        searches([1], [9], batch_norm="running"),
        searches([1], [9], examples=100),
    ]
    assert said(*decoys, searches([1], [2])).startswith("the large-batch minimum is sharper, 2.00 times (1 seed")
    assert said(searches([1], [2]), *decoys).startswith("the large-batch minimum is sharper, 2.00 times (1 seed")


def test_without_batch_statistics_the_first_reading_and_without_the_full_space_the_subspace():
    random = {"space": "random", "subspace_dim": 20.0}
    text = said(
        searches([1], [2], batch_norm="running", **random), searches([1], [9], batch_norm="reestimate", **random)
    )
    assert text.endswith("(1 seed, strong search, random subspace, p = 20, epsilon 0.001, running averages).")


def test_seeds_that_disagree_are_named_and_not_averaged_away():
    assert said(searches([1, 1, 10], [2, 2, 1])) == (
        "the seeds disagree, the large-batch minimum is sharper in 2 of 3; by the means the small-batch minimum is, "
        f"2.40 times (means over 3 seeds, single seeds 0.500 to 10.0, {SETTING})."
    )
    assert "sharper in 1 of 2" in said(searches([1, 4], [2, 2]))


@pytest.mark.parametrize(
    ("small", "large", "claim"),
    [
        ([0.0], [5.0], "the large-batch minimum is sharper, 5.00 % against 0 % (1 seed"),
        ([math.inf], [5.0], "the small-batch minimum is sharper, ∞ % against 5.00 % (1 seed"),
        ([0.0, 0.0], [0.0, 0.0], "no verdict, both minima have sharpness 0 % (means over 2 seeds"),
        ([math.inf], [math.inf], "no verdict, both minima have sharpness ∞ % (1 seed"),
        ([3.0], [3.0], "no verdict, both minima have sharpness 3.00 % (1 seed"),
        ([1.0, 1.0], [2.0, math.inf], "the large-batch minimum is sharper, ∞ % against 1.00 % (means over 2 seeds"),
        (
            [0.0, 1.0],
            [2.0, 2.0],
            "the large-batch minimum is sharper, 4.00 times (means over 2 seeds, single",
        ),
        ([2.0], [math.nan], "no verdict, the sharpness of the large-batch minimum is missing (strong"),
        ([], [2.0], "no verdict, the sharpness of the small-batch minimum is missing (strong"),
        ([1.0, math.nan], [math.nan, 1.0], "no verdict, no seed has the sharpness of both minima (strong"),
    ],
)
def test_zeros_infinities_and_gaps(small, large, claim):
    assert said(searches(small, large)).startswith(claim)


def test_seeds_without_a_partner_take_no_part_and_are_counted():
    text = said(searches([1, 1, 1], [2, 2]))
    assert "2.00 times (means over 2 seeds, single seeds 2.00 to 2.00, 1 seed without both minima left out" in text


def test_searches_that_did_not_converge_are_counted():
    frame = searches([1, 1], [2, 2])
    frame["converged"] = [True, False, True, True]
    assert "1 of 4 searches not converged" in said(frame)


def test_every_network_has_a_sentence_and_nothing_has_none(make):
    both = Tables.concat([make(grid=3), make(network="C1", data="cifar10", sharper="small_batch", grid=3)])
    first, second = verdict(both)
    assert first.startswith("F1 on digits (8×8): the large-batch minimum is sharper, ")
    assert second.startswith("C1 on CIFAR-10: the small-batch minimum is sharper, ")
    assert verdict(Tables(minima=both.minima))[1] == "C1 on CIFAR-10: no verdict, the sharpness was not measured."
    assert verdict(Tables()) == []


def test_networks_that_are_no_better_than_a_guess_are_not_judged(make):
    tables = make(seeds=(0, 1), grid=3)
    minima = tables.minima.copy()
    minima.loc[(minima["regime"] == "large_batch") & (minima["seed"] == 1), "status"] = "chance"
    (one,) = verdict(tables.having(minima=minima))
    assert "1 seed, " in one and one.endswith("; 1 network that cannot be told from a guess left out.")
    minima["status"] = "chance"
    (none,) = verdict(tables.having(minima=minima))
    assert none == "F1 on digits (8×8): no verdict, no network can be told from a guess."
