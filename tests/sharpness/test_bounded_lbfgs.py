"""The bounded L-BFGS against dense matrices, known minima and SciPy."""

from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.objective.objective import Objective
from flatmin.sharpness import cauchy_point as cauchy_module
from flatmin.sharpness import limited_memory
from flatmin.sharpness.bounded_lbfgs import bounded_lbfgs, clipped, subspace_minimiser
from flatmin.sharpness.cauchy_point import CauchyPoint, cauchy_point
from flatmin.sharpness.limited_memory import LimitedMemory

Array = NDArray[np.float64]
Function = Callable[[Tensor], tuple[float, Tensor]]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(size: int, seed: int, *, convex: bool) -> Tensor:
    basis = torch.linalg.qr(normal(size, size, seed=seed))[0]
    values = normal(size, seed=seed + 1) * 10 ** (2 * torch.sin(normal(size, seed=seed + 2)) - 1)
    return basis * (values.abs() if convex else values) @ basis.T


def filled(size: int, pairs: int, *, seed: int, corrections: int = 10, dtype: torch.dtype = torch.float64) -> Any:
    """A memory of pairs of a convex quadratic, and its matrix by the recursion of BFGS in plain numpy."""
    hessian, steps = symmetric(size, seed, convex=True), normal(pairs, size, seed=seed + 3)
    memory = LimitedMemory(torch.zeros(size, dtype=dtype), corrections)
    changes = steps @ hessian
    for step, change in zip(steps.to(dtype), changes.to(dtype), strict=True):
        memory.append(step, change)
    s, y = steps.numpy()[-corrections:], changes.numpy()[-corrections:]
    matrix = np.eye(size) * (y[-1] @ y[-1]) / (s[-1] @ y[-1])
    for a, b in zip(s, y, strict=True):
        moved = matrix @ a
        matrix += np.outer(b, b) / (a @ b) - np.outer(moved, moved) / (a @ moved)
    return memory, matrix


def dense(memory: LimitedMemory) -> Array:
    columns = memory.columns.double().numpy()
    kernel: Array = memory.kernel.numpy()
    return memory.theta * np.eye(len(columns)) - columns @ kernel @ columns.T


@pytest.mark.parametrize("pairs", [1, 3, 10, 14])
@pytest.mark.parametrize("seed", range(3))
def test_the_compact_matrix_is_that_of_the_recursion(pairs: int, seed: int) -> None:
    memory, matrix = filled(30, pairs, seed=seed)
    assert len(memory) == min(pairs, 10)
    np.testing.assert_allclose(dense(memory), matrix, atol=1e-7 * np.abs(matrix).max())
    single, _ = filled(30, pairs, seed=seed, dtype=torch.float32)
    assert single.columns.dtype == torch.float32 and single.kernel.dtype == torch.float64


def test_before_the_first_pair_and_after_forgetting_it_is_the_identity() -> None:
    memory, _ = filled(8, 3, seed=0)
    for identity in (LimitedMemory(normal(8), 4), memory):
        if identity is memory:
            identity.forget()
        assert len(identity) == 0
        np.testing.assert_array_equal(dense(identity), np.eye(8))


def test_a_pair_of_falling_slope_is_forgotten_with_all_others() -> None:
    memory, _ = filled(8, 3, seed=0)
    memory.append(normal(8, seed=1), -normal(8, seed=1))
    assert len(memory) == 0 and memory.theta == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("pairs", [1, 4, 12])
def test_direction_solves_the_matrix_of_the_free_coordinates(
    share: float, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_memory, "CPU_BLOCK_ROWS", 7)
    memory, matrix = filled(40, pairs, seed=pairs)
    free = torch.rand(40, generator=torch.Generator().manual_seed(1)) >= share
    free[3] = True
    residual = normal(40, seed=9) * free
    found = memory.direction(residual, free).numpy()
    chosen = np.flatnonzero(free.numpy())
    expected = np.zeros(40)
    expected[chosen] = -np.linalg.solve(matrix[np.ix_(chosen, chosen)], residual.numpy()[chosen])
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


def walked_densely(x: Array, gradient: Array, width: Array, matrix: Array) -> Array:
    """The first local minimiser along the projected path, segment by segment with full matrix products."""
    with np.errstate(divide="ignore"):
        times = (width + x * np.sign(gradient)) / np.abs(gradient)
    edges = [0.0, *sorted(set(times[times > 0]))]
    for begin, end in pairwise(edges):
        z = np.clip(x - begin * gradient, -width, width) - x
        direction = np.where(times > begin, -gradient, 0)
        slope = gradient @ direction + direction @ matrix @ z
        ahead = max(0.0, -slope / (direction @ matrix @ direction))
        if ahead < end - begin:
            return z + x + ahead * direction
    return np.clip(x - edges[-1] * gradient, -width, width)


def on_a_path(seed: int, reach: float) -> tuple[LimitedMemory, Array, list[Tensor]]:
    """A memory, its matrix, and x, gradient and half-width of a box that is wide or narrow."""
    memory, matrix = filled(60, 6, seed=seed)
    width = reach * (normal(60, seed=seed + 5).abs() + 0.1)
    gradient = normal(60, seed=seed + 7)
    gradient[::9] = 0
    return memory, matrix, [clipped(0.7 * reach * normal(60, seed=seed + 6), width), gradient, width]


@pytest.mark.parametrize("reach", [0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_cauchy_point_is_the_first_minimiser_on_the_path(reach: float, seed: int) -> None:
    memory, matrix, place = on_a_path(seed, reach)
    found = cauchy_point(*place, memory)
    assert found is not None
    np.testing.assert_allclose(found.x, walked_densely(*(v.numpy() for v in place), matrix), atol=1e-9 * reach)
    np.testing.assert_allclose(found.products, memory.columns.T @ (found.x - place[0]), atol=1e-8 * (1 + reach))


@pytest.mark.parametrize("reach", [0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_cauchy_point_is_a_minimiser_on_the_path_where_few_breakpoints_are_walked(
    reach: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cauchy_module, "WALKED", 3)
    memory, matrix, place = on_a_path(seed, reach)
    found = cauchy_point(*place, memory)
    assert found is not None
    np.testing.assert_allclose(found.products, memory.columns.T @ (found.x - place[0]), atol=1e-8 * (1 + reach))
    x, gradient, width = (v.numpy() for v in place)
    free = (np.abs(found.x.numpy()) < width) & (gradient != 0)
    assert free.any()
    t = ((x - found.x.numpy())[free] / gradient[free]).mean()
    steps = [np.clip(x - s * gradient, -width, width) - x for s in (t, t * (1 - 1e-4), t * (1 + 1e-4))]
    here, before, after = (gradient @ z + z @ matrix @ z / 2 for z in steps)
    assert here < min(before, after)


@pytest.mark.parametrize("chunk", [3, 1 << 15])
def test_cauchy_point_with_all_breakpoints_at_once(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cauchy_module, "WALKED", chunk)
    memory, matrix = filled(20, 3, seed=1)
    for width in (1e-3, 10.0):
        x, gradient, box = torch.zeros(20).double(), torch.ones(20).double(), torch.full((20,), width).double()
        found = cauchy_point(x, gradient, box, memory)
        assert found is not None
        expected = walked_densely(x.numpy(), gradient.numpy(), box.numpy(), matrix)
        np.testing.assert_allclose(found.x, expected, rtol=1e-9)


def test_no_cauchy_point_where_nothing_can_go_down() -> None:
    memory, width = LimitedMemory(normal(4), 2), torch.ones(4).double()
    corner = torch.tensor([1.0, -1.0, 1.0, 0.2]).double()
    outward = torch.tensor([-2.0, 3.0, -0.1, 0.0]).double()
    assert cauchy_point(corner, outward, width, memory) is None
    assert cauchy_point(corner, -outward, width, memory) is not None


@pytest.mark.parametrize("seed", range(6))
def test_subspace_minimiser_is_the_projected_newton_point_or_downhill(seed: int) -> None:
    memory, matrix = filled(30, 8, seed=seed)
    width = 0.3 * normal(30, seed=seed + 1).abs() + 0.05
    x = clipped(0.3 * normal(30, seed=seed + 2), width)
    gradient = normal(30, seed=seed + 3)
    cauchy = cauchy_point(x, gradient, width, memory)
    assert cauchy is not None
    found = subspace_minimiser(x, gradient, width, memory, cauchy)
    free = np.flatnonzero((cauchy.x.abs() < width).numpy())
    residual = (gradient.numpy() + matrix @ (cauchy.x - x).numpy())[free]
    newton = cauchy.x.numpy().copy()
    newton[free] -= np.linalg.solve(matrix[np.ix_(free, free)], residual)
    projected = np.clip(newton, -width.numpy(), width.numpy())
    if (projected - x.numpy()) @ gradient.numpy() <= 0:
        np.testing.assert_allclose(found, projected, atol=1e-8)
    assert (found - x) @ gradient < 0 and (found.abs() <= width).all()


def test_subspace_step_is_cut_short_where_its_projection_goes_uphill() -> None:
    """A gradient of all but nothing at the corner that the projection of the step moves away from."""
    memory, matrix = filled(2, 2, seed=12)
    hits = 0
    for seed in range(400):
        x, gradient = normal(2, seed=seed), normal(2, seed=seed + 1000)
        width = x.abs() + 0.5 * normal(2, seed=seed + 2000).abs()
        cauchy = CauchyPoint(x, torch.zeros(20).double())
        newton = -np.linalg.solve(matrix, gradient.numpy())
        projected = np.clip(x.numpy() + newton, -width.numpy(), width.numpy())
        found = subspace_minimiser(x, gradient, width, memory, cauchy)
        if (projected - x.numpy()) @ gradient.numpy() <= 0:
            np.testing.assert_allclose(found, projected, atol=1e-9)
            continue
        hits += 1
        room = np.where(newton > 0, width.numpy() - x.numpy(), width.numpy() + x.numpy()) / np.abs(newton)
        np.testing.assert_allclose(found, x.numpy() + min(1, room.min()) * newton, atol=1e-9)
    assert hits


def autograd(function: Callable[[Tensor], Tensor]) -> Function:
    def value_and_gradient(x: Tensor) -> tuple[float, Tensor]:
        leaf = x.detach().clone().requires_grad_()
        value = function(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient

    return value_and_gradient


def quadratic(size: int, seed: int, *, convex: bool) -> Function:
    hessian, linear = symmetric(size, seed, convex=convex), normal(size, seed=seed + 4)
    return autograd(lambda x: linear @ x + x @ hessian @ x / 2)


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def scipy_values(function: Function, start: Tensor, width: Tensor, *, iterations: int) -> tuple[list[float], Any]:
    """All values that SciPy's L-BFGS-B asks for, and its result."""
    values: list[float] = []

    def recorded(x: Array) -> tuple[float, Array]:
        value, gradient = function(torch.from_numpy(x).to(start))
        values.append(value)
        return value, gradient.double().numpy()

    limit = width.double().numpy()
    options = {"maxiter": iterations, "maxcor": 10, "ftol": 0, "gtol": 0}
    bounds = list(zip(-limit, limit, strict=True))
    found = minimize(recorded, start.double().numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return values, found


def our_values(function: Function, start: Tensor, width: Tensor, *, iterations: int) -> tuple[list[float], list[float]]:
    """All values asked for, and those after each iteration."""
    values: list[float] = []

    def recorded(x: Tensor) -> tuple[float, Tensor]:
        assert (x.abs() <= width).all() and x.dtype == width.dtype
        found = function(x)
        values.append(found[0])
        return found

    return values, list(islice(bounded_lbfgs(recorded, start, width), iterations))


PROBLEMS = {
    "convex": lambda size, seed: quadratic(size, seed, convex=True),
    "indefinite": lambda size, seed: quadratic(size, seed, convex=False),
    "rosenbrock": lambda size, seed: autograd(rosenbrock),
    "waves": lambda size, seed: autograd(lambda x: (torch.sin(7 * x) + x.cumsum(0) ** 2 / 5).sum()),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("size", [2, 12, 200])
@pytest.mark.parametrize("seed", range(3))
def test_ten_iterations_are_scipys_evaluation_by_evaluation(name: str, size: int, seed: int) -> None:
    function, width = PROBLEMS[name](size, seed), torch.rand(size, generator=torch.Generator().manual_seed(seed)) + 0.2
    width, start = width.double(), 0.2 * torch.sin(normal(size, seed=seed))
    theirs, _ = scipy_values(function, start, width, iterations=10)
    ours, ends = our_values(function, start, width, iterations=10)
    spread = max(theirs) - min(theirs)
    until_rounding = next(k for k, value in enumerate(theirs, 1) if value < min(theirs) + 1e-12 * spread)
    assert until_rounding > 1
    assert ours[:until_rounding] == pytest.approx(theirs[:until_rounding], rel=1e-7, abs=1e-9 * spread)
    assert all(later <= earlier for earlier, later in pairwise(ends))


@pytest.mark.parametrize("size", [3, 50, 400])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_separable_convex_quadratic_ends_at_the_known_minimum(size: int, dtype: torch.dtype) -> None:
    curvature = 10 ** (torch.sin(3 * normal(size, seed=1)))
    center, width = 2 * normal(size, seed=2), normal(size, seed=3).abs() + 0.5
    curvature, center, width = curvature.to(dtype), center.to(dtype), width.to(dtype)
    function = autograd(lambda x: (curvature * (x - center) ** 2).sum() / 2)
    _, ends = our_values(function, torch.zeros_like(width), width, iterations=200)
    best = clipped(center, width)
    known = float((curvature * (best - center) ** 2).sum() / 2)
    assert ends[-1] == pytest.approx(known, rel=1e-6 if dtype == torch.float32 else 1e-12)
    assert len(ends) < 100


def test_rosenbrock_ends_at_its_minimum() -> None:
    """All ones inside the box; with the box up to 1/2, the last coordinate 1/4 and the others by hand."""
    wide = torch.full((2,), 2.0).double()
    assert our_values(autograd(rosenbrock), -0.5 * wide, wide, iterations=200)[1][-1] == pytest.approx(0, abs=1e-18)
    narrow = torch.full((2,), 0.5).double()
    ends = our_values(autograd(rosenbrock), torch.zeros(2).double(), narrow, iterations=200)[1]
    assert ends[-1] == pytest.approx(0.25, rel=1e-12)  # x = 1/2, y = 1/4


def test_it_ends_at_once_where_the_gradient_holds_every_coordinate() -> None:
    width = torch.ones(3).double()
    values, ends = our_values(autograd(lambda x: -x.sum()), width, width, iterations=10)
    assert (values, ends) == ([-3.0], [])
    assert our_values(autograd(lambda x: (x**2).sum()), 0 * width, width, iterations=10) == ([0.0], [])


def test_wrong_gradients_end_in_a_failed_line_search() -> None:
    width = torch.ones(5).double()
    values, ends = our_values(lambda x: (float(x.sum()), -torch.ones_like(x)), 0 * width, width, iterations=10)
    assert ends == [] and len(values) == 21


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-2])
@pytest.mark.parametrize("halfway", [0.0, 0.5])
def test_single_precision_climbs_a_network_as_high_as_scipy(batch_norm: str, epsilon: float, halfway: float) -> None:
    """33,000 weights: more breakpoints than are walked at once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(60, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 70), nn.ReLU())
        network.append(nn.Linear(70, 5))
        inputs, targets = torch.randn(100, 60), torch.randint(5, (100,))
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(30):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), targets).backward()
            optimizer.step()
    loss = Objective(network, F.cross_entropy, [(inputs, targets)], batch_norm=batch_norm)
    theta, gradient = loss.theta, loss.gradient()

    def descend(z: Tensor) -> tuple[float, Tensor]:
        value, slope = loss.value_and_gradient(theta + z)
        return -value.item(), -slope

    width = epsilon * (theta.abs() + 1)
    start = halfway * width * gradient.sign()
    theirs, found = scipy_values(descend, start, width, iterations=10)
    ours, ends = our_values(descend, start, width, iterations=10)
    assert min(ours) == pytest.approx(min(theirs), rel=1e-3)
    assert len(ends) == found.nit and abs(len(ours) - len(theirs)) <= 2
