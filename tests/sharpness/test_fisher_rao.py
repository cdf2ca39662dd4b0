"""The Fisher-Rao norm and the relative flatness against closed forms and matrices written out."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from flatmin import Objective
from flatmin.core.functions import QuadraticObjective
from flatmin.sharpness.fisher_rao import fisher_rao
from flatmin.sharpness.relative_flatness import relative_flatness

INPUTS = torch.arange(48.0, dtype=torch.float64).reshape(12, 4).sin()
TARGETS = torch.arange(12) % 3


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(layer() for layer in layers)).double()


def relu_net():
    """Two hidden layers, no biases."""
    return network(
        lambda: nn.Linear(4, 6, bias=False),
        nn.ReLU,
        lambda: nn.Linear(6, 5, bias=False),
        nn.ReLU,
        lambda: nn.Linear(5, 3, bias=False),
    )


def tanh_net():
    return network(lambda: nn.Linear(4, 5), nn.Tanh, lambda: nn.Linear(5, 3))


def objective(model, *edges):
    cuts = [0, *edges, 12]
    return Objective(model, cross_entropy, [(INPUTS[a:b], TARGETS[a:b]) for a, b in pairwise(cuts)])


def test_of_a_relu_network_without_biases_it_has_its_closed_form():
    """(L + 1)^2 times the squares, or the variances, of the class scores about the network's mean."""
    model = relu_net()
    scores = model(INPUTS).detach().numpy()
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    mean = (chances * scores).sum(1)
    empirical = 9 * (mean - scores[range(12), TARGETS]) ** 2
    found = fisher_rao(objective(model, 5), kind="empirical")
    assert found.value == pytest.approx(empirical.mean(), rel=1e-10)
    assert found.standard_error == pytest.approx(empirical.std(ddof=1) / math.sqrt(12), rel=1e-9)
    variance = 9 * ((chances * scores**2).sum(1) - mean**2).mean()
    assert fisher_rao(objective(model, 5)).value == pytest.approx(variance, rel=1e-10)


def test_of_any_network_it_is_the_form_of_the_matrix_written_out():
    model = tanh_net()
    weights = dict(model.named_parameters())
    flat = torch.cat([p.detach().reshape(-1) for p in weights.values()])

    def gradient(x, target):
        (loss,) = [cross_entropy(model(x[None]), target[None])]
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, weights.values())])

    empirical = sum(torch.outer(g := gradient(x, t), g) for x, t in zip(INPUTS, TARGETS, strict=True)) / 12
    information = torch.zeros_like(empirical)
    for x in INPUTS:
        for k, chance in enumerate(model(x).softmax(0).detach()):
            information += chance * torch.outer(g := gradient(x, torch.tensor(k)), g) / 12
    assert fisher_rao(objective(model), kind="empirical").value == pytest.approx(float(flat @ empirical @ flat))
    assert fisher_rao(objective(model)).value == pytest.approx(float(flat @ information @ flat))


def test_a_loss_without_its_mean_may_be_given_and_must_be_that():
    model = tanh_net()
    targets = torch.nn.functional.one_hot(TARGETS).double()
    regression = Objective(model, mse_loss, [(INPUTS, targets)])
    found = fisher_rao(regression, kind="empirical", each=lambda out, y: ((out - y) ** 2).mean(1))
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def losses(scale):
        outputs = torch.func.functional_call(model, {name: scale * p for name, p in weights.items()}, INPUTS)
        return ((outputs - targets) ** 2).mean(1)

    along = (losses(1 + 1e-5) - losses(1 - 1e-5)) / 2e-5
    assert found.value == pytest.approx(float((along**2).mean()), rel=1e-7)
    with pytest.raises(ValueError, match="`each` must be the objective's loss without its mean"):
        fisher_rao(regression, kind="empirical")


def kappa(model, name):
    """From the dense Hessian: the sum over pairs of rows."""
    weights = {n: p.detach() for n, p in model.named_parameters()}
    shape = weights[name].shape

    def loss(flat):
        return cross_entropy(torch.func.functional_call(model, weights | {name: flat.reshape(shape)}, INPUTS), TARGETS)

    hessian = torch.autograd.functional.hessian(loss, weights[name].reshape(-1))
    rows, columns = shape
    blocks = hessian.reshape(rows, columns, rows, columns).diagonal(dim1=1, dim2=3).sum(-1)
    return float((blocks * (weights[name] @ weights[name].T)).sum())


@pytest.mark.parametrize(("layer", "named"), [(None, "2.weight"), ("0", "0.weight"), ("4.weight", "4.weight")])
def test_the_relative_flatness_in_full_is_that_of_the_dense_hessian(layer, named):
    model = relu_net()
    found = relative_flatness(objective(model, 5), layer=layer)
    assert found.value == pytest.approx(kappa(model, named), rel=1e-9)
    assert (found.layer, found.exact, found.standard_error) == (named, True, 0.0) and found.products <= 30


def test_by_draws_it_is_within_its_error():
    model = tanh_net()
    found = relative_flatness(objective(model), draws=19, layer="0")
    exact = kappa(model, "0.weight")
    assert found.products == 16 and found.value == pytest.approx(exact)
    values = [relative_flatness(objective(model), draws=15, layer="0", seed=seed) for seed in range(40)]
    assert not any(one.exact for one in values)
    assert np.mean([abs(one.value - exact) < 2 * one.standard_error for one in values]) > 0.8
    spread = np.std([one.value for one in values])
    assert abs(np.mean([one.value for one in values]) - exact) < 3 * spread / math.sqrt(40)


def test_rescaled_layers_have_the_same_norm_and_relative_flatness_single_neurons_the_norm_alone():
    model = relu_net()
    kept = [float(measure(objective(model))) for measure in (fisher_rao, relative_flatness)]
    with torch.no_grad():
        model[0].weight *= 50
        model[4].weight /= 50
    assert [float(m(objective(model))) for m in (fisher_rao, relative_flatness)] == pytest.approx(kept, rel=1e-9)
    with torch.no_grad():
        model[0].weight[1] *= 9
        model[2].weight[:, 1] /= 9
    assert float(fisher_rao(objective(model))) == pytest.approx(kept[0], rel=1e-9)
    assert abs(float(relative_flatness(objective(model))) / kept[1] - 1) > 0.1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fisher_rao(objective(tanh_net()), kind="true"), ValueError, "`kind` must be one of"),
        (lambda: fisher_rao(QuadraticObjective([1.0])), TypeError, "must be an Objective of a network"),
        (lambda: relative_flatness(QuadraticObjective([1.0])), TypeError, "must have layers"),
        (
            lambda: relative_flatness(objective(tanh_net()), layer="0.bias"),
            ValueError,
            "`layer` must name a weight with rows and columns, got '0.bias'; the last ones are 0.weight, 2.weight",
        ),
        (lambda: relative_flatness(objective(tanh_net()), draws=0), ValueError, "`draws` must"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
