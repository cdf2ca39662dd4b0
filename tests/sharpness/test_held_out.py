"""The rise at a worst point on other examples: by hand, against resampling, and against the search's own."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flatmin import Objective, epsilon_sharpness, rise_on

EACH = partial(F.cross_entropy, reduction="none")


def linear(inputs, targets, **options):
    """Mean squared error of a line through the origin, standing at slope 2."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 2.0)
    return Objective(model, F.mse_loss, [(inputs, targets)], dtype=torch.float64, **options)


def squares(outputs, targets):
    return ((outputs - targets) ** 2).mean(1)


def test_rise_and_error_are_those_computed_by_hand():
    x, y = np.array([1.0, 2.0, 3.0, 1.5]), np.array([2.5, 3.0, 7.0, 3.0])
    before, after = (2 * x - y) ** 2, (2.5 * x - y) ** 2
    rise = 100 * (after.mean() - before.mean()) / (1 + before.mean())
    objective = linear(torch.tensor(x)[:, None], torch.tensor(y)[:, None])
    found = rise_on(objective, torch.tensor([0.5]), each=squares)
    assert float(found) == pytest.approx(rise, rel=1e-12)
    assert (found.base_loss, found.examples) == (pytest.approx(before.mean()), 4)
    influence = after / (1 + before.mean()) - before * (1 + after.mean()) / (1 + before.mean()) ** 2
    assert found.standard_error == pytest.approx(100 * influence.std(ddof=1) / 2, rel=1e-12)


def test_the_stated_error_is_the_scatter_over_samples():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4000, 1, dtype=torch.float64, generator=generator)
    y = 2 * x + 0.5 * torch.randn(4000, 1, dtype=torch.float64, generator=generator)
    perturbation = torch.tensor([0.3])
    parts = [rise_on(linear(a, b), perturbation, each=squares) for a, b in zip(x.split(40), y.split(40), strict=True)]
    scatter = np.std([part.sharpness for part in parts], ddof=1)
    stated = np.sqrt(np.mean([part.standard_error**2 for part in parts]))
    assert stated == pytest.approx(scatter, rel=0.2)  # 100 samples know a deviation to 7 per cent


def test_all_of_a_population_have_no_error_and_half_of_it_less_than_a_sample():
    x = torch.linspace(0, 1, 10, dtype=torch.float64)[:, None]
    objective = linear(x, x**2)
    errors = [
        rise_on(objective, torch.tensor([0.3]), each=squares, population=population).standard_error
        for population in (10, 20, None)
    ]
    assert errors[0] == 0
    assert errors[1] == pytest.approx(errors[2] * math.sqrt(1 / 2), rel=1e-12)


def test_where_it_was_searched_the_rise_is_the_sharpness(objective):
    searched = objective(6, batch_norm="batch")
    found = epsilon_sharpness(searched, epsilon=0.05)
    again = rise_on(searched, found.perturbation, each=EACH)
    assert again.sharpness == pytest.approx(found.sharpness, rel=1e-10)
    assert again.base_loss == pytest.approx(found.base_loss, rel=1e-12)


def test_a_worst_point_is_worse_for_the_examples_it_was_found_on():
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randn(400, 30, generator=generator), torch.randint(2, (400,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Linear(30, 2)

    def objective(part):
        return Objective(model, F.cross_entropy, [(inputs[part], targets[part])])

    found = epsilon_sharpness(objective(slice(0, 20)), epsilon=0.05)
    elsewhere = rise_on(objective(slice(20, 400)), found.perturbation, each=EACH)
    assert found.sharpness - elsewhere.sharpness > 5 * elsewhere.standard_error


def test_each_gives_the_examples_in_their_order_however_batches_are_cut(objective, data):
    one, cut = objective(batch_norm="running"), objective(3, 9, batch_norm="running")
    torch.testing.assert_close(one.each(EACH), cut.each(EACH))
    assert float(one.each(EACH).mean()) == pytest.approx(float(one.value()), rel=1e-12)
    reestimated = [objective(*edges, batch_norm="reestimate").each(EACH) for edges in ((), (5,))]
    torch.testing.assert_close(*reestimated)


def test_bad_input_is_named(objective):
    whole = objective()
    with pytest.raises(ValueError, match=r"`population` must be at least the 14 examples, got 3\."):
        rise_on(whole, torch.zeros(whole.size), each=EACH, population=3)
    with pytest.raises(ValueError, match=r"`function` must give one number an example, shape \(14,\), got \(\)\."):
        rise_on(whole, torch.zeros(whole.size), each=F.cross_entropy)


def test_another_loss_than_the_objectives_and_another_vector_are_refused(objective):
    whole = objective()
    with pytest.raises(ValueError, match=r"`each` must be the objective's loss without its mean, .*, got a mean of"):
        rise_on(whole, torch.zeros(whole.size), each=lambda outputs, targets: outputs.abs().mean(1))
    for wrong in (torch.zeros(3), torch.full((whole.size,), math.nan)):
        with pytest.raises(ValueError, match="`perturbation` must be a finite vector of shape"):
            rise_on(whole, wrong, each=EACH)
