import pytest
import torch

from flatmin.core.functions import FunctionObjective, QuadraticObjective


def test_a_quadratic_is_its_closed_form() -> None:
    hessian = torch.tensor([[2.0, 1.0], [1.0, 5.0]], dtype=torch.float64)
    slope = torch.tensor([1.0, -1.0], dtype=torch.float64)
    bowl = QuadraticObjective(hessian, linear=slope, constant=3.0, theta=torch.tensor([1.0, 2.0]))
    assert bowl.size == 2 and bowl.theta.tolist() == [1.0, 2.0]
    assert float(bowl.value()) == 3 + (1 - 2) + 0.5 * (2 + 4 + 20)
    assert bowl.gradient().tolist() == [1 + 4, -1 + 11]
    assert bowl.hvp(torch.tensor([1.0, -1.0])).tolist() == [1.0, -4.0]
    assert bowl.values(torch.zeros(2, 2)).tolist() == [3.0, 3.0]
    assert bowl.values(torch.zeros(0, 2)).tolist() == []


def test_diagonal_and_linear_functions() -> None:
    assert QuadraticObjective([1.0, 4.0]).hvp(torch.ones(2)).tolist() == [1.0, 4.0]
    plane = FunctionObjective(lambda t: t.sum(), torch.zeros(3))
    assert plane.gradient().tolist() == [1.0, 1.0, 1.0]
    assert plane.hvp(torch.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_the_point_and_the_callers_grad_mode_do_not_matter() -> None:
    theta = torch.tensor([1.0, -2.0])
    cubic = FunctionObjective(lambda t: (t**3).sum(), theta)
    theta.zero_()
    with torch.no_grad():
        value, gradient = cubic.value_and_gradient()
        product = cubic.hvp(torch.tensor([1.0, 1.0]))
    assert float(value) == -7.0 and gradient.tolist() == [3.0, 12.0] and product.tolist() == [6.0, -12.0]
    assert not (value.requires_grad or gradient.requires_grad or product.requires_grad)


def test_a_point_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(2,\), got \(1,\)"):
        QuadraticObjective([1.0, 4.0]).value(torch.ones(1))
