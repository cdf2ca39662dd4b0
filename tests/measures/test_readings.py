"""Measures by name, of any objective: a declared one is known by being there."""

import math
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from flatmin import Objective, average_case_sharpness
from flatmin.core.functions import QuadraticObjective
from flatmin.measures.readings import Reading, measure_named, names, readings


def objective() -> Objective:
    torch.manual_seed(0)
    batches = [(torch.randn(size, 4), torch.arange(size) % 3) for size in (5, 3)]
    return Objective(torch.nn.Linear(4, 3), cross_entropy, batches)


@pytest.mark.parametrize("name", names())
def test_every_name_gives_finite_numbers(name: str) -> None:
    found = readings(name, measure_named(name)(objective()))
    assert found and all(one.name.startswith(name) and math.isfinite(one.value) for one in found)
    assert len({key for one in found for key in one.numbers()}) == sum(len(one.numbers()) for one in found)


def test_a_declared_measure_says_what_its_function_says() -> None:
    found = {one.name: one for one in readings("average_case", measure_named("average_case")(objective()))}
    expected = average_case_sharpness(objective(), sigma=0.01)
    one = found["average_case_sigma_0.01_absolute"]
    assert (one.value, one.standard_error) == (float(expected), expected.standard_error)
    assert one.evaluations == expected.evaluations


def test_a_closed_form() -> None:
    (found,) = readings("epsilon_sharpness", measure_named("epsilon_sharpness")(QuadraticObjective([1.0, 4.0])))
    assert found.value == pytest.approx(100 * 0.001**2 / 2 * (1 + 4), rel=1e-4)
    assert found.numbers() == {"epsilon_sharpness": found.value, "epsilon_sharpness_converged": 1.0}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (3, {"it": 3.0}),
        (torch.tensor(2.5), {"it": 2.5}),
        ({"a": 1.0, "b": {"c": 2.0}}, {"it_a": 1.0, "it_b_c": 2.0}),
        (Reading(name="other", value=1.0, standard_error=0.5), {"other": 1.0, "other_standard_error": 0.5}),
    ],
)
def test_what_a_function_may_return(found: Any, expected: dict[str, float]) -> None:
    assert {key: value for one in readings("it", found) for key, value in one.numbers().items()} == expected


@pytest.mark.parametrize("found", ["high", "3", None, [1.0], torch.ones(2)])
def test_anything_else_is_refused(found: Any) -> None:
    with pytest.raises(
        TypeError, match="measure 'it' must return a number, a result that float\\(\\) takes, or a mapp"
    ):
        readings("it", found)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no measure 'trace'; the known ones are epsilon_sharpness, .*average_case"):
        measure_named("trace")
