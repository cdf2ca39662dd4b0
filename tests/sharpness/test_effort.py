"""The sharpness against the evaluations spent: laws, closed forms, and the published search as a prefix."""

import json
import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import pytest
import torch

import flatmin
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness import effort, epsilon_sharpness
from flatmin.sharpness.effort import CLIMBERS, STARTS

Build = Callable[..., Any]
EVERY = list(product(CLIMBERS, STARTS))


@pytest.mark.parametrize(("climber", "start"), EVERY)
@pytest.mark.parametrize("dim", [None, 7])
def test_the_record_is_the_running_maximum_of_all_evaluations(
    objective: Build, recording: Build, climber: str, start: str, dim: int | None
) -> None:
    loss = recording(objective(batch_norm="batch"))
    found = effort(loss, epsilon=0.02, climber=climber, start=start, evaluations=40, subspace_dim=dim, seed=2)
    values = loss.values
    rises = [k for k, value in enumerate(values, 1) if k == 1 or value > max(values[: k - 1])]
    assert found.evaluations == tuple(rises)
    base = values[0]
    assert found.sharpness == pytest.approx([100 * (values[k - 1] - base) / (1 + base) for k in rises], rel=1e-12)
    assert found.spent == len(values) <= 40
    assert found.sharpness[0] == 0 < found.sharpness[-1]
    assert all(later > earlier for earlier, later in pairwise(found.sharpness))
    record = found.to_record()
    assert json.loads(json.dumps(record)) == record
    assert (record["climber"], record["start"], record["subspace_dim"]) == (climber, start, dim)


@pytest.mark.parametrize(("climber", "start"), EVERY)
def test_a_larger_budget_goes_on_from_the_smaller_one(objective: Build, climber: str, start: str) -> None:
    few, many = (
        effort(objective(batch_norm="batch"), epsilon=0.02, climber=climber, start=start, evaluations=budget)
        for budget in (6, 30)
    )
    assert few.spent == 6
    assert many.evaluations[: len(few.evaluations)] == few.evaluations
    assert many.sharpness[: len(few.sharpness)] == few.sharpness
    assert all(count > 6 for count in many.evaluations[len(few.evaluations) :])


@pytest.mark.parametrize("dim", [None, 7])
@pytest.mark.parametrize("epsilon", [1e-3, 0.05])
def test_lbfgsb_from_the_centre_is_the_published_search(objective: Build, dim: int | None, epsilon: float) -> None:
    loss = objective(batch_norm="batch")
    paper = epsilon_sharpness(loss, epsilon=epsilon, subspace_dim=dim, method="paper")
    found = effort(loss, epsilon=epsilon, subspace_dim=dim)
    at_its_end = max(k for k, count in enumerate(found.evaluations) if count <= paper.evaluations)
    assert found.sharpness[at_its_end] == float(paper)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("climber", CLIMBERS)
def test_a_slope_and_a_bowl_are_climbed_to_the_corner(climber: str, start: str) -> None:
    """Value 1 and slope b at the centre: b z + h z^2 / 2 is highest where every z has the sign of b."""
    h, b = torch.tensor([1.0, 0.5, 0.0]).double(), torch.tensor([3.0, -2.0, 0.5]).double()
    corner = 100 * (0.1 * float(b.abs().sum()) + 0.005 * float(h.sum())) / 2
    bowl = QuadraticObjective(h, linear=b, constant=1.0)
    found = effort(bowl, epsilon=0.1, climber=climber, start=start, evaluations=60)
    assert found.sharpness[-1] == pytest.approx(corner, rel=1e-9)


def test_projected_gradient_by_hand(recording: Build) -> None:
    """f = 1 + x - x^2 / 2 over [-4, 4]: steps of 1 reach the top at 1, where the next one gains nothing."""
    hill = FunctionObjective(lambda t: (1 + t - t**2 / 2).sum(), torch.zeros(1, dtype=torch.float64))
    found = effort(hill, epsilon=4.0, climber="projected_gradient", evaluations=5)
    assert (found.evaluations, found.sharpness) == ((1, 3), (0.0, 25.0))
    assert found.spent == 3  # the gradient is zero
    wave = FunctionObjective(lambda t: (1 + torch.sin(t)).sum(), torch.zeros(1, dtype=torch.float64))
    tried = recording(wave)
    effort(tried, epsilon=4.0, climber="projected_gradient", evaluations=7)
    steps = [0, 0, 1, 2, 1, 1.5, 2]  # 2 is past the top: a step back loses, half of one gains, and again half loses
    assert tried.values == pytest.approx([1 + math.sin(x) for x in steps], rel=1e-12)


@pytest.mark.parametrize("climber", CLIMBERS)
def test_an_exact_minimum_holds_what_starts_at_the_centre_and_follows_the_gradient(climber: str) -> None:
    bowl = QuadraticObjective([1.0, 4.0], constant=1.0)
    held = effort(bowl, epsilon=0.1, climber=climber)
    freed = effort(bowl, epsilon=0.1, climber=climber, start="random")
    assert held.sharpness[-1] == (0 if climber != "corner_steps" else freed.sharpness[-1])
    assert freed.sharpness[-1] == pytest.approx(100 * 0.005 * 5 / 2, rel=1e-12)


@pytest.mark.parametrize("climber", CLIMBERS)
def test_infinite_and_missing_losses(climber: str) -> None:
    def walled(bad: float) -> FunctionObjective:
        return FunctionObjective(
            lambda t: 1 + t.sum() if t[0] <= 0.07 else 0 * t.sum() + bad, torch.zeros(3, dtype=torch.float64)
        )

    assert effort(walled(math.inf), epsilon=0.1, climber=climber).sharpness[-1] == math.inf
    holed = effort(walled(math.nan), epsilon=0.1, climber=climber, evaluations=50)
    assert 0 < holed.sharpness[-1] <= 100 * 0.27 / 2 * (1 + 1e-12)


def test_one_seed_gives_one_climb(objective: Build) -> None:
    first, again, other = (
        effort(objective(batch_norm="batch"), start="random", evaluations=9, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again and first.sharpness != other.sharpness
    assert flatmin.effort is effort


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"climber": "adam"}, ValueError, r"`climber` must be one of 'lbfgsb', .*, got 'adam'\."),
        ({"start": "corner"}, ValueError, r"`start` must be one of 'centre', 'sign', 'random', got 'corner'\."),
        ({"evaluations": 0}, ValueError, r"`evaluations` must be at least 1, got 0\."),
        ({"epsilon": -1.0}, ValueError, r"`epsilon` must be positive, got -1\.0\."),
        ({"distribution": "gauss"}, ValueError, r"`distribution` must be one of .*, got 'gauss'\."),
        ({"subspace_dim": 3}, ValueError, r"`subspace_dim` must be at most the 2 weights, got 3\."),
        ({"seed": -1}, ValueError, r"`seed` must be at least 0, got -1\."),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        effort(QuadraticObjective([1.0, 2.0]), **options)
