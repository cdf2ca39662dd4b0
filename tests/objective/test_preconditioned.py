"""An objective in an optimiser's coordinates against matrices written out, and scales against steps that were taken."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.core.functions import QuadraticObjective
from flatmin.objective.preconditioned import preconditioned, scales_of

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 7.0]])
POINT, SCALES = np.array([0.7, -1.2, 0.4]), np.array([4.0, 0.25, 9.0])


def test_value_gradient_and_products_are_those_of_the_new_coordinates():
    bowl = QuadraticObjective(torch.tensor(MATRIX), theta=torch.tensor(POINT))
    found, root = preconditioned(bowl, torch.tensor(SCALES)), np.sqrt(SCALES)
    assert found.size == 3 and found.theta.tolist() == pytest.approx(root * POINT)
    turned = MATRIX / np.outer(root, root)
    other = np.array([1.0, 2.0, -1.0])
    for at, point in ((None, root * POINT), (torch.tensor(other), other)):
        assert float(found.value(at)) == pytest.approx(point @ turned @ point / 2)
        assert found.gradient(at).tolist() == pytest.approx(turned @ point)
        assert found.hvp(torch.tensor(other), at).tolist() == pytest.approx(turned @ other)


def test_what_a_number_rests_on_is_the_objectives():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    objective = Objective(model, cross_entropy, [(torch.randn(6, 3), torch.arange(6) % 2)], batch_norm="batch")
    found = preconditioned(objective, torch.ones(objective.size))
    assert (found.batch_norm, found.has_batch_norm, found.examples) == ("batch", True, 6)
    assert found.cautions == objective.cautions and repr(found).endswith(", preconditioned")
    torch.testing.assert_close(found.hvp(found.theta), objective.hvp(objective.theta))


OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"betas": (0.0, 0.9)}),
    "adamw": (torch.optim.AdamW, {"betas": (0.0, 0.9), "weight_decay": 0.0, "amsgrad": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "centred rmsprop": (torch.optim.RMSprop, {"centered": True}),
    "adagrad": (torch.optim.Adagrad, {}),
}


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_a_step_is_the_gradient_over_the_scales(kind, options):
    generator = torch.Generator().manual_seed(0)
    weights = [nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in ((2, 3), (4,))]
    optimizer = kind(weights, lr=0.1, **options)
    for _ in range(5):
        before = torch.cat([weight.detach().reshape(-1) for weight in weights])
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        optimizer.step()
    step = torch.cat([weight.detach().reshape(-1) for weight in weights]) - before
    gradient = torch.cat([weight.grad.reshape(-1) for weight in weights])
    torch.testing.assert_close(step, -0.1 * gradient / scales_of(optimizer), rtol=1e-6, atol=0)


def test_with_momentum_adams_first_step_is_the_gradient_over_the_scales_too():
    weights = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = torch.optim.Adam([weights], lr=0.1, betas=(0.9, 0.99))
    weights.grad = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    optimizer.step()
    mean = 0.1 * weights.grad  # after a step the running mean is a tenth of the gradient
    torch.testing.assert_close(weights.detach(), -0.1 * mean / scales_of(optimizer))


def trained(kind, parameters, **options):
    parameters = list(parameters)
    optimizer = kind(parameters, lr=0.1, **options)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


def test_they_come_in_the_order_of_the_objective():
    model = nn.Linear(3, 2)
    objective = Objective(model, cross_entropy, [(torch.randn(6, 3), torch.arange(6) % 2)])
    optimizer = torch.optim.Adagrad([model.bias, model.weight], lr=0.1, eps=0.0)
    model.bias.grad, model.weight.grad = torch.full((2,), 5.0), torch.full((2, 3), 2.0)
    optimizer.step()
    assert scales_of(optimizer, objective, model=model).tolist() == [2.0] * 6 + [5.0] * 2


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: preconditioned(nn.Linear(1, 1), torch.ones(2)), TypeError, "`objective` must be an objective"),
        (
            lambda: preconditioned(QuadraticObjective([1.0, 2.0]), torch.ones(3)),
            ValueError,
            r"`scales` must have shape \(2,\), got \(3,\)",
        ),
        (
            lambda: preconditioned(QuadraticObjective([1.0, 2.0]), torch.tensor([1.0, 0.0])),
            ValueError,
            "`scales` must be positive and finite, got 1 entries that are not",
        ),
        (
            lambda: scales_of(trained(torch.optim.SGD, nn.Linear(2, 1).parameters())),
            TypeError,
            "must be Adam, AdamW, RMSprop or Adagrad, got SGD",
        ),
        (
            lambda: scales_of(torch.optim.Adam(nn.Linear(2, 1).parameters())),
            ValueError,
            "`optimizer` has taken no step with all of the objective's weights",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
