"""The step an optimiser would take, against the step it takes; and that nothing of it is felt."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.core.functions import QuadraticObjective
from flatmin.objective.updates import update_of

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=2),
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    return model, [(torch.randn(12, 4, dtype=torch.float64), torch.arange(12) % 3)]


def closure_of(model, batches, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = cross_entropy(model(batches[0][0]), batches[0][1])
        loss.backward()
        return loss

    return closure


def flat(model):
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])


def everything(model, optimizer):
    gradients = [parameter.grad for parameter in model.parameters()]
    return copy.deepcopy([*model.state_dict().values(), *gradients, torch.get_rng_state()]), copy.deepcopy(
        optimizer.state_dict()
    )


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_the_step_that_is_taken_next_and_leaves_no_trace(name, network):
    model, batches = network
    optimizer = OPTIMIZERS[name](model.parameters())
    closure = closure_of(model, batches, optimizer)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    fired = []
    optimizer.register_step_post_hook(lambda *_: fired.append(1))
    for _ in range(3):
        optimizer.step(closure)
    schedule.step()
    before, identities = everything(model, optimizer), [id(tensor) for tensor in optimizer.state]
    update = update_of(optimizer, Objective(model, cross_entropy, batches), model=model)
    assert equal(everything(model, optimizer), before) and len(fired) == 3
    assert [id(tensor) for tensor in optimizer.state] == identities
    start = flat(model)
    optimizer.step(closure)
    torch.testing.assert_close(update, flat(model) - start, rtol=1e-9, atol=1e-14)


def test_training_with_it_is_bit_for_bit_training_without():
    def trained(look):
        torch.manual_seed(0)
        model = nn.Linear(3, 3)
        optimizer, inputs = torch.optim.Adam(model.parameters(), lr=0.01), torch.randn(9, 3)
        for _ in range(5):
            optimizer.zero_grad()
            cross_entropy(model(inputs + torch.randn(9, 3)), torch.arange(9) % 3).backward()
            if look:
                update_of(optimizer)
            optimizer.step()
        return flat(model)

    assert torch.equal(trained(look=True), trained(look=False))


def test_the_gradients_that_parameters_hold_are_followed_where_there_is_no_objective():
    weights = nn.Parameter(torch.tensor([1.0, 2.0]))
    weights.grad = torch.tensor([3.0, -4.0])
    update = update_of(torch.optim.SGD([weights], lr=0.5))
    assert update.tolist() == [-1.5, 2.0] and update.dtype == torch.float64


def test_a_step_smaller_than_the_rounding_of_the_weights_is_not_lost():
    weights = nn.Parameter(torch.tensor([1.0]))
    weights.grad = torch.tensor([1e-9])
    assert update_of(torch.optim.SGD([weights], lr=1.0)).item() == pytest.approx(-1e-9, rel=1e-6)


def test_groups_in_another_order_are_told_by_the_names_of_the_model(network):
    model, batches = network
    (bias, *_), objective = [model[0].bias], Objective(model, cross_entropy, batches)
    others = [parameter for parameter in model.parameters() if parameter is not bias]
    optimizer = torch.optim.SGD([{"params": [bias], "lr": 1.0}, {"params": others[1:], "lr": 0.1}])
    with pytest.raises(ValueError, match=r"must be those of the objective .* in its order; pass model="):
        update_of(optimizer, objective)
    found = objective.unflatten(update_of(optimizer, objective, model=model))
    gradient = objective.unflatten(objective.gradient())
    assert not found["0.weight"].any()
    torch.testing.assert_close(found["0.bias"], -gradient["0.bias"])
    torch.testing.assert_close(found["2.weight"], -0.1 * gradient["2.weight"])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((3,), TypeError, "`optimizer` must be a torch.optim.Optimizer, got int"),
        ((torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0),), ValueError, "must have gradients, got none"),
        (
            (torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0), QuadraticObjective([1.0])),
            ValueError,
            r"\(2 numbers\) must be those of the objective \(1\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        update_of(*arguments)
