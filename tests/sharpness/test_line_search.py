"""The line search on the test functions of Moré and Thuente (1994), section 5: its conditions hold at its step."""

import math
from collections.abc import Callable

import pytest

from flatmin.sharpness import line_search
from flatmin.sharpness.line_search import CURVATURE, SUFFICIENT_DECREASE, Trial, cubic_step, strong_wolfe

SCALES = [1e-3, 1e-1, 1e1, 1e3]


def concave_then_convex(a: float, beta: float = 2.0) -> float:
    return -a / (a**2 + beta)


def flat_then_steep(a: float, beta: float = 0.004) -> float:
    return (a + beta) ** 5 - 2 * (a + beta) ** 4


def oscillating(a: float, beta: float = 0.01, waves: float = 39.0) -> float:
    if a <= 1 - beta:
        slope = 1 - a
    elif a >= 1 + beta:
        slope = a - 1
    else:
        slope = (a - 1) ** 2 / (2 * beta) + beta / 2
    return slope + 2 * (1 - beta) / (waves * math.pi) * math.sin(waves * math.pi * a / 2)


def two_kinks(a: float, first: float = 1e-3, second: float = 1e-3) -> float:
    def weight(b: float) -> float:
        return math.sqrt(1 + b**2) - b

    return weight(first) * math.hypot(1 - a, second) + weight(second) * math.hypot(a, first)


def along(function: Callable[[float], float], scale: float, tried: list[Trial]) -> Callable[[float], Trial]:
    """Steps of ``scale``, slopes by central differences."""

    def evaluate(step: float) -> Trial:
        a, h = step * scale, 1e-7 * max(1e-2, step * scale)
        tried.append(Trial(step, function(a), scale * (function(a + h) - function(a - h)) / (2 * h)))
        return tried[-1]

    return evaluate


@pytest.mark.parametrize("function", [concave_then_convex, flat_then_steep, oscillating, two_kinks])
@pytest.mark.parametrize("scale", SCALES)
def test_the_strong_wolfe_conditions_hold(
    function: Callable[[float], float], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the interval is too narrow first, which is left out here."""
    monkeypatch.setattr(line_search, "NARROW", 1e-10)
    tried: list[Trial] = []
    evaluate = along(function, scale, tried)
    origin = evaluate(0.0)
    assert origin.slope < 0
    found = strong_wolfe(evaluate, origin, longest=1e10)
    assert found is tried[-1] and len(tried) <= 21
    assert found.value <= origin.value + SUFFICIENT_DECREASE * found.step * origin.slope
    assert abs(found.slope) <= -CURVATURE * origin.slope * (1 + 1e-6)


def test_the_longest_step_is_taken_where_the_function_falls_beyond_it() -> None:
    tried: list[Trial] = []
    found = strong_wolfe(along(lambda a: -a, 1.0, tried), Trial(0.0, 0.0, -1.0), longest=7.0)
    assert found is not None and found.step == 7
    assert [trial.step for trial in tried] == [1, 5, 7]


def test_a_function_that_rises_against_its_slope_is_given_up() -> None:
    tried: list[Trial] = []
    assert strong_wolfe(lambda a: tried.append(t := Trial(a, a, -1.0)) or t, Trial(0.0, 0.0, -1.0), longest=1.0) is None
    assert len(tried) == 20


@pytest.mark.parametrize(("first", "second"), [(0.0, 2.0), (2.0, 0.0), (-1.0, 1.5)])
def test_the_minimiser_of_a_cubic_is_found_from_either_end(first: float, second: float) -> None:
    """a^3 - 3 a has its minimum at 1."""
    ends = [Trial(a, a**3 - 3 * a, 3 * a**2 - 3) for a in (first, second)]
    assert cubic_step(*ends) == pytest.approx(1, rel=1e-12)
