"""What loss-landscapes 3.0.6 does that its user would not expect: one fault a test, shown by the points it visits."""

import copy
from importlib.metadata import files, requires, version

import loss_landscapes
import numpy as np
import pytest
import torch
from loss_landscapes.metrics import Loss, LossGradient
from loss_landscapes.model_interface.model_parameters import ModelParameters, rand_u_like
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from flatmin.core.vectors import cosine
from flatmin.landscapes import filter_normalized, linear_path, path_between, slice_path
from flatmin.objective.objective import Objective

pytestmark = pytest.mark.skipif(
    version("loss-landscapes") != "3.0.6", reason="the faults are those of loss-landscapes 3.0.6"
)


@pytest.fixture(autouse=True)
def own_random_numbers():
    """The package draws from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def visited(wrapper) -> np.ndarray:
    """A metric that reports where the package stands."""
    return parameters_to_vector(wrapper.get_module_parameters()).numpy().copy()


def network_at(theta) -> nn.Module:
    """A float64 network of 3 -> 4 -> 2 units with the given weights."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    vector_to_parameters(theta.clone(), network.parameters())
    return network


@pytest.fixture
def points():
    return [torch.randn(26, dtype=torch.float64) for _ in range(3)]


def plane_coordinates(points, steps):
    """Where ``planar_interpolation`` goes, in steps along the two sides: (steps, steps, 2)."""
    grid = loss_landscapes.planar_interpolation(*map(network_at, points), visited, steps=steps)
    sides = torch.stack([(points[1] - points[0]) / steps, (points[2] - points[0]) / steps], dim=1).numpy()
    offsets = (grid - points[0].numpy()).reshape(-1, 26).T
    return np.linalg.lstsq(sides, offsets, rcond=None)[0].T.reshape(steps, steps, 2)


@pytest.mark.parametrize(("distance", "span"), [(0.5, 2.0), (1, 1.0), (2, 0.5), (10, 0.1)])
def test_distance_is_inverted(points, distance, span):
    grid = loss_landscapes.random_plane(network_at(points[0]), visited, distance=distance, steps=10)
    step = np.linalg.norm(grid[0, 1] - grid[0, 0])
    assert 10 * step / float(points[0].norm()) == pytest.approx(span, rel=1e-9)


def test_rows_of_a_plane_are_out_of_step(points):
    columns = plane_coordinates(points, 20)[:, :, 1]
    for row, column in enumerate(columns):
        expected = np.arange(1, 21) if row % 2 == 0 else np.arange(20)
        np.testing.assert_allclose(column, expected, atol=1e-9)


def test_the_minimum_of_a_bowl_jumps_from_row_to_row(points):
    def bowl(wrapper):
        return float(np.sum((visited(wrapper) - points[0].numpy()) ** 2))

    losses = loss_landscapes.random_plane(network_at(points[0]), bowl, steps=20)
    assert losses[9:12].argmin(axis=1).tolist() == [10, 9, 10]


def test_at_the_edge_of_a_bowl_rows_jump_twice_as_far_as_on_a_true_grid(points):
    def bowl(wrapper):
        return float(np.sum((visited(wrapper) - points[0].numpy()) ** 2))

    side = 20 * torch.eye(26, dtype=torch.float64)
    corner = points[0] - (side[0] + side[1]) / 2
    corners = map(network_at, (corner, corner + side[0], corner + side[1]))
    theirs = loss_landscapes.planar_interpolation(*corners, bowl, steps=20)
    steps = np.arange(-10, 10)
    true = steps[:, None] ** 2 + steps**2
    jumps = [np.abs(np.diff(grid, axis=0)).max() / np.ptp(grid) for grid in (theirs, true)]
    assert jumps == pytest.approx([0.19, 0.095], rel=1e-9)


def test_with_odd_steps_the_model_itself_is_never_evaluated(points):
    grid = loss_landscapes.random_plane(network_at(points[0]), visited, steps=9)
    gaps = np.linalg.norm(grid - points[0].numpy(), axis=2)
    step = np.linalg.norm(grid[0, 1] - grid[0, 0])
    assert gaps.min() > 0.5 * step


def test_a_line_never_contains_its_start(points):
    line = loss_landscapes.linear_interpolation(*map(network_at, points[:2]), visited, steps=10)
    along = (points[1] - points[0]).numpy()
    fractions = (line - points[0].numpy()) @ along / (along @ along)
    np.testing.assert_allclose(fractions, np.arange(1, 11) / 10, atol=1e-12)


def test_at_the_points_a_line_does_visit_it_agrees_with_flatmin(points):
    first, second = map(network_at, points[:2])
    inputs, targets = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    objective = Objective(first, mse_loss, [(inputs, targets)], dtype=torch.float64)
    ours = slice_path(objective, linear_path(points[0], points[1]), torch.arange(1, 11) / 10)
    theirs = loss_landscapes.linear_interpolation(first, second, Loss(mse_loss, inputs, targets), steps=10)
    assert theirs.tolist() == pytest.approx(ours.loss.tolist(), rel=1e-6)


def test_a_plane_through_three_points_never_contains_its_origin(points):
    visits = plane_coordinates(points, 6).reshape(-1, 2)
    assert np.linalg.norm(visits, axis=1).min() == pytest.approx(1, abs=1e-9)


def test_random_directions_have_only_positive_entries(points):
    line = loss_landscapes.random_line(network_at(points[0]), visited, steps=1, normalization=None)
    assert (line[0] > points[0].numpy()).all()


def test_two_random_directions_have_cosine_three_quarters():
    like = ModelParameters(list(nn.Sequential(nn.Linear(784, 512), nn.Linear(512, 10)).parameters()))
    first, second = (torch.cat([p.flatten() for p in rand_u_like(like).parameters]) for _ in range(2))
    assert cosine(first, second) == pytest.approx(0.75, abs=0.005)


def test_filter_normalisation_leaves_nothing_random_in_biases_and_batch_norm(network):
    weights = ModelParameters([p.detach() for p in network.parameters()])
    direction = rand_u_like(weights)
    direction.filter_normalize_(weights)
    for moved, weight in zip(direction.parameters, weights.parameters, strict=True):
        if weight.ndim == 1:
            torch.testing.assert_close(moved, weight.abs(), rtol=1e-5, atol=0)
        else:
            norms = moved.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1)
            torch.testing.assert_close(*norms, rtol=1e-5, atol=0)


def test_our_filter_normalisation_leaves_them_out(network, batches):
    objective = Objective(network, cross_entropy, batches)
    direction = objective.unflatten(filter_normalized(objective))
    assert all(bool(d.any()) == (d.ndim > 1) for d in direction.values())


def test_the_model_passed_in_is_overwritten(points):
    first, second = map(network_at, points[:2])
    loss_landscapes.linear_interpolation(first, second, visited, steps=10)
    torch.testing.assert_close(parameters_to_vector(first.parameters()), points[1], rtol=1e-12, atol=1e-12)


def test_the_model_passed_in_cannot_be_trained_afterwards(points):
    first, second = map(network_at, points[:2])
    loss_landscapes.linear_interpolation(first, second, visited, steps=2)
    assert not any(p.requires_grad for network in (first, second) for p in network.parameters())
    with pytest.raises(RuntimeError, match="does not require grad"):
        first(torch.ones(1, 3, dtype=torch.float64)).sum().backward()


def test_batch_norm_keeps_the_averages_of_the_start(trained, batches):
    first, second = (copy.deepcopy(network).double().eval() for network in trained)
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    objectives = [
        Objective(n, cross_entropy, [(inputs, targets)], batch_norm=reading, dtype=torch.float64)
        for reading in ("running", "batch")
        for n in (first, second)
    ]
    true = float(objectives[1].value())
    metric = Loss(cross_entropy, inputs.double(), targets)
    reported = loss_landscapes.linear_interpolation(first, second, metric, steps=4)
    assert reported[-1] > 2 * true
    ours = path_between(objectives[2], objectives[3], [1.0])
    assert float(ours.loss[0]) == pytest.approx(float(objectives[3].value()), rel=1e-12)


def test_in_training_mode_it_changes_the_buffers(network, batches):
    before = network[1].running_mean.clone()
    inputs, targets = batches[0]
    end = copy.deepcopy(network)
    loss_landscapes.linear_interpolation(network, end, Loss(cross_entropy, inputs, targets), steps=2)
    assert not torch.equal(before, network[1].running_mean)


def test_loss_gradient_raises_for_every_model(points):
    metric = LossGradient(mse_loss, torch.ones(1, 3, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss_landscapes.point(network_at(points[0]), metric)


def test_random_directions_are_drawn_on_the_cpu_whatever_the_models_device():
    weights = ModelParameters([torch.empty(2, 2, device="meta")])
    assert rand_u_like(weights)[0].device.type == "cpu"


def test_torch_is_not_among_its_dependencies():
    assert not any(line.startswith("torch") for line in requires("loss-landscapes") or [])


def test_the_wheel_carries_files_that_cannot_be_imported():
    stale = [path for path in files("loss-landscapes") or [] if "common" in path.parts and path.suffix == ".py"]
    assert len(stale) == 18
    with pytest.raises(ImportError, match="common"):
        from loss_landscapes.model_interface import model_agnostic_factories  # noqa: F401
