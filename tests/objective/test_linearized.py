"""Parts of the examples, derivatives of each example and Gauss-Newton products, against Jacobians written out."""

from functools import partial

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from flatmin import Objective

EACH = partial(cross_entropy, reduction="none")


@pytest.fixture
def given():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    return model, torch.randn(11, 4).double(), torch.arange(11) % 3


def outputs(model, inputs):
    """The outputs as a function of the flat weights, by torch's own means."""
    shapes = [(name, p.shape) for name, p in model.named_parameters()]

    def of(theta):
        parts = torch.split(theta, [shape.numel() for _, shape in shapes])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes, parts, strict=True)}
        return functional_call(model, weights, (inputs,))

    return of


def test_gauss_newton_products_equal_the_matrix_written_out_over_uneven_batches(given):
    model, inputs, targets = given
    objective = Objective(model, cross_entropy, list(zip(inputs.split(4), targets.split(4), strict=True)))
    of = outputs(model, inputs)
    jacobian, share = torch.autograd.functional.jacobian(of, objective.theta), of(objective.theta).softmax(1)
    bend = torch.diag_embed(share) - share[:, :, None] * share[:, None, :]
    matrix = torch.einsum("nip,nij,njq->pq", jacobian, bend, jacobian) / 11
    vector = torch.randn(objective.size).double()
    for _ in range(3):  # the graphs are made, kept, and made again after another kind of product
        torch.testing.assert_close(objective.gauss_newton(vector), matrix @ vector, rtol=1e-12, atol=1e-14)
        objective.hvp(vector)


def test_gauss_newton_of_a_squared_error_follows_another_point(given):
    model, inputs, _ = given
    objective = Objective(model, mse_loss, [(inputs, torch.zeros(11, 3).double())])
    theta, vector = torch.randn(objective.size).double(), torch.randn(objective.size).double()
    jacobian = torch.autograd.functional.jacobian(outputs(model, inputs), theta).flatten(0, 1)
    expected = 2 / 33 * jacobian.T @ (jacobian @ vector)
    torch.testing.assert_close(objective.gauss_newton(vector, theta), expected, rtol=1e-12, atol=1e-14)


def test_an_own_step_without_outputs_has_no_gauss_newton_matrix(given):
    model, inputs, targets = given
    objective = Objective.of(model, lambda m, b: cross_entropy(m(b[0]), b[1]), [(inputs, targets)])
    with pytest.raises(TypeError, match="return a mapping with 'loss' and 'logits'"):
        objective.gauss_newton(objective.theta)


@pytest.mark.parametrize("hvp", ["exact", "finite_difference"])
def test_the_derivative_of_each_example_is_that_of_the_jacobian(given, hvp):
    model, inputs, targets = given
    objective = Objective(model, cross_entropy, list(zip(inputs.split(6), targets.split(6), strict=True)), hvp=hvp)
    vector = torch.randn(objective.size).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda theta: EACH(outputs(model, inputs)(theta), targets), objective.theta
    )
    values, slopes = objective.each_along(EACH, vector)
    torch.testing.assert_close(values, EACH(model(inputs).detach(), targets))
    torch.testing.assert_close(slopes, jacobian @ vector, rtol=1e-12 if hvp == "exact" else 1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [1, 4, 5, 11, 30])
def test_parts_are_disjoint_and_make_up_the_whole(given, size):
    model, inputs, targets = given
    objective = Objective(model, cross_entropy, list(zip(inputs.split(4), targets.split(4), strict=True)))
    parts = objective.parts(size)
    assert [part.examples for part in parts] == [len(cut) for cut in inputs.split(size)]
    gradients = sum(part.gradient() * part.examples for part in parts) / 11
    torch.testing.assert_close(gradients, objective.gradient(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(parts[0].value(), cross_entropy(model(inputs[:size]), targets[:size]).detach())


def test_parts_without_a_target_that_counts_are_left_out(given):
    model, inputs, targets = given
    targets[:4] = -100
    assert [part.examples for part in Objective(model, cross_entropy, [(inputs, targets)]).parts(4)] == [4, 3]


def test_parts_of_batches_that_weigh_what_somebody_says_are_refused(given):
    model, inputs, targets = given
    objective = Objective(model, cross_entropy, [(inputs, targets)], weights=[2.0])
    with pytest.raises(ValueError, match="has no parts"):
        objective.parts(4)
    with pytest.raises(ValueError, match="`size` must be at least 1"):
        Objective(model, cross_entropy, [(inputs, targets)]).parts(0)
