"""The random A against its dense self: pseudo-inverse, products, box and search."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness import epsilon_sharpness, subspace
from flatmin.sharpness.subspace import RandomSubspace

Array = NDArray[np.float64]
DISTRIBUTIONS = ["normal", "scaled", "unit", "uniform"]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(theta: torch.Tensor, dim: int, **options: Any) -> Array:
    """A, column by column."""
    space = RandomSubspace(theta, dim, **{"seed": 0, **options})
    return np.stack([space.forward(unit).numpy() for unit in torch.eye(dim, dtype=torch.float64)], axis=1)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(("size", "dim"), [(40, 7), (9, 9), (30, 1), (1, 1)])
def test_products_and_pseudo_inverse_are_those_of_the_dense_matrix(distribution: str, size: int, dim: int) -> None:
    theta, gradient, z = normal(size), normal(size, seed=1), normal(dim, seed=2)
    a = dense(theta, dim, distribution=distribution)
    space = RandomSubspace(theta, dim, seed=0, distribution=distribution)
    np.testing.assert_allclose(space.forward(z), a @ z.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(space.transpose(gradient), a.T @ gradient.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(space.coordinates(theta), np.linalg.pinv(a) @ theta.numpy(), rtol=1e-7)


def test_single_precision_keeps_the_pseudo_inverse() -> None:
    theta = normal(5000).float()
    a = dense(theta, 20)
    found = RandomSubspace(theta, 20, seed=0).coordinates(theta)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, np.linalg.pinv(a.astype(np.float64)) @ theta.double().numpy(), atol=1e-7)


def test_distributions_are_what_they_are_called() -> None:
    theta = normal(4000)
    a = {name: dense(theta, 25, distribution=name) for name in DISTRIBUTIONS}
    error = 1 / 100_000**0.5
    assert abs(a["normal"].mean()) < 4 * error and abs(a["normal"].var() - 1) < 4 * 2**0.5 * error
    np.testing.assert_allclose(a["scaled"], a["normal"] / 5, rtol=1e-12)
    np.testing.assert_allclose((a["unit"] ** 2).sum(0), 1, rtol=1e-12)
    np.testing.assert_allclose(a["unit"], a["normal"] / np.linalg.norm(a["normal"], axis=0), rtol=1e-12)
    assert 0 <= a["uniform"].min() < 1e-3 and 1 - 1e-3 < a["uniform"].max() < 1
    assert abs(a["uniform"].mean() - 0.5) < 4 * error / 12**0.5
    assert not np.allclose(a["normal"], dense(theta, 25, seed=1))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_drawn_anew_block_by_block_equals_the_kept_one(distribution: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theta, z, gradient = normal(50), normal(6, seed=1), normal(50, seed=2)
    objective = QuadraticObjective(torch.rand(50, dtype=torch.float64), constant=1.0, theta=theta)
    monkeypatch.setattr(subspace, "BLOCK_ROWS", 16)  # the last block is shorter
    kept = RandomSubspace(theta, 6, seed=4, distribution=distribution)
    whole = epsilon_sharpness(objective, subspace_dim=6, distribution=distribution, seed=4)
    monkeypatch.setattr(subspace, "KEPT_BYTES", 0)
    drawn = RandomSubspace(theta, 6, seed=4, distribution=distribution)
    for name, vector in (("forward", z), ("transpose", gradient), ("coordinates", theta)):
        for _ in range(2):
            assert torch.equal(getattr(drawn, name)(vector), getattr(kept, name)(vector))
    again = epsilon_sharpness(objective, subspace_dim=6, distribution=distribution, seed=4)
    assert again.to_record() == whole.to_record()


def test_the_draw_does_not_depend_on_the_default_dtype() -> None:
    theta = normal(12)
    expected = dense(theta, 3)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(dense(theta, 3), expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_sharpness_equals_the_highest_corner_of_the_dense_box(distribution: str, seed: int) -> None:
    theta, root = normal(12, seed=seed), normal(12, 12, seed=seed + 10)
    hessian = root @ root.T / 12
    constant = 2 - float(theta @ hessian @ theta) / 2
    found = epsilon_sharpness(
        QuadraticObjective(hessian, constant=constant, theta=theta),
        epsilon=0.05,
        subspace_dim=6,
        distribution=distribution,
        seed=seed,
    )
    a = dense(theta, 6, distribution=distribution, seed=seed)
    width = 0.05 * (np.abs(np.linalg.pinv(a) @ theta.numpy()) + 1)
    corners = np.array(list(product([-1.0, 1.0], repeat=6))) * width
    places = theta.numpy() + corners @ a.T
    highest = (constant + np.einsum("ki,ki->k", places @ hessian.numpy(), places) / 2).max()
    assert found.worst_loss == pytest.approx(highest, rel=1e-9)
    assert float(found) == pytest.approx(100 * (highest - 2) / 3, rel=1e-8)
    np.testing.assert_allclose(found.coordinates.abs(), width, rtol=1e-7)
    np.testing.assert_allclose(found.perturbation, a @ found.coordinates.numpy(), rtol=1e-12, atol=1e-14)
    assert found.subspace_dim == 6 and found.share_at_bound == 1


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("dim", [1, 4, 15])
def test_published_search_equals_scipy_on_the_dense_matrix(distribution: str, dim: int) -> None:
    def loss(t: torch.Tensor) -> torch.Tensor:
        return (1 + torch.tanh(t + 0.3)).sum() + (t[1:] * t[:-1]).sum().square() / 10

    theta = normal(15)
    a = dense(theta, dim, distribution=distribution, seed=2)
    width = 0.05 * (np.abs(np.linalg.pinv(a) @ theta.numpy()) + 1)
    seen: list[float] = []

    def descend(z: Array) -> tuple[float, Array]:
        place = torch.from_numpy(theta.numpy() + a @ z).requires_grad_()
        value = loss(place)
        value.backward()
        seen.append(value.item())
        return -seen[-1], -a.T @ place.grad.numpy()

    options = {"maxiter": 10, "maxcor": 10, "ftol": 0, "gtol": 0}
    bounds = list(zip(-width, width, strict=True))
    minimize(descend, np.zeros(dim), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    found = epsilon_sharpness(
        FunctionObjective(loss, theta),
        epsilon=0.05,
        subspace_dim=dim,
        method="paper",
        distribution=distribution,
        seed=2,
    )
    assert float(found) == pytest.approx(100 * (max(seen) - seen[0]) / (1 + seen[0]), rel=1e-7)


def test_one_direction_is_a_line_search() -> None:
    theta = normal(8)
    a = dense(theta, 1, seed=3)[:, 0]
    width = 0.1 * (abs(a @ theta.numpy() / (a @ a)) + 1)
    found = epsilon_sharpness(
        QuadraticObjective([1.0] * 8, constant=1.0, theta=theta), epsilon=0.1, subspace_dim=1, seed=3
    )
    ends = [1 + 0.5 * ((theta.numpy() + sign * width * a) ** 2).sum() for sign in (-1, 1)]
    assert found.worst_loss == pytest.approx(max(ends), rel=1e-12)


def test_more_columns_than_weights_are_refused() -> None:
    objective = QuadraticObjective([1.0, 2.0, 3.0])
    assert epsilon_sharpness(objective, subspace_dim=3).subspace_dim == 3
    with pytest.raises(ValueError, match=r"`subspace_dim` must be at most the 3 weights, got 4\."):
        epsilon_sharpness(objective, subspace_dim=4)
    with pytest.raises(ValueError, match=r"`subspace_dim` must be at least 1, got 0\."):
        epsilon_sharpness(objective, subspace_dim=0)
    with pytest.raises(TypeError, match=r"`subspace_dim` must be an int, got float\."):
        epsilon_sharpness(objective, subspace_dim=2.0)
    with pytest.raises(ValueError, match=r"`distribution` must be one of 'normal', .*, got 'gauss'\."):
        epsilon_sharpness(objective, subspace_dim=2, distribution="gauss")
