import math

import pandas as pd
import pytest
from invented import rows_of

from flatmin.results.nesting import impossible, nested


def searches(*rows: tuple, **names) -> pd.DataFrame:
    """Rows of (epsilon, sharpness), all else alike."""
    plain = {"epoch": math.nan, "subspace_dim": math.nan, "network": "F1", "data": "mnist"}
    plain |= {"regime": "large_batch", "space": "full", "method": "paper"} | names
    found = [{"epsilon": epsilon, "sharpness": value} for epsilon, value in rows]
    return rows_of("sharpness", found, blank=0.0, **plain)


def test_search_that_finds_less_in_a_larger_box_is_impossible_for_a_maximum():
    found = impossible(searches((1e-3, 10.2), (5e-4, 49.5)))
    assert found[["epsilon", "sharpness", "smaller_epsilon", "found_there"]].to_numpy().tolist() == [
        [1e-3, 10.2, 5e-4, 49.5]
    ]


def test_a_search_is_held_against_the_most_found_in_any_smaller_box():
    found = impossible(searches((1e-4, 5.0), (2e-4, 9.0), (5e-4, 7.0), (1e-3, 8.0), (2e-3, 9.5)))
    assert found["epsilon"].tolist() == [5e-4, 1e-3]
    assert found["found_there"].tolist() == [9.0, 9.0]
    assert found["smaller_epsilon"].tolist() == [2e-4, 2e-4]


def test_smallest_boxes_and_lone_searches_have_nothing_to_be_held_against():
    assert len(nested(searches((1e-4, 5.0), (2e-4, 9.0), (5e-4, 7.0)))) == 2
    assert nested(searches((1e-3, 5.0))).empty
    assert nested(searches((1e-3, 5.0)).iloc[:0]).empty


@pytest.mark.parametrize(
    ("column", "other"),
    [
        *(("network", "F2"), ("data", "digits"), ("regime", "small_batch"), ("seed", 1), ("epoch", 3.0)),
        *(("space", "random"), ("subspace_dim", 100.0), ("distribution", "normal"), ("draw", 1)),
        *(("method", "strong"), ("batch_norm", "running"), ("examples", 500), ("partition", 144.0)),
    ],
)
def test_searches_that_differ_in_anything_else_are_not_nested(column, other):
    rows = pd.concat([searches((5e-4, 49.5)), searches((1e-3, 10.2), **{column: other})], ignore_index=True)
    assert nested(rows).empty


def test_differences_within_rounding_are_possible():
    assert impossible(searches((5e-4, 200.0), (1e-3, 199.9998))).empty
    assert len(impossible(searches((5e-4, 200.0), (1e-3, 199.999)))) == 1


def test_losses_that_are_not_finite_in_the_smaller_box_alone_are_impossible_and_missing_ones_say_nothing():
    assert len(impossible(searches((5e-4, math.inf), (1e-3, 10.0)))) == 1
    assert impossible(searches((5e-4, math.nan), (1e-3, 10.0))).empty
    assert impossible(searches((5e-4, 20.0), (1e-3, math.nan), (2e-3, 10.0)))["epsilon"].tolist() == [2e-3]
