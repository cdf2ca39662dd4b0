"""How near the strong search comes to maxima that are known: by hand, by enumeration, on a grid."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness import epsilon_sharpness
from flatmin.sharpness.box import Box
from flatmin.sharpness.search import corner_steps
from flatmin.sharpness.subspace import FullSpace

Array = NDArray[np.float64]
EPSILON = 0.1


def rise(objective: Any, **options: Any) -> float:
    """The rise of the loss from the percentage, for a base loss of 1."""
    return float(epsilon_sharpness(objective, **{"epsilon": EPSILON, **options})) * 2 / 100


def quadratic(hessian: Array, slope: Array, theta: Array) -> QuadraticObjective:
    """Value 1, gradient ``slope`` and the given Hessian at ``theta``."""
    linear = slope - hessian @ theta
    constant = 1 - linear @ theta - theta @ hessian @ theta / 2
    tensors = [torch.from_numpy(array) for array in (hessian, linear, theta)]
    return QuadraticObjective(tensors[0], linear=tensors[1], theta=tensors[2], constant=float(constant))


def one_dimensional_maximum(h: float, slope: float, width: float) -> float:
    places = [-width, width]
    if h < 0 and abs(slope / h) < width:
        places.append(-slope / h)
    return max(slope * z + h * z * z / 2 for z in places)


@pytest.mark.parametrize("size", [1, 2, 6, 33, 100, 300])
@pytest.mark.parametrize(("slope", "seed"), [(0.0, 0), (0.01, 1), (0.3, 2)])
def test_separable_quadratic_equals_the_maximum_by_hand(size: int, slope: float, seed: int) -> None:
    rng = np.random.default_rng([size, seed])
    h = rng.standard_normal(size) * 10 ** rng.uniform(-3, 1, size)
    theta, b = 2 * rng.standard_normal(size), slope * rng.standard_normal(size)
    for signed in (h, np.abs(h), -np.abs(h)):
        exact = sum(map(one_dimensional_maximum, signed, b, EPSILON * (np.abs(theta) + 1)))
        assert rise(quadratic(np.diag(signed), b, theta), seed=seed) == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("size", [2, 10, 100, 300])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_stationary_point_does_not_hold_the_search(size: int, seed: int) -> None:
    h = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    exact = 0.5 * EPSILON**2 * float(h.clamp(min=0).sum())
    assert rise(QuadraticObjective(h, constant=1.0), seed=seed) == pytest.approx(exact, rel=1e-9)
    assert rise(QuadraticObjective(h, constant=1.0), method="paper") == 0
    assert rise(QuadraticObjective(-h.abs(), constant=1.0), seed=seed) == 0


@pytest.mark.parametrize("seed", range(3))
def test_corner_steps_alone_climb_a_saddle(seed: int) -> None:
    """A whole step turns the falling coordinates over, which gains nothing: half a step takes them to zero."""
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(300, generator=generator, dtype=torch.float64)
    saddle = QuadraticObjective(h, constant=1.0)
    box = Box(saddle, FullSpace(saddle.theta), saddle.theta, EPSILON, base_loss=1.0)
    start = EPSILON * (2 * torch.randint(2, (300,), generator=generator) - 1).double()
    climb = corner_steps(box, start, generator)
    assert climb.loss - 1 == pytest.approx(0.5 * EPSILON**2 * float(h.clamp(min=0).sum()), rel=1e-3)


def test_the_loss_is_climbed_with_its_own_gradient() -> None:
    h, theta = torch.tensor([3.0, 1.0, 0.5]), torch.tensor([1.0, -2.0, 0.5])
    bowl = QuadraticObjective(h, theta=theta)  # farthest from the origin: each |x| grows by epsilon (|x| + 1)
    base = 0.5 * (3 + 4 + 0.125)
    highest = 0.5 * (3 * 1.2**2 + 2.3**2 + 0.5 * 0.65**2)
    for method in ("paper", "strong"):
        found = epsilon_sharpness(bowl, epsilon=EPSILON, method=method)
        assert found.worst_loss == pytest.approx(highest, rel=1e-12)
        assert float(found) == pytest.approx(100 * (highest - base) / (1 + base), rel=1e-12)
        assert found.coordinates.tolist() == pytest.approx([0.2, -0.3, 0.15], rel=1e-12)
        assert found.share_at_bound == 1
        assert found.perturbation_norm == pytest.approx((0.04 + 0.09 + 0.0225) ** 0.5, rel=1e-12)


def highest_of_all_faces(hessian: Array, slope: Array, width: Array) -> float:
    """A quadratic over a box is highest inside a face on which it is concave; here are all 3^n faces."""
    highest = 0.0
    for free in map(np.array, product([False, True], repeat=len(slope))):
        fixed = ~free
        z = np.zeros((2 ** int(fixed.sum()), len(slope)))
        z[:, fixed] = np.array(list(product([-1.0, 1.0], repeat=int(fixed.sum())))).reshape(len(z), -1) * width[fixed]
        if free.any():
            block = hessian[np.ix_(free, free)]
            if np.linalg.eigvalsh(block)[-1] >= 0:
                continue
            z[:, free] = -np.linalg.solve(block, (slope[free] + z[:, fixed] @ hessian[np.ix_(fixed, free)]).T).T
            z = z[(np.abs(z[:, free]) <= width[free]).all(1)]
        highest = max(highest, (z @ slope + np.einsum("ki,ki->k", z @ hessian, z) / 2).max(initial=0))
    return highest


@pytest.mark.parametrize("seed", range(24))
def test_rotated_indefinite_quadratic_reaches_the_highest_of_all_faces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    spectrum = rng.standard_normal(10) * 10 ** rng.uniform(-1.5, 1, 10)
    hessian = rotation * spectrum @ rotation.T
    theta, slope = 2 * rng.standard_normal(10), (0.3 if seed % 2 else 0.0) * rng.standard_normal(10)
    highest = highest_of_all_faces(hessian, slope, EPSILON * (np.abs(theta) + 1))
    found = rise(quadratic(hessian, slope, theta), seed=seed)
    assert 0.99 * highest <= found <= highest * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_rotated_convex_quadratic_reaches_the_highest_corner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((10, 10)) * 10 ** rng.uniform(-1, 0.5, 10)
    hessian, theta = root @ root.T / 10, 2 * rng.standard_normal(10)
    slope = (0.3 if seed % 2 else 0.0) * rng.standard_normal(10)
    corners = np.array(list(product([-1.0, 1.0], repeat=10))) * EPSILON * (np.abs(theta) + 1)
    highest = (corners @ slope + np.einsum("ki,ki->k", corners @ hessian, corners) / 2).max()
    found = rise(quadratic(hessian, slope, theta), seed=seed)
    assert 0.99 * highest <= found <= highest * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_convex_quadratic_in_a_hundred_dimensions_is_near_the_best_of_a_thousand_climbs_or_its_spread_says_so(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((100, 20)) * 10 ** rng.uniform(-1, 0.5, 20)
    hessian, theta = root @ root.T / 100, 2 * rng.standard_normal(100)
    width = EPSILON * (np.abs(theta) + 1)
    corners = width * rng.choice([-1.0, 1.0], (1000, 100))
    for _ in range(60):
        corners = width * np.sign(corners @ hessian)
    best = np.einsum("ki,ki->k", corners @ hessian, corners).max() / 2
    objective = quadratic(hessian, np.zeros(100), theta)
    searches = [epsilon_sharpness(objective, epsilon=EPSILON, seed=start) for start in range(5)]
    shares = np.array([2 * float(found) / 100 / best for found in searches])
    assert np.median(shares) >= 0.995
    assert all(found.spread > 1 - share for found, share in zip(searches, shares, strict=True) if share < 0.995)


def two_weight_loss(weights: Tensor) -> Tensor:
    """Mean squared error of ``w2 tanh(w1 x)`` on six points; ``weights`` of shape (..., 2)."""
    x = torch.tensor([-2.0, -1.1, -0.3, 0.4, 1.3, 2.2], dtype=torch.float64)
    y = torch.tensor([-1.0, -0.9, -0.1, 0.6, 0.7, 0.2], dtype=torch.float64)
    return ((weights[..., 1:] * torch.tanh(weights[..., :1] * x) - y) ** 2).mean(-1)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("theta", [(0.0, 0.0), (0.87, 0.88), (-1.5, 2.0)])
def test_two_weight_network_is_at_least_what_a_dense_grid_finds(epsilon: float, theta: tuple[float, float]) -> None:
    point = torch.tensor(theta, dtype=torch.float64)
    axes = [value + epsilon * (abs(value) + 1) * torch.linspace(-1, 1, 401, dtype=torch.float64) for value in point]
    grid = two_weight_loss(torch.cartesian_prod(*axes)).max()
    for seed in range(3):
        found = epsilon_sharpness(FunctionObjective(two_weight_loss, point), epsilon=epsilon, seed=seed)
        assert found.worst_loss >= grid * (1 - 1e-12)
        inside = epsilon * (point.abs() + 1) * (1 + 1e-12)
        assert (found.perturbation.abs() <= inside).all()


@pytest.mark.parametrize("seed", range(3))
def test_many_local_maxima_in_two_dimensions(seed: int) -> None:
    def waves(t: Tensor) -> Tensor:
        return 2 + torch.sin(4 * t[..., 0]) * torch.cos(3 * t[..., 1]) + 0.3 * t[..., 0] - 0.1 * t[..., 1] ** 2

    point = torch.tensor([0.3, -0.4], dtype=torch.float64)
    axes = [value + 2.0 * (abs(value) + 1) * torch.linspace(-1, 1, 401, dtype=torch.float64) for value in point]
    found = epsilon_sharpness(FunctionObjective(waves, point), epsilon=2.0, seed=seed)
    assert found.worst_loss >= waves(torch.cartesian_prod(*axes)).max()
