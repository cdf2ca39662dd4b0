"""A user's own function of a vector, with no more than the tools ask for, and what they say where it does not fit."""

import math

import numpy as np
import pytest
import torch

from flatmin import (
    critical_point,
    diagonal,
    escape,
    find_critical_point,
    hessian,
    linear_operator,
    spectral_density,
    spectrum,
    top_eigenvalues,
    trace,
)

TOOLS = {
    "top_eigenvalues": lambda o, **at: float(top_eigenvalues(o, **at)) - 4,
    "trace": lambda o, **at: float(trace(o, **at)) - 3,
    "diagonal": lambda o, **at: float(diagonal(o, **at).values[0]) - 4,
    "spectral_density": lambda o, **at: float(spectral_density(o, steps=3, **at).nodes.max()) - 4,
    "spectrum": lambda o, **at: float(spectrum(o, **at).values[-1]) - 4,
    "hessian": lambda o, **at: float(hessian(o, **at)[0, 0]) - 4,
    "critical_point": lambda o, **at: critical_point(o, **at).highest - 4,
    "escape": lambda o, **at: escape(o, **at).eigenvalue + 2,
    "find_critical_point": lambda o, **at: find_critical_point(o, **at).gradient_norm,
    "linear_operator": lambda o, **at: linear_operator(o, **at).matvec(np.array([1.0, 0.0, 0.0]))[0] - 4,
}


class Own:
    """Curved by 4, 1 and -2; every method is told where."""

    def __init__(self, theta=None, product=lambda image: image):
        self.theta = torch.ones(3, dtype=torch.float64) if theta is None else theta
        self.size, self.product = 3, product

    def value(self, theta):
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta):
        gradient = torch.tensor([4.0, 1.0, -2.0]).to(theta) * theta
        return theta @ gradient / 2, gradient

    def hvp(self, vector, theta):
        return self.product(torch.tensor([4.0, 1.0, -2.0]).to(theta) * vector)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
@pytest.mark.parametrize(
    "theta", [None, torch.ones(3), torch.ones(3, dtype=torch.long), [1.0, 1.0, 1.0], torch.ones(3, requires_grad=True)]
)
def test_any_three_numbers_are_a_point(tool, theta):
    assert abs(tool(Own(), theta=theta)) < 1e-6


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_point_or_a_product_that_still_has_a_graph_serves(tool):
    weights = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    assert abs(tool(Own(weights, lambda image: image.requires_grad_()))) < 1e-6


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
@pytest.mark.parametrize("theta", [torch.zeros(2), torch.zeros(3, 1), [[0.0, 0.0, 0.0]]])
def test_a_point_of_another_shape_is_refused(tool, theta):
    with pytest.raises(ValueError, match=r"`theta` must have shape \(3,\), got"):
        tool(Own(), theta=theta)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
@pytest.mark.parametrize(
    "product", [lambda image: image[:2], lambda image: image[:, None], lambda image: image.numpy()]
)
def test_a_product_of_another_shape_is_refused(tool, product):
    with pytest.raises(ValueError, match=r"`objective.hvp` must return a tensor of shape \(3,\), got"):
        tool(Own(product=product))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_whole_numbers_as_weights_and_weights_nobody_counts_are_refused(tool):
    with pytest.raises(TypeError, match="`objective` must have a tensor of floats as `theta`, got int64"):
        tool(Own(torch.ones(3, dtype=torch.long)))
    uncounted = Own()
    del uncounted.size
    with pytest.raises(TypeError, match="`objective` must have the number of its weights as `size`"):
        tool(uncounted)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: escape(Own(torch.full((3,), math.nan))), RuntimeError, "loss and gradient must be finite"),
        (lambda: escape(Own(), [math.nan]), ValueError, "`lengths` must hold at least one length, all finite"),
        (lambda: escape(Own(), direction=[0.0, 0.0, 0.0]), ValueError, "`direction` must be a finite vector"),
    ],
)
def test_an_escape_from_nowhere_or_by_no_length_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_density_is_smoothed_at_any_numbers():
    density = spectral_density(Own(), steps=3)
    for at in ([0, 4], torch.tensor([0, 4]), torch.tensor([0.0, 4.0])):
        mean, error = density.smoothed(at, 0.5)
        assert mean.shape == error.shape == (2,) and error.isnan().all()


CAUTIOUS = {
    "trace": trace,
    "diagonal": lambda o: diagonal(o, deflate=3),
    "spectral_density": lambda o: spectral_density(o, steps=3),
    "critical_point": critical_point,
}


@pytest.mark.parametrize("tool", CAUTIOUS.values(), ids=CAUTIOUS)
def test_products_of_no_symmetric_matrix_are_said_where_no_residual_would_tell(tool):
    assert "not symmetric" not in repr(tool(Own()))
    turned = torch.tensor([[1.0, 0.3, 0.0], [-0.3, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    assert "products with the Hessian are not symmetric, by 0." in " ".join(
        tool(Own(product=lambda image: turned @ image)).cautions
    )


def test_ends_of_no_symmetric_matrix_are_not_converged():
    turned = torch.tensor([[1.0, 0.3, 0.0], [-0.3, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    assert critical_point(Own(), limit=1).converged
    assert not critical_point(Own(product=lambda image: turned @ image), limit=1).converged
