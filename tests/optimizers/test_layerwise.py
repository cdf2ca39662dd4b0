"""Steps of LARS, LAMB and RMSprop warm-up against their formulas, written out in NumPy."""

import copy
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from flatmin.optimizers import LAMB, LARS, RMSpropWarmUp, rmsprop_share

Arrays = list[np.ndarray]
DRAWN = np.random.default_rng(0)
START: Arrays = [DRAWN.normal(size=(4, 3)), DRAWN.normal(size=3), 20 * DRAWN.normal(size=(2, 3, 2, 2))]
SLOPES: list[Arrays] = [[DRAWN.normal(size=part.shape) * 10.0**k for k, part in enumerate(START)] for _ in range(10)]
norm = np.linalg.norm


def lars(rates: list[float], *, momentum: float, decay: float, trust: float, vectors: bool) -> Iterator[Arrays]:
    weights, velocities = [part.copy() for part in START], [np.zeros_like(part) for part in START]
    for rate, slopes in zip(rates, SLOPES, strict=False):
        for i, (w, g) in enumerate(zip(weights, slopes, strict=True)):
            if w.ndim > 1 or vectors:
                local = trust * norm(w) / (norm(g) + decay * norm(w))
                velocities[i] = momentum * velocities[i] + rate * local * (g + decay * w)
            else:
                velocities[i] = momentum * velocities[i] + rate * g
            weights[i] = w - velocities[i]
        yield weights


def lamb(
    rates: list[float], *, betas: tuple[float, float], eps: float, decay: float, clip: Any, vectors: bool
) -> Iterator[Arrays]:
    weights = [part.copy() for part in START]
    m, v = [np.zeros_like(part) for part in START], [np.zeros_like(part) for part in START]
    for t, (rate, slopes) in enumerate(zip(rates, SLOPES, strict=False), 1):
        for i, (w, g) in enumerate(zip(weights, slopes, strict=True)):
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g**2
            u = (m[i] / (1 - betas[0] ** t)) / (np.sqrt(v[i] / (1 - betas[1] ** t)) + eps)
            if w.ndim > 1 or vectors:
                u = u + decay * w
                length = norm(w) if clip is None else min(max(norm(w), clip[0]), clip[1])
                u = u * length / norm(u)
            weights[i] = w - rate * u
        yield weights


def rmsprop(rates: list[float], *, decay: float, steps_per_epoch: int) -> Iterator[Arrays]:
    weights = [part.copy() for part in START]
    m, d = [np.zeros_like(part) for part in START], [np.zeros_like(part) for part in START]
    for t, (rate, slopes) in enumerate(zip(rates, SLOPES, strict=False)):
        away = (t / steps_per_epoch - 2.0) / 3.0
        sgd = 0.5 * math.exp(2 * away) if away < 0 else min(0.5 + away, 1.0)
        for i, (w, plain) in enumerate(zip(weights, slopes, strict=True)):
            g = plain + decay * w
            m[i] = 0.99 * m[i] + 0.01 * g**2
            d[i] = 0.9 * d[i] - (sgd + (1 - sgd) * 3e-4 / rate / (np.sqrt(m[i]) + 1e-8)) * g
            weights[i] = w + rate * d[i]
        yield weights


CONSTANT, FALLING = [0.3] * 10, [0.3 * 0.7**k for k in range(10)]
BLEND = {"steps_per_epoch": 2, "center": 2.0, "period": 3.0}
Make = Callable[[Any], Optimizer]
CASES: dict[str, tuple[Make, list[float], Callable[[], Iterator[Arrays]]]] = {
    "lars": (
        lambda params: LARS(params, 0.3),
        CONSTANT,
        lambda: lars(CONSTANT, momentum=0.9, decay=0.0, trust=1e-3, vectors=False),
    ),
    "lars with decay, vectors and a schedule": (
        lambda params: LARS(params, lr=0.3, momentum=0.5, weight_decay=0.05, trust=0.02, adapt_vectors=True),
        FALLING,
        lambda: lars(FALLING, momentum=0.5, decay=0.05, trust=0.02, vectors=True),
    ),
    "lamb": (
        lambda params: LAMB(params, 0.3),
        CONSTANT,
        lambda: lamb(CONSTANT, betas=(0.9, 0.999), eps=1e-6, decay=0.01, clip=None, vectors=True),
    ),
    "lamb clipped, without vectors, with a schedule": (
        lambda params: LAMB(params, 0.3, (0.8, 0.9), 1e-2, 0.2, clip=(4.0, 10.0), adapt_vectors=False),
        FALLING,
        lambda: lamb(FALLING, betas=(0.8, 0.9), eps=1e-2, decay=0.2, clip=(4.0, 10.0), vectors=False),
    ),
    "rmsprop warm-up": (
        lambda params: RMSpropWarmUp(params, 0.3, **BLEND),  # type: ignore[arg-type]
        CONSTANT,
        lambda: rmsprop(CONSTANT, decay=0.0, steps_per_epoch=2),
    ),
    "rmsprop warm-up with decay and a schedule": (
        lambda params: RMSpropWarmUp(params, lr=0.3, weight_decay=0.01, **BLEND),  # type: ignore[arg-type]
        FALLING,
        lambda: rmsprop(FALLING, decay=0.01, steps_per_epoch=2),
    ),
}


def parameters(arrays: Arrays = START) -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor(part)) for part in arrays]


def feed(weights: list[nn.Parameter], slopes: Arrays) -> None:
    for weight, slope in zip(weights, slopes, strict=True):
        weight.grad = torch.tensor(slope)


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_are_those_of_the_formula(case: str) -> None:
    make, rates, formula = CASES[case]
    weights = parameters()
    optimizer = make(weights)
    for slopes, rate, expected in zip(SLOPES, rates, formula(), strict=True):
        feed(weights, slopes)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        for weight, slope, wanted in zip(weights, slopes, expected, strict=True):
            np.testing.assert_allclose(weight.detach().numpy(), wanted, rtol=1e-12)
            np.testing.assert_array_equal(weight.grad.numpy(), slope)  # type: ignore[union-attr]


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_optimizer_goes_on_bit_for_bit(case: str) -> None:
    make, rates, _ = CASES[case]
    weights = parameters()
    optimizer = make(weights)
    for step, (slopes, rate) in enumerate(zip(SLOPES, rates, strict=True)):
        if step == 4:
            state = copy.deepcopy(optimizer.state_dict())
            again = [nn.Parameter(weight.detach().clone()) for weight in weights]
            resumed = make(again)
            resumed.load_state_dict(state)
        for one, moved in ((optimizer, weights), *(((resumed, again),) if step >= 4 else ())):
            feed(moved, slopes)
            one.param_groups[0]["lr"] = rate
            one.step()
    assert all(torch.equal(a, b) for a, b in zip(weights, again, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_groups_have_settings_of_their_own_and_weights_without_a_gradient_stay(case: str) -> None:
    make, _, _ = CASES[case]
    weights, unused = parameters(), nn.Parameter(torch.ones(2, 2))
    together, apart = make([*weights, unused]), make([{"params": weights[:1], "lr": 0.15}, {"params": weights[1:]}])
    feed(weights, SLOPES[0])
    before = [weight.detach().clone() for weight in weights]
    steps = []
    for optimizer in (together, apart):
        optimizer.step()
        steps.append([(weight - start).detach() for weight, start in zip(weights, before, strict=True)])
        with torch.no_grad():
            for weight, start in zip(weights, before, strict=True):
                weight.copy_(start)
    assert torch.equal(unused, torch.ones(2, 2)) and unused not in together.state
    assert torch.equal(steps[0][1], steps[1][1])
    if "rmsprop" not in case:
        torch.testing.assert_close(steps[1][0], steps[0][0] / 2)


@pytest.mark.parametrize("case", CASES)
def test_closure_and_schedule_work_as_with_any_optimizer(case: str) -> None:
    weights = parameters()
    optimizer = CASES[case][0](weights)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.stack([(weight**2).sum() for weight in weights]).sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(3):
        losses.append(float(optimizer.step(closure).detach()))  # type: ignore[arg-type]
        schedule.step()
    assert losses[0] > losses[1] > losses[2]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3 / 8)


@pytest.mark.parametrize("make", [lambda p: LARS(p, 0.1), lambda p: LARS(p, 0.1, weight_decay=0.1)])
def test_layers_of_zeros_take_the_global_rate_of_lars(make: Make) -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = make([weight])
    weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(weight, torch.full((2, 2), -0.1))


@pytest.mark.parametrize(
    ("make", "moved"),
    [
        (lambda p: LARS(p, 0.1), 1.0),
        (lambda p: LARS(p, 0.1, weight_decay=0.1, trust=0.5), 1 - 0.1 * 0.5),  # trust / decay times decay
        (lambda p: LAMB(p, 0.1, weight_decay=0.0), 1.0),
        (lambda p: LAMB(p, 0.1, weight_decay=0.3), 1 - 0.1),
    ],
)
def test_layers_without_a_slope_decay_or_stay(make: Make, moved: float) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = make([weight])
    weight.grad = torch.zeros(2, 2)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), moved))


def test_layers_of_zeros_take_adams_step_of_lamb() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = LAMB([weight], 0.1)
    weight.grad = torch.tensor([[1.0, -3.0], [0.5, 2.0]])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([[-0.1, 0.1], [-0.1, -0.1]]), rtol=1e-5, atol=0)


def test_norms_of_weights_in_16_bits_do_not_overflow() -> None:
    weight = nn.Parameter(torch.full((300, 300), 250.0, dtype=torch.float16))  # a norm of 75,000
    optimizer = LARS([weight], 1.0, trust=0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full_like(weight, 225.0))


def test_the_share_of_rmsprop_is_continuous_and_falls_from_nearly_1_to_0() -> None:
    epochs = np.arange(0, 20, 1e-3)
    shares = np.array([rmsprop_share(float(epoch)) for epoch in epochs])
    assert np.all(np.diff(shares) <= 0) and np.abs(np.diff(shares)).max() < 2.1e-4
    assert shares[0] == pytest.approx(1 - 0.5 * math.exp(-4)) and rmsprop_share(10) == 0.5
    assert np.all(shares[epochs >= 12.5] == 0) and np.all(shares[epochs < 12.49] > 0)


def test_the_epoch_is_counted_and_can_be_set() -> None:
    weights = parameters()
    optimizer = RMSpropWarmUp(weights, 0.1, steps_per_epoch=4)
    feed(weights, SLOPES[0])
    for _ in range(6):
        optimizer.step()
    assert optimizer.param_groups[0]["epoch"] == 1.5
    optimizer.param_groups[0].update(epoch=20.0, steps_per_epoch=1)
    before = [weight.detach().clone() for weight in weights]
    directions = [optimizer.state[weight]["direction"].clone() for weight in weights]
    optimizer.step()
    for weight, start, direction in zip(weights, before, directions, strict=True):
        torch.testing.assert_close(weight.detach(), start + 0.1 * (0.9 * direction - weight.grad))
    assert optimizer.param_groups[0]["epoch"] == 21


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: LARS(p, -0.1), ValueError, "`lr` must lie in [0, inf), got -0.1."),
        (lambda p: LARS(p, "0.1"), TypeError, "`lr` must be a number, got str."),
        (lambda p: LARS(p, 0.1, 1.0), ValueError, "`momentum` must lie in [0, 1), got 1.0."),
        (lambda p: LARS(p, 0.1, weight_decay=math.inf), ValueError, "`weight_decay` must lie in [0, inf), got inf."),
        (lambda p: LARS(p, 0.1, trust=0.0), ValueError, "`trust` must be positive, got 0.0."),
        (lambda p: LARS([{"params": p, "lr": -1.0}], 0.1), ValueError, "`lr` must lie in [0, inf), got -1.0."),
        (lambda p: LAMB(p, betas=(0.9, 1.0)), ValueError, "`betas` must lie in [0, 1), got 1.0."),
        (lambda p: LAMB(p, eps=0.0), ValueError, "`eps` must be positive, got 0.0."),
        (lambda p: LAMB(p, clip=(2.0, 1.0)), ValueError, "`clip` must lie in (2.0, inf), got 1.0."),
        (lambda p: RMSpropWarmUp(p, 0.0, 5), ValueError, "`lr` must be positive, got 0.0."),
        (lambda p: RMSpropWarmUp(p, 0.1, 0), ValueError, "`steps_per_epoch` must be positive, got 0."),
        (lambda p: RMSpropWarmUp(p, 0.1, 5, period=-1.0), ValueError, "`period` must be positive, got -1.0."),
    ],
)
def test_settings_out_of_range_are_named(make: Make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make(parameters())


@pytest.mark.parametrize("make", [lambda p: LARS(p, 0.1), LAMB, lambda p: RMSpropWarmUp(p, 0.1, 5)])
def test_sparse_gradients_are_refused(make: Make) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = make(table.parameters())
    table(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(RuntimeError, match="takes dense, real tensors, got sparse gradients"):
        optimizer.step()


def test_a_rate_of_0_is_no_rate_of_rmsprop_warm_up() -> None:
    weights = parameters()
    optimizer = RMSpropWarmUp(weights, 0.1, 5)
    feed(weights, SLOPES[0])
    optimizer.param_groups[0]["lr"] = 0.0
    with pytest.raises(ValueError, match="`lr` must be positive"):
        optimizer.step()


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_lars_is_that_of_pytorch_optimizer_as_long_as_the_rate_is_constant(decay: float) -> None:
    theirs = pytest.importorskip("pytorch_optimizer").LARS
    mine, others = parameters(), parameters()
    one, other = LARS(mine, 0.3, 0.9, decay), theirs(others, lr=0.3, momentum=0.9, weight_decay=decay)
    for slopes in SLOPES:
        feed(mine, slopes)
        feed(others, slopes)
        one.step()
        other.step()
    for a, b in zip(mine, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=0)
