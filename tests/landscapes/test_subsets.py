"""Means over subsets, with the errors that NumPy gives them and that other examples show."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

import flatmin
from flatmin import Objective, over_subsets
from flatmin.core.functions import QuadraticObjective

DIRECTION = torch.ones(3)


def parts(count: int, size: int, seed: int = 0) -> list[Objective]:
    """One linear network on disjoint draws from one distribution."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(3, 1, bias=False)
    nn.init.constant_(model.weight, 0.5)
    draws = (torch.randn(size, 4, generator=generator) for _ in range(count))
    return [Objective(model, mse_loss, [(draw[:, :3], draw[:, 3:])]) for draw in draws]


def loss_at(part: Objective) -> float:
    return float(part.value(part.theta + DIRECTION))


def test_the_mean_and_its_error_are_those_of_the_values():
    of = parts(5, 20)
    found = over_subsets(loss_at, of)
    values = np.array([loss_at(part) for part in of])
    assert float(found) == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 5**0.5)
    assert found.by_subset == pytest.approx(tuple(values))


def test_the_error_is_as_large_as_the_means_of_fresh_examples_scatter():
    repeated = [over_subsets(loss_at, parts(8, 25, seed)) for seed in range(60)]
    scatter = np.std([float(found) for found in repeated], ddof=1)
    stated = np.sqrt(np.mean([found.standard_error**2 for found in repeated]))
    assert stated == pytest.approx(scatter, rel=0.25)


def test_a_line_has_an_error_at_every_point_and_draws_it_as_a_band():
    of = parts(4, 20)
    found = over_subsets(lambda part: flatmin.slice_1d(part, DIRECTION, [0.0, 0.5, 1.0]), of)
    values = np.array([[float(part.value(part.theta + a * DIRECTION)) for a in (0.0, 0.5, 1.0)] for part in of])
    frame = found.to_frame()
    assert frame["loss"].to_numpy() == pytest.approx(values.mean(0))
    assert frame["standard_error"].to_numpy() == pytest.approx(values.std(0, ddof=1) / 2)
    ax = found.plot(label="train")
    (band,) = ax.collections
    low, high = band.get_paths()[0].get_extents().get_points()[:, 1]
    assert low == pytest.approx((values.mean(0) - values.std(0, ddof=1) / 2).min())
    assert high == pytest.approx((values.mean(0) + values.std(0, ddof=1) / 2).max())
    assert ax.get_ylim()[0] < low and high < ax.get_ylim()[1]
    assert "band: ± one standard error over 4 subsets" in ax.texts[0].get_text().replace("\n", " ")


@pytest.mark.parametrize(
    ("objectives", "words"),
    [
        ([QuadraticObjective([1.0])], "at least two, got 1"),
        (
            [QuadraticObjective([1.0]), QuadraticObjective([1.0], theta=torch.ones(1))],
            r"objectives\[1\] has other weights",
        ),
        ([QuadraticObjective([1.0])] * 2, "the first again"),
    ],
)
def test_what_are_no_subsets_of_one_network_is_refused(objectives, words):
    with pytest.raises(ValueError, match=words):
        over_subsets(lambda part: float(part.value()), objectives)
