"""Curves against the formulas written out, closed forms and finite differences."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, connect
from flatmin.connectivity.curves import COEFFICIENTS
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.networks import F1

RING = FunctionObjective(lambda w: (w.square().sum() - 1).square(), torch.tensor([1.0, 0.05], dtype=torch.float64))
ACROSS = torch.tensor([-1.0, 0.05], dtype=torch.float64)
EITHER = pytest.mark.parametrize("curve", ["bezier", "polychain"])


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_coefficients_are_those_of_garipov_2018(t):
    quadratic = [(1 - t) ** 2, 2 * t * (1 - t), t**2]
    assert COEFFICIENTS["bezier"](t, 3).tolist() == pytest.approx(quadratic, abs=1e-15)
    chain = [2 * (0.5 - t), 2 * t, 0.0] if t <= 0.5 else [0.0, 2 * (1 - t), 2 * (t - 0.5)]
    assert COEFFICIENTS["polychain"](t, 3).tolist() == pytest.approx(chain, abs=1e-15)
    cubic = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    assert COEFFICIENTS["bezier"](t, 4).tolist() == pytest.approx(cubic, abs=1e-15)


@EITHER
def test_a_curve_whose_bends_did_not_move_is_the_segment(curve):
    flat = FunctionObjective(lambda w: 0 * w.sum(), torch.tensor([1.0, 2.0, 0.0]))
    end = torch.tensor([0.0, 3.0, 4.0])
    found = connect(flat, end, curve=curve, bends=3, epochs=2, batch_size=None)
    for t in (0.0, 0.3, 0.5, 1.0):
        assert found(t).tolist() == pytest.approx(((1 - t) * flat.theta + t * end).tolist(), abs=1e-6)
    assert found.stretch == pytest.approx(1.0, abs=1e-6) and found.bends.shape == (3, 3)


@EITHER
@pytest.mark.parametrize("bends", [1, 2])
def test_the_first_step_goes_down_the_gradient_of_the_loss_at_t_with_respect_to_the_bends(curve, bends):
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    start, end = torch.tensor([1.0, -1.0]).double(), torch.tensor([2.0, 0.5]).double()
    bowl = QuadraticObjective(matrix, theta=start)
    found = connect(
        bowl, end, curve=curve, bends=bends, epochs=1, batch_size=None, learning_rate=0.1, momentum=0.0, seed=4
    )
    t = float(torch.rand((), generator=torch.Generator().manual_seed(4), dtype=torch.float64))
    n = bends + 1
    weigh = {
        "bezier": lambda i: math.comb(n, i) * t**i * (1 - t) ** (n - i),
        "polychain": lambda i: max(0.0, 1 - abs(n * t - i)),
    }[curve]
    at_first = [start + (end - start) * i / n for i in range(n + 1)]

    def loss(points):
        w = sum(weigh(i) * points[i] for i in range(n + 1))
        return float(0.5 * w @ matrix @ w)

    step = 1e-5
    for bend in range(1, n):
        for entry in range(2):
            moved = [[point.clone() for point in at_first] for _ in range(2)]
            moved[0][bend][entry] += step
            moved[1][bend][entry] -= step
            slope = (loss(moved[0]) - loss(moved[1])) / (2 * step)
            went = float(found.points[bend][entry] - at_first[bend][entry])
            assert went == pytest.approx(-0.1 * slope, abs=1e-9)


@EITHER
def test_across_a_ring_the_segment_has_a_barrier_of_one_and_a_curve_goes_round(curve):
    t = torch.linspace(0, 1, 21, dtype=torch.float64)
    straight = [float(RING.value((1 - s) * RING.theta + s * ACROSS)) for s in t]
    assert max(straight) == pytest.approx((0.05**2 - 1) ** 2)
    found = connect(RING, ACROSS, curve=curve, bends=3, epochs=2000, batch_size=None, learning_rate=0.1, momentum=0.0)
    line = found.evaluate(RING)
    assert len(line.alphas) == 61 and float(line.loss.max()) < 0.08 and found.stretch > 1.3
    assert torch.equal(found(0.0), RING.theta) and torch.equal(found(1.0), ACROSS)


def test_a_diverging_curve_is_marked_and_keeps_its_last_finite_bends():
    found = connect(RING, ACROSS, epochs=50, batch_size=None, learning_rate=1e4)
    assert found.diverged and found.bends.isfinite().all() and "DIVERGED" in repr(found)
    assert math.isnan(found.losses[-1])


def networks():
    """Two of one kind, 40 examples."""
    torch.manual_seed(0)
    first, second = F1((1, 4, 4), 3, width=8), F1((1, 4, 4), 3, width=8)
    return (
        first,
        second,
        [(torch.randn(25, 1, 4, 4), torch.arange(25) % 3), (torch.randn(15, 1, 4, 4), torch.arange(15) % 3)],
    )


def test_a_curve_between_networks_is_the_same_for_one_seed_and_lowers_the_loss_of_the_segment():
    first, second, batches = networks()
    one, other = (Objective(model, cross_entropy, batches, batch_norm="batch") for model in (first, second))
    found = [connect(one, other, epochs=30, batch_size=20, learning_rate=0.1, seed=s).points for s in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert torch.equal(found[0][0], one.theta) and torch.equal(found[0][-1], other.theta)
    assert float(one.value(found[0][1])) < float(one.value((one.theta + other.theta) / 2))


def test_an_epoch_of_shuffled_parts_has_every_example_once_and_none_alone():
    inputs = torch.arange(21.0)[:, None]
    of = Objective(nn.Linear(1, 1), lambda outputs, targets: (outputs - targets).square().mean(), [(inputs, inputs)])
    parts = of.shuffled(4, torch.Generator().manual_seed(0))
    seen = [part.batches[0][0].flatten() for part in parts]
    assert sorted(torch.cat(seen).tolist()) == inputs.flatten().tolist() and [len(s) for s in seen] == [4, 4, 4, 4, 5]
    assert torch.cat(seen).tolist() != inputs.flatten().tolist()
    assert float(of.value()) == pytest.approx(sum(float(p.value()) * p.examples for p in parts) / 21, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"batch_size": 4}, TypeError, "`batch_size` must be None for an objective that has no examples"),
        ({"curve": "spline"}, ValueError, "`curve` must be one of 'bezier', 'polychain', got 'spline'"),
        ({"bends": 0}, ValueError, "`bends` must be at least 1, got 0"),
        ({"momentum": 1.0}, ValueError, r"`momentum` must lie in \[0, 1\), got 1.0"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be positive, got 0.0"),
        ({"second": torch.ones(3)}, ValueError, r"`second` must have shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(options, kind, words):
    with pytest.raises(kind, match=words):
        connect(RING, **{"second": ACROSS, "batch_size": None} | options)


def test_running_averages_of_one_end_are_refused_for_the_curve():
    first, second, batches = networks()
    with pytest.raises(ValueError, match="batch_norm='running' would use the averages of `first`"):
        connect(Objective(first, cross_entropy, batches), Objective(second, cross_entropy, batches))
