"""Rates and schedules against values written out, brute force over all updates, and arithmetic of the momentum."""

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from flatmin.training import (
    Decay,
    GrowingBatch,
    SlowStart,
    WarmUp,
    corrected_momentum,
    linear_scaling,
    rate_schedule,
    regime_adaptation,
    sqrt_scaling,
    warm_up,
)
from flatmin.training.rates import product
from flatmin.training.schedules import epoch_of

PARTS = [
    WarmUp(epochs=2.5, start=0.2),
    WarmUp(epochs=3, start=0.5, shape="constant"),
    Decay(epochs=(1, 2.5, 4), factor=0.3),
    SlowStart(epochs=(1, 3), factors=(0.5, 2.0, 0.1)),
    GrowingBatch(epochs=(1, 2), factor=4).of(100, 1000),
]


def optimizer(rate: float = 1.0, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=rate, **options)


def test_rates_of_the_papers() -> None:
    assert linear_scaling(0.1, 256) == 0.1 and linear_scaling(0.1, 8192) == pytest.approx(3.2)  # Goyal et al.
    assert sqrt_scaling(0.1, 4096, base=128) == pytest.approx(0.1 * 5.656854249492381)  # Hoffer et al.


@pytest.mark.parametrize("rule", [linear_scaling, sqrt_scaling])
def test_scaling_by_steps_is_scaling_at_once(rule: Any) -> None:
    by_way = rule(rule(0.03, 500, base=40), 9000, base=500)
    assert by_way == pytest.approx(rule(0.03, 9000, base=40)) and rule(0.03, 77, base=77) == 0.03


@pytest.mark.parametrize(
    ("part", "values"),
    [
        (WarmUp(epochs=5, start=1 / 32), {0: 1 / 32, 1: 0.225, 2.5: 0.515625, 4: 0.80625, 5: 1.0, 90: 1.0}),
        (WarmUp(epochs=2, start=0.1, shape="constant"), {0: 0.1, 1: 0.1, 1.999: 0.1, 2: 1.0}),
        (Decay(), {0: 1.0, 29.99: 1.0, 30: 0.1, 59: 0.1, 60: 0.01, 80: 0.001, 89: 0.001}),
        (Decay(epochs=(0.5,), factor=1), {0: 1.0, 1: 1.0}),
        (SlowStart(), {0: 0.5, 39: 0.5, 40: 0.075, 70: 0.01, 84: 0.01, 85: 0.001}),
        (GrowingBatch((1, 2, 3), 4).of(100, 1000), {0: 1.0, 1.5: 1.0, 2: 1000 / 1600, 2.9: 1000 / 1600, 3: 1 / 6.4}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_factors_written_out(part: Any, values: dict[float, float]) -> None:
    assert {epoch: part.at(epoch) for epoch in values} == pytest.approx(values, rel=1e-12)


def test_a_product_is_that_of_its_parts_and_none_is_one() -> None:
    rate = product(None, *PARTS, None)
    for epoch in np.linspace(0, 6, 61).tolist():
        expected = 1.0
        for part in PARTS:
            expected *= part.at(epoch)
        assert rate(epoch) == pytest.approx(expected, rel=1e-14)
    assert product(None)(3.0) == product()(0.0) == 1


@pytest.mark.parametrize("part", PARTS[:4], ids=lambda part: type(part).__name__)
@pytest.mark.parametrize("by", [0.5, 2, 31.7])
def test_a_stretched_part_is_the_part_at_a_shrunk_time(part: Any, by: float) -> None:
    stretched = part.stretched(by)
    for epoch in (0.1, 0.99, 1.01, 2.4, 2.6, 3.1, 5.0):
        assert stretched.at(epoch * by) == pytest.approx(part.at(epoch))


def updates(examples: int, batch_size: int) -> int:
    """Batches an epoch, by cutting; one example alone joins the batch before."""
    left, count = examples, 0
    while left > 0:
        left, count = left - batch_size, count + 1
        if left == 1 and batch_size > 1:
            left = 0
    return count


@pytest.mark.parametrize(
    ("examples", "base", "batch_size", "epochs"),
    [(60_000, 128, 4096, 50), (60_000, 256, 6000, 20), (1437, 16, 144, 7), (1437, 100, 1437, 3), (101, 10, 50, 9)],
)
def test_regime_adaptation_keeps_the_updates(examples: int, base: int, batch_size: int, epochs: int) -> None:
    decay = Decay(epochs=(1, 2, 2.5), factor=0.5)
    long, (late, nothing) = regime_adaptation(epochs, decay, None, batch_size=batch_size, base=base, examples=examples)
    few, many = updates(examples, batch_size), updates(examples, base)
    assert abs(long * few - epochs * many) <= few / 2 and nothing is None
    small, large = epoch_of(many), epoch_of(few)
    steps = min(long * few, epochs * many)
    assert [late.at(large(step)) for step in range(steps)] == [decay.at(small(step)) for step in range(steps)]


@pytest.mark.parametrize(("examples", "base", "batch_size"), [(60_000, 100, 6000), (4096, 128, 4096), (50, 1, 10)])
def test_where_batches_divide_the_data_the_updates_are_the_same(examples: int, base: int, batch_size: int) -> None:
    for known in (None, examples):
        long, _ = regime_adaptation(7, batch_size=batch_size, base=base, examples=known)
        assert long == 7 * batch_size // base and long * examples // batch_size == 7 * examples // base


def test_hoffers_f1_is_stretched_32_times() -> None:
    phases = Decay(epochs=(10, 20, 30)), WarmUp(epochs=1), GrowingBatch(epochs=(4, 5)), SlowStart()
    found = regime_adaptation(50, *phases, batch_size=4096, base=128)
    assert found.epochs == 1600
    assert [phase.epochs for phase in found.phases] == [(320, 640, 960), 32, (128, 160), (1280, 2240, 2720)]
    assert regime_adaptation(1, batch_size=1, base=100).epochs == 1


@pytest.mark.parametrize("shape", ["gradual", "constant"])
def test_a_loop_of_ones_own_warms_up_as_torch_does(shape: Any) -> None:
    ours, theirs = optimizer(3.2), optimizer(3.2)
    scheduler = warm_up(ours, 7, start=0.25, shape=shape)
    kind = torch.optim.lr_scheduler.LinearLR if shape == "gradual" else torch.optim.lr_scheduler.ConstantLR
    key = "start_factor" if shape == "gradual" else "factor"
    reference = kind(theirs, **{key: 0.25}, total_iters=7)  # type: ignore[arg-type]
    for step in range(12):
        by_hand = 3.2 if step >= 7 else 0.8 if shape == "constant" else 0.8 + 2.4 * step / 7
        assert ours.param_groups[0]["lr"] == pytest.approx(by_hand, rel=1e-14)
        assert theirs.param_groups[0]["lr"] == pytest.approx(by_hand, rel=1e-12)
        for one, its in ((ours, scheduler), (theirs, reference)):
            one.step()
            its.step()


def test_groups_keep_their_ratio() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.25)]
    scheduled = torch.optim.SGD(groups)
    scheduler = rate_schedule(scheduled, 2, WarmUp(epochs=1, start=0.5), Decay(epochs=(2,)))["scheduler"]
    seen = []
    for _ in range(5):
        seen.append([group["lr"] for group in scheduled.param_groups])
        scheduled.step()
        scheduler.step()
    assert seen == [[0.5, 0.125], [0.75, 0.1875], [1, 0.25], [1, 0.25], [0.1, 0.025]]


def test_epochs_of_any_lengths_are_walked_through_one_step_after_the_other() -> None:
    lengths = [5, 3, 1, 2]
    expected = [epoch + step / length for epoch, length in enumerate([*lengths, 2, 2]) for step in range(length)]
    epoch = epoch_of(lengths)
    assert [epoch(step) for step in range(len(expected))] == pytest.approx(expected, rel=1e-15)
    assert all(a < b for a, b in pairwise(map(epoch, range(50))))
    assert [epoch_of(49)(49 * k) for k in range(2000)] == list(range(2000))


GRADIENTS = [1.0, -0.5, 0.25, 2.0, -1.5, 0.75]
RATES = [0.1, 0.2, 0.4, 0.4, 0.04, 0.004]


def by_torch(momentum: float) -> list[float]:
    sgd = optimizer(momentum=momentum)
    (weight,) = sgd.param_groups[0]["params"]
    ways = []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        weight.grad = torch.full_like(weight, gradient)
        sgd.param_groups[0]["lr"] = rate
        sgd.step()
        ways.append(float(weight.detach()))
    return ways


def with_the_rate_in_the_velocity(momentum: float, corrected: bool) -> list[float]:
    weight = velocity = 0.0
    ways, before = [], RATES[0]
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        kept = corrected_momentum(momentum, before=before, now=rate) if corrected else momentum
        velocity = kept * velocity + rate * gradient
        weight -= velocity
        ways.append(weight)
        before = rate
    return ways


def test_torchs_sgd_needs_no_momentum_correction_and_a_velocity_with_the_rate_does() -> None:
    weight = velocity = 0.0
    expected = []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        velocity = 0.9 * velocity + gradient
        weight -= rate * velocity
        expected.append(weight)
    assert by_torch(0.9) == pytest.approx(expected, rel=1e-12)
    assert with_the_rate_in_the_velocity(0.9, corrected=True) == pytest.approx(expected, rel=1e-12)
    uncorrected = with_the_rate_in_the_velocity(0.9, corrected=False)
    assert uncorrected[0] == expected[0] and abs(uncorrected[-1] - expected[-1]) > 0.1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linear_scaling(0.0, 8), ValueError, "`learning_rate` must be positive, got 0.0."),
        (lambda: sqrt_scaling(0.1, 0), ValueError, "`batch_size` must be at least 1, got 0."),
        (lambda: linear_scaling(0.1, 8, base=2.5), TypeError, "`base` must be an int, got float."),  # type: ignore[arg-type]
        (lambda: WarmUp(epochs=0), ValueError, "`epochs` must lie in (0, 1000000], got 0."),
        (lambda: WarmUp(start=0.0), ValueError, "`start` must lie in (0, 1], got 0.0."),
        (lambda: WarmUp().at(-1), ValueError, "`epoch` must lie in [0, inf), got -1."),
        (lambda: Decay(epochs=(3, 3)), ValueError, "`epochs` must be one or more in rising order, got [3, 3]."),
        (lambda: Decay(epochs=()), ValueError, "`epochs` must be one or more in rising order, got []."),
        (lambda: Decay(factor=1.5), ValueError, "`factor` must lie in (0, 1], got 1.5."),
        (lambda: Decay().at(math.nan), ValueError, "`epoch` must lie in [0, inf), got nan."),
        (lambda: SlowStart(epochs=(1, 2)), ValueError, "`factors` must be one more than the 2 `epochs`, got 4."),
        (lambda: warm_up(optimizer(), 0), ValueError, "`steps` must be at least 1, got 0."),
        (lambda: epoch_of([]), ValueError, "`steps_per_epoch` must hold one number or more, got none."),
        (lambda: epoch_of([4, 0]), ValueError, "`steps_per_epoch` must be at least 1, got 0."),
        (lambda: rate_schedule(optimizer(), 2.5), TypeError, "`steps_per_epoch` must be iterable, got float."),  # type: ignore[arg-type]
        (lambda: regime_adaptation(0, batch_size=8, base=4), ValueError, "`epochs` must be at least 1, got 0."),
        (
            lambda: regime_adaptation(5, batch_size=80, base=4, examples=50),
            ValueError,
            "`batch_size` must be at most the 50 examples, got 80.",
        ),
        (lambda: corrected_momentum(1.0, before=0.1, now=0.1), ValueError, "`momentum` must lie in [0, 1), got 1.0."),
    ],
)
def test_what_makes_no_schedule_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
