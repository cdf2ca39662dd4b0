"""The threshold of every optimiser against its own steps on a parabola, just below it and just above."""

import pytest
import torch
from torch import nn

from flatmin.sharpness.stability import stability_threshold, threshold_of

RATE = 0.03


def sgd(**options):
    return lambda weights: torch.optim.SGD([weights], lr=RATE, **options)


def settled(kind, **options):
    """An optimiser that has averaged so many squares that they no longer change: 4 in each entry."""

    def made(weights):
        optimizer = kind([weights], lr=RATE, eps=0.0, **options)
        weights.grad = torch.full_like(weights, 1e-30)
        optimizer.step()
        state = optimizer.state[weights]
        if kind is torch.optim.RMSprop:
            state["square_avg"].fill_(4.0)
            state["momentum_buffer"].zero_()
        else:
            state["step"].fill_(1e6)
            state["exp_avg_sq"].fill_(4.0 * (1 - options["betas"][1] ** 1e6))
        return optimizer

    return made


SLOW = 1 - 1e-9
CASES = {
    "descent": (sgd(), 2 / RATE, 1),
    "heavy ball": (sgd(momentum=0.7), 3.4 / RATE, 1),
    "damped heavy ball": (sgd(momentum=0.7, dampening=0.5), 6.8 / RATE, 1),
    "nesterov": (sgd(momentum=0.9, nesterov=True), 3.8 / 2.8 / RATE, 1),
    "adam": (settled(torch.optim.Adam, betas=(0.9, SLOW)), 38 / RATE, 2),
    "adamw": (settled(torch.optim.AdamW, betas=(0.5, SLOW), weight_decay=0.0), 6 / RATE, 2),
    "rmsprop": (settled(torch.optim.RMSprop, alpha=SLOW, momentum=0.5), 3 / RATE, 2),
}


@pytest.mark.parametrize(("made", "line", "scale"), CASES.values(), ids=list(CASES))
def test_below_it_steps_come_to_rest_and_above_they_leave(made, line, scale):
    ends = {}
    for factor in (0.99, 1.01):
        weights = nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
        optimizer = made(weights)
        assert threshold_of(optimizer) == pytest.approx(line)
        with torch.no_grad():
            weights.fill_(1e-6)
        for _ in range(3000):
            weights.grad = factor * line * scale * weights.detach()
            optimizer.step()
            if abs(weights.item()) > 1e-3:
                break
        ends[factor] = abs(weights.item())
    assert ends[0.99] < 1e-7 and ends[1.01] > 1e-3


def test_what_does_not_move_stands_everything():
    assert stability_threshold(0.0, momentum=0.9) == float("inf")


def test_of_groups_with_several_rates_one_is_named():
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.1, 0.2)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    with pytest.raises(ValueError, match=r"must have one learning rate, got 0\.1, 0\.2; pass learning_rate="):
        threshold_of(optimizer)
    assert threshold_of(optimizer, learning_rate=0.2) == 10


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: stability_threshold(-1.0), ValueError, r"`learning_rate` must lie in \[0, inf\)"),
        (lambda: stability_threshold(1.0, momentum=1.0), ValueError, r"`momentum` must lie in \[0, 1\)"),
        (lambda: stability_threshold(1.0, nesterov=True, averaged=True), ValueError, "must not both be asked for"),
        (
            lambda: threshold_of(torch.optim.LBFGS([nn.Parameter(torch.ones(1))])),
            TypeError,
            "`optimizer` must be SGD, Adam, AdamW, RMSprop or Adagrad, got LBFGS",
        ),
    ],
)
def test_bad_arguments_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
