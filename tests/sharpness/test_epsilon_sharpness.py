"""What holds for every loss: laws of the measure, what it reports, and what it must leave alone."""

import copy
import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.objective.objective import Objective
from flatmin.sharpness import METHODS, epsilon_sharpness

Array = NDArray[np.float64]
Build = Callable[..., Any]
LADDER = [1e-4, 1e-3, 5e-3, 0.05, 0.5]


def double(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
@pytest.mark.parametrize("epsilon", [1e-3, 0.05])
def test_published_search_equals_scipy_at_each_evaluation(
    objective: Build, recording: Build, batch_norm: str, epsilon: float
) -> None:
    loss = recording(objective(5, batch_norm=batch_norm))
    theta = loss.theta.numpy()
    seen: list[float] = []

    def descend(z: Array) -> tuple[float, Array]:
        value, gradient = loss.inner.value_and_gradient(torch.from_numpy(theta + z))
        seen.append(float(value))
        return -seen[-1], -gradient.numpy()

    width = epsilon * (np.abs(theta) + 1)
    options = {"maxiter": 10, "maxcor": 10, "ftol": 0, "gtol": 0}
    bounds = list(zip(-width, width, strict=True))
    minimize(descend, np.zeros(len(theta)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    found = epsilon_sharpness(loss, epsilon=epsilon, method="paper")
    until_rounding = next(k for k, value in enumerate(seen, 1) if value > max(seen) * (1 - 1e-13))
    assert until_rounding >= 2
    assert loss.values[1 : 1 + until_rounding] == pytest.approx(seen[:until_rounding], rel=1e-10)
    assert float(found) == pytest.approx(100 * (max(seen) - seen[0]) / (1 + seen[0]), rel=1e-8)
    assert math.isnan(found.spread) and len(found.climbs) == 1


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
@pytest.mark.parametrize("dim", [None, 7])
@pytest.mark.parametrize("seed", range(3))
def test_strong_is_never_below_the_published_search(objective: Build, batch_norm: str, dim: int, seed: int) -> None:
    loss = objective(seed=seed, batch_norm=batch_norm)
    paper, strong = (
        epsilon_sharpness(loss, epsilon=0.01, subspace_dim=dim, seed=seed, method=method) for method in METHODS
    )
    assert strong.worst_loss >= paper.worst_loss > paper.base_loss
    assert strong.climbs[0] == paper.climbs[0]


def test_one_seed_gives_one_answer_and_the_global_generators_are_left_alone(objective: Build) -> None:
    loss = objective(batch_norm="batch")
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first, again = (epsilon_sharpness(loss, subspace_dim=6, seed=5) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert first.to_record() == again.to_record()
    assert torch.equal(first.coordinates, again.coordinates) and torch.equal(first.perturbation, again.perturbation)
    assert float(epsilon_sharpness(loss, subspace_dim=6, seed=6)) != float(first)


def rosenbrock(t: Tensor) -> Tensor:
    return (100 * (t[1:] - t[:-1] ** 2) ** 2 + (1 - t[:-1]) ** 2).sum()


FUNCTIONS = {
    "bowl": QuadraticObjective([3.0, 0.1, 1e-4, 2.0]),
    "saddle": QuadraticObjective([3.0, -5.0, 1e-2, -0.1]),
    "valley": FunctionObjective(rosenbrock, torch.ones(4, dtype=torch.float64)),
    "waves": FunctionObjective(lambda t: 3 + torch.sin(5 * t).sum(), double(0.2, -0.4, 0.9)),
    "kink": FunctionObjective(lambda t: t.abs().sum() + t.prod(), torch.zeros(3, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_larger_box_is_no_flatter(name: str) -> None:
    found = [float(epsilon_sharpness(FUNCTIONS[name], epsilon=epsilon)) for epsilon in LADDER]
    assert found[0] > 0
    assert all(larger >= smaller * (1 - 1e-12) for smaller, larger in pairwise(found))


@pytest.mark.parametrize("options", [{"with_batch_norm": False}, {"batch_norm": "running"}, {"batch_norm": "batch"}])
@pytest.mark.parametrize("seed", range(2))
def test_a_larger_box_is_no_flatter_on_networks(objective: Build, options: dict[str, Any], seed: int) -> None:
    loss = objective(seed=seed, **options)
    found = [float(epsilon_sharpness(loss, epsilon=epsilon, seed=seed)) for epsilon in LADDER]
    assert all(larger > smaller > 0 for smaller, larger in pairwise(found))


@pytest.mark.parametrize("dim", [None, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_started_from_the_smaller_box_the_loss_cannot_fall(objective: Build, dim: int, dtype: torch.dtype) -> None:
    loss, starts, worst = objective(batch_norm="batch", dtype=dtype), [], -math.inf
    for epsilon in (1e-3, 1.0001e-3, 0.3):
        found = epsilon_sharpness(loss, epsilon=epsilon, subspace_dim=dim, starts=starts)
        assert found.worst_loss >= worst
        worst = found.worst_loss
        starts.append(found.coordinates)


def test_a_given_start_is_used_and_moved_into_the_box() -> None:
    def spike(t: Tensor) -> Tensor:
        return 1 + torch.exp(-1e6 * ((t - 0.0321) ** 2).sum())

    needle = FunctionObjective(spike, torch.zeros(40, dtype=torch.float64))
    start = torch.full((40,), 0.0321)
    assert float(epsilon_sharpness(needle, epsilon=0.1)) == 0
    assert float(epsilon_sharpness(needle, epsilon=0.1, starts=[start])) == pytest.approx(50, rel=1e-3)
    edge = FunctionObjective(lambda t: 1 + torch.exp(-1e6 * ((t - 0.1) ** 2).sum()), torch.zeros(40).double())
    assert float(epsilon_sharpness(edge, epsilon=0.1, starts=[100 * start])) == pytest.approx(50, rel=1e-6)


@pytest.mark.parametrize(
    "options", [{"with_batch_norm": False}, {"batch_norm": "running"}, {"batch_norm": "reestimate"}]
)
def test_the_cut_into_batches_does_not_matter(objective: Build, options: dict[str, Any]) -> None:
    both = [objective(*edges, **options) for edges in [(), (1, 4, 11)]]
    whole, uneven = (epsilon_sharpness(one, epsilon=0.01) for one in both)
    assert float(uneven) == pytest.approx(float(whole), rel=0.01)  # rounding can lead a search to another maximum
    for found in (whole, uneven):
        losses = [float(one.value(one.theta + found.perturbation)) for one in both]
        assert losses == pytest.approx([found.worst_loss] * 2, rel=1e-6)
    published = [float(epsilon_sharpness(one, epsilon=0.01, method="paper")) for one in both]
    assert published[1] == pytest.approx(published[0], rel=1e-6)
    assert whole.batch_norm == uneven.batch_norm == options.get("batch_norm")  # None without such layers


def test_the_cut_matters_with_statistics_of_the_batch(objective: Build) -> None:
    whole, uneven = (epsilon_sharpness(objective(*edges, batch_norm="batch"), epsilon=0.01) for edges in [(), (4, 11)])
    assert abs(float(uneven) / float(whole) - 1) > 0.01
    assert whole.to_record()["batch_norm"] == "batch"


def test_the_network_is_left_as_it_is(network: Build, data: tuple[Tensor, Tensor]) -> None:
    model = network()
    before = copy.deepcopy(model)
    gradients = [p.grad.clone() for p in model.parameters()]
    for reading in ("running", "batch", "reestimate"):
        loss = Objective(model, F.cross_entropy, [data], batch_norm=reading)
        theta = loss.theta
        epsilon_sharpness(loss, subspace_dim=4)
        assert torch.equal(loss.theta, theta)
    assert model.training and all(map(torch.equal, model.state_dict().values(), before.state_dict().values()))
    assert all(torch.equal(p.grad, g) and p.requires_grad for p, g in zip(model.parameters(), gradients, strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dim", [None, 6])
def test_what_is_reported_can_be_recomputed(objective: Build, method: str, dim: int) -> None:
    loss = objective(batch_norm="batch")
    found = epsilon_sharpness(loss, epsilon=0.05, method=method, subspace_dim=dim, seed=1)
    assert found.base_loss == float(loss.value())
    assert found.worst_loss == float(loss.value(loss.theta + found.perturbation))
    assert float(found) == found.sharpness == 100 * (found.worst_loss - found.base_loss) / (1 + found.base_loss)
    assert found.perturbation_norm == pytest.approx(sum(x**2 for x in found.perturbation.tolist()) ** 0.5)
    assert found.perturbation.shape == (loss.size,) and found.coordinates.shape == (dim or loss.size,)
    assert max(found.climbs) <= found.worst_loss
    if dim is None:
        width = 0.05 * (loss.theta.abs() + 1)
        reached = [abs(z) > w * (1 - 1e-9) for z, w in zip(found.coordinates.tolist(), width.tolist(), strict=True)]
        assert found.share_at_bound == sum(reached) / len(reached) > 0
        assert (found.coordinates.abs() <= width).all()
    record = found.to_record()
    assert repr(json.loads(json.dumps(record))) == repr(record)
    assert "perturbation" not in record and record["method"] == method and record["subspace_dim"] == dim


def test_evaluations_are_counted(objective: Build, recording: Build) -> None:
    for method in METHODS:
        loss = recording(objective())
        found = epsilon_sharpness(loss, method=method)
        assert found.evaluations == len(loss.values)
        assert found.batch_norm is None
        assert float(found) == float(epsilon_sharpness(objective(), method=method))


def test_another_point_than_the_models_own(objective: Build) -> None:
    loss = objective()
    elsewhere = (loss.theta + 0.3).requires_grad_()
    found = epsilon_sharpness(loss, theta=elsewhere, epsilon=0.01)
    assert found.base_loss == float(loss.value(elsewhere))
    assert not found.perturbation.requires_grad
    shifted = QuadraticObjective([1.0, 4.0], constant=1.0, theta=double(1, 2))
    given = epsilon_sharpness(QuadraticObjective([1.0, 4.0], constant=1.0), theta=double(1, 2))
    assert given.to_record() == epsilon_sharpness(shifted).to_record()


@pytest.mark.parametrize("method", METHODS)
def test_it_works_under_autocast_and_inference_mode(objective: Build, method: str) -> None:
    loss = objective(dtype=torch.float32)
    expected = epsilon_sharpness(loss, subspace_dim=5, method=method)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = epsilon_sharpness(loss, subspace_dim=5, method=method)
    assert repr(found.to_record()) == repr(expected.to_record())


def walled(bad: float, wall: float = 0.05) -> Callable[[Tensor], Tensor]:
    """Rising with every coordinate, ``bad`` where the first one is beyond the wall."""

    def loss(t: Tensor) -> Tensor:
        return 1 + t.sum() if t[0] <= wall else 0 * t.sum() + bad

    return loss


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_holes_in_the_loss_are_passed_over(size: int, bad: float) -> None:
    holed = FunctionObjective(walled(bad), torch.zeros(size, dtype=torch.float64))
    found = epsilon_sharpness(holed, epsilon=0.1)
    highest = 100 * (0.05 + 0.1 * (size - 1)) / 2
    assert 0.5 * highest < float(found) <= highest * (1 + 1e-12)
    assert 0 < found.not_a_number < found.evaluations if math.isnan(bad) else found.not_a_number == 0
    assert all(map(math.isfinite, found.climbs)) and math.isfinite(found.spread)
    assert float(epsilon_sharpness(holed, epsilon=0.1, method="paper")) > 0
    assert epsilon_sharpness(FunctionObjective(walled(bad, wall=0.0), torch.zeros(2).double())).sharpness >= 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 3, 40])
def test_infinite_loss_is_an_infinite_sharpness(size: int, method: str) -> None:
    found = epsilon_sharpness(
        FunctionObjective(walled(math.inf), torch.zeros(size, dtype=torch.float64)), epsilon=0.1, method=method
    )
    assert float(found) == found.worst_loss == math.inf
    assert math.isnan(found.spread) and found.coordinates[0] > 0.05
    assert found.evaluations < 10  # nothing higher is left to look for


def test_infinite_slopes_are_survived() -> None:
    steep = FunctionObjective(lambda t: t.abs().sqrt().sum(), torch.zeros(3, dtype=torch.float64))
    assert float(epsilon_sharpness(steep, epsilon=0.1)) == pytest.approx(100 * 3 * 0.1**0.5, rel=1e-9)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, -1.0, -2.0])
def test_the_loss_at_theta_must_make_sense(loss: float) -> None:
    broken = FunctionObjective(lambda t: 0 * t.sum() + loss, torch.zeros(2))
    with pytest.raises(RuntimeError, match=rf"loss at theta must be finite and above -1, got {loss}"):
        epsilon_sharpness(broken)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"epsilon": 0.0}, ValueError, r"`epsilon` must be positive, got 0\.0\."),
        ({"epsilon": math.inf}, ValueError, r"`epsilon` must be finite, got inf\."),
        ({"epsilon": "1e-3"}, TypeError, r"`epsilon` must be a number, got str\."),
        ({"method": "robust"}, ValueError, r"`method` must be one of 'paper', 'strong', got 'robust'\."),
        ({"seed": -1}, ValueError, r"`seed` must be at least 0, got -1\."),
        ({"seed": 0.5}, TypeError, r"`seed` must be an int, got float\."),
        ({"theta": torch.zeros(3)}, ValueError, r"`theta` must have shape \(2,\), got \(3,\)\."),
        ({"starts": [torch.zeros(3)]}, ValueError, r"`starts` must hold vectors of shape \(2,\), got \(3,\)\."),
        ({"distribution": "gauss"}, ValueError, r"`distribution` must be one of .*, got 'gauss'\."),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        epsilon_sharpness(QuadraticObjective([1.0, 2.0]), **options)


def test_rescaling_a_relu_network_keeps_the_loss_and_moves_the_sharpness(data: tuple[Tensor, Tensor]) -> None:
    """The box has an absolute part, so the measure is not invariant: Dinh et al. (2017)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    found = {}
    for scale in (1e-2, 1.0, 1e2):
        scaled = copy.deepcopy(model)
        with torch.no_grad():
            scaled[0].weight *= scale
            scaled[0].bias *= scale
            scaled[2].weight /= scale
        found[scale] = epsilon_sharpness(Objective(scaled, F.cross_entropy, [data], dtype=torch.float64))
    assert found[1e-2].base_loss == pytest.approx(found[1.0].base_loss, rel=1e-12)
    assert found[1e2].base_loss == pytest.approx(found[1.0].base_loss, rel=1e-12)
    assert float(found[1e-2]) > 5 * float(found[1.0]) and float(found[1e2]) > 5 * float(found[1.0])
