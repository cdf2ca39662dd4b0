import copy
import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.landscapes import filter_normalized, plane_through, slice_1d, slice_2d, slice_path
from flatmin.objective.objective import Objective

ALPHAS, BETAS = [-0.5, -0.1, 0.0, 0.7], [0.3, 0.0, -1.0]  # not square, not even, not sorted


def loaded(network: nn.Module, theta: torch.Tensor) -> nn.Module:
    """A copy of the network with the weights loaded by hand, parameter by parameter."""
    other, start = copy.deepcopy(network).to(theta.dtype).eval(), 0
    for parameter in other.parameters():
        parameter.data = theta[start : start + parameter.numel()].reshape(parameter.shape).clone()
        start += parameter.numel()
    return other


def plain_forward(network, theta, batches) -> tuple[float, float]:
    """Loss and accuracy over all examples in one batch, without an objective."""
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        outputs = loaded(network, theta)(inputs.to(theta.dtype))
    return float(cross_entropy(outputs, targets)), float((outputs.argmax(1) == targets).double().mean())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_line_is_the_hand_loaded_network_at_every_point(network, batches, dtype, tolerance):
    objective = Objective(network, cross_entropy, batches, dtype=dtype)
    direction = filter_normalized(objective)
    line = slice_1d(objective, direction, ALPHAS)
    for i, alpha in enumerate(ALPHAS):
        loss, accuracy = plain_forward(network, objective.theta + alpha * direction, batches)
        assert float(line.loss[i]) == pytest.approx(loss, rel=tolerance)
        assert float(line.accuracy[i]) == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_plane_is_the_hand_loaded_network_at_every_point(network, batches, dtype, tolerance):
    objective = Objective(network, cross_entropy, batches, dtype=dtype)
    first, second = filter_normalized(objective, 0), filter_normalized(objective, 1)
    plane = slice_2d(objective, (first, second), (ALPHAS, BETAS))
    assert plane.loss.shape == plane.accuracy.shape == (4, 3)
    for i, alpha in enumerate(ALPHAS):
        for j, beta in enumerate(BETAS):
            theta = objective.theta + alpha * first + beta * second
            loss, accuracy = plain_forward(network, theta, batches)
            assert float(plane.loss[i, j]) == pytest.approx(loss, rel=tolerance)
            assert float(plane.accuracy[i, j]) == pytest.approx(accuracy, abs=1e-12)


def test_an_asymmetric_quadratic_on_a_grid_that_is_not_square():
    hessian = torch.tensor([[3.0, 1.0], [1.0, 5.0]], dtype=torch.float64)
    bowl = QuadraticObjective(hessian, linear=torch.tensor([1.0, -2.0]), theta=torch.tensor([10.0, 10.0]))
    axes = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    plane = slice_2d(bowl, axes, (ALPHAS, BETAS), origin=torch.tensor([1.0, -1.0]))
    for i, alpha in enumerate(ALPHAS):
        for j, beta in enumerate(BETAS):
            x, y = 1 + alpha, -1 + 2 * beta
            by_hand = x - 2 * y + 1.5 * x * x + x * y + 2.5 * y * y
            assert float(plane.loss[i, j]) == pytest.approx(by_hand, rel=1e-14)
    assert plane.accuracy.isnan().all()


def test_coordinates_come_back_as_evaluated():
    bowl = QuadraticObjective([1.0, 1.0])
    plane = slice_2d(bowl, (torch.eye(2)[0], torch.eye(2)[1]), (torch.tensor(ALPHAS), BETAS))
    assert plane.alphas.dtype == plane.betas.dtype == plane.loss.dtype == torch.float64
    torch.testing.assert_close(plane.alphas, torch.tensor(ALPHAS, dtype=torch.float64), atol=1e-7, rtol=0)
    assert plane.betas.tolist() == BETAS
    assert plane.loss[0, 1] == float(plane.alphas[0]) ** 2 / 2


def test_later_changes_of_the_callers_coordinates_do_not_reach_the_result():
    alphas = torch.tensor([0.0, 1.0], dtype=torch.float64)
    line = slice_1d(QuadraticObjective([1.0]), torch.ones(1), alphas)
    alphas += 1
    assert line.alphas.tolist() == [0, 1]


def test_a_path_of_any_shape():
    circle = slice_path(
        FunctionObjective(lambda t: t[0] + 2 * t[1], torch.zeros(2, dtype=torch.float64)),
        lambda alpha: torch.tensor([math.cos(alpha), math.sin(alpha)]),
        [0.0, 1.0, math.pi],
    )
    assert circle.loss.tolist() == pytest.approx([1, math.cos(1) + 2 * math.sin(1), -1], abs=1e-6)
    assert circle.base_loss == circle.center_loss == 1


def test_the_three_points_of_a_plane_have_their_own_losses(trained, batches):
    objectives = [Objective(n, cross_entropy, batches, batch_norm="batch", dtype=torch.float64) for n in trained]
    first, second = objectives
    third = first.theta + filter_normalized(first)
    plane = plane_through(first.theta, second.theta, third)
    values = slice_2d(first, plane.axes, (plane.coordinates[:, 0], plane.coordinates[:, 1]), origin=plane.origin)
    expected = [float(first.value()), float(second.value()), float(first.value(third))]
    assert values.loss.diagonal().tolist() == pytest.approx(expected, rel=1e-9)


def test_checks_travel_with_the_result():
    bowl = QuadraticObjective([1.0, 1.0], constant=2.0)
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])
    plane = slice_2d(bowl, (first, second), ([-1, 0, 1], [0, 1]))
    assert plane.base_loss == plane.center_loss == 2
    assert plane.cosine == pytest.approx(0.5**0.5, rel=1e-12)
    assert (plane.engine, plane.batch_norm, plane.non_finite) == ("flatmin", None, 0)


def test_no_center_is_said_so():
    bowl = QuadraticObjective([1.0, 1.0], constant=2.0)
    line = slice_1d(bowl, torch.ones(2), [0.5, 1.0])
    assert line.base_loss == 2
    assert math.isnan(line.center_loss)
    plane = slice_2d(bowl, (torch.eye(2)[0], torch.eye(2)[1]), ([0.0, 1.0], [0.5, 1.0]))
    assert math.isnan(plane.center_loss)


def test_the_center_is_found_on_a_float32_grid():
    bowl = QuadraticObjective([1.0], constant=2.0)
    assert slice_1d(bowl, torch.ones(1), torch.arange(-1, 1.01, 0.1)).center_loss == pytest.approx(2)


def test_values_that_are_not_finite_are_kept_and_counted():
    function = FunctionObjective(lambda t: torch.log(t[0]) + 1 / t[0], torch.zeros(1, dtype=torch.float64))
    line = slice_1d(function, torch.ones(1), [-1.0, 0.0, 1.0], origin=torch.zeros(1))
    assert line.loss[0].isnan() and line.loss[2] == 1
    assert line.non_finite == 2


def test_the_batch_norm_reading_is_recorded(network, batches):
    objective = Objective(network, cross_entropy, batches, batch_norm="reestimate")
    assert slice_1d(objective, objective.theta, [0.0]).batch_norm == "reestimate"


def test_the_record_is_json():
    bowl = QuadraticObjective([1.0, 1.0], constant=2.0)
    plane = slice_2d(bowl, (torch.eye(2)[0], torch.eye(2)[1]), ([0.0, 1.0], [0.0, 2.0]))
    record = json.loads(json.dumps(plane.to_record()))
    assert record["loss"] == [[2.0, 4.0], [2.5, 4.5]]
    assert (record["alphas"], record["betas"], record["cosine"], record["non_finite"]) == ([0, 1], [0, 2], 0.0, 0)
    assert set(json.loads(json.dumps(slice_1d(bowl, torch.ones(2), [0.0]).to_record()))) == set(record) - {
        "betas",
        "cosine",
    }


def test_an_interrupted_plane_goes_on_where_it_stopped():
    calls = []

    def function(theta):
        calls.append(theta)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return theta @ theta * torch.tensor(math.nan if theta[0] == -0.5 else 1.0)

    objective = FunctionObjective(function, torch.zeros(2, dtype=torch.float64))
    axes, grid, done = (torch.eye(2)[0], torch.eye(2)[1]), (ALPHAS, BETAS), {}
    with pytest.raises(KeyboardInterrupt):
        slice_2d(objective, axes, grid, progress=done.__setitem__)
    assert list(done) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    resumed = slice_2d(objective, axes, grid, progress=done.__setitem__, known=done)
    assert len(done) == 12
    assert len(calls) == 6 + 7 + 1  # the interrupted call, the missing points, the base loss
    whole = slice_2d(objective, axes, grid)
    torch.testing.assert_close(resumed.loss, whole.loss, rtol=0, atol=0, equal_nan=True)


def test_progress_sees_every_point_in_order(network, batches):
    seen = []
    objective = Objective(network, cross_entropy, batches)
    line = slice_1d(objective, objective.theta, [0.0, 0.5], progress=lambda index, value: seen.append((index, value)))
    pairs = zip(line.loss.tolist(), line.accuracy.tolist(), strict=True)
    assert seen == [((i,), pair) for i, pair in enumerate(pairs)]


def snapshot(network):
    """All that a user could notice: values, gradients, flags, modes."""
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
    flags = [(p.requires_grad, p.data_ptr()) for p in network.parameters()]
    return tensors, gradients, flags, [module.training for module in network.modules()]


def assert_same(before, after):
    for old, new in zip(before[:2], after[:2], strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)
    assert before[2:] == after[2:]


@pytest.mark.parametrize("engine", ["flatmin", "loss-landscapes"])
@pytest.mark.parametrize("batch_norm", ["running", "batch"])
def test_the_model_is_left_bit_equal(network, batches, engine, batch_norm):
    before = snapshot(network)
    objective = Objective(network, cross_entropy, batches, batch_norm=batch_norm)
    first, second = filter_normalized(objective, 0), filter_normalized(objective, 1)
    slice_1d(objective, first, ALPHAS, engine=engine)
    slice_2d(objective, (first, second), (ALPHAS, BETAS), engine=engine)
    assert_same(before, snapshot(network))


@pytest.mark.parametrize("engine", ["flatmin", "loss-landscapes"])
def test_the_model_is_left_bit_equal_when_the_loss_raises_midway(network, batches, engine):
    calls, armed = [], False

    def failing(outputs, targets):
        calls.append(len(targets))
        if armed and len(calls) == 8:  # in the middle of the third point
            raise ArithmeticError("midway")
        return cross_entropy(outputs, targets)

    before = snapshot(network)
    objective = Objective(network, failing, batches)
    calls.clear()
    armed = True
    theta, done = objective.theta, {}
    with pytest.raises(ArithmeticError, match="midway"):
        slice_1d(objective, filter_normalized(objective), ALPHAS, engine=engine, progress=done.__setitem__)
    assert list(done) == [(0,), (1,)]
    assert_same(before, snapshot(network))
    assert torch.equal(theta, objective.theta)


def test_one_point_at_a_time_and_the_vectors_are_left_alone(network, batches):
    objective = Objective(network, cross_entropy, batches)
    first, second, origin = filter_normalized(objective, 0), filter_normalized(objective, 1), objective.theta
    kept = first.clone(), second.clone(), origin.clone()
    slice_2d(objective, (first, second), (ALPHAS, BETAS), origin=origin)
    assert all(torch.equal(old, new) for old, new in zip(kept, (first, second, origin), strict=True))


BOWL = QuadraticObjective([1.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"direction": [1.0, 0.0]}, TypeError, "`direction` must be a tensor, got list"),
        ({"direction": torch.ones(3)}, ValueError, r"`direction` must have shape \(2,\), got \(3,\)"),
        ({"direction": torch.tensor([1.0, math.nan])}, ValueError, "`direction` must be finite, got 1 NaN"),
        ({"direction": torch.zeros(2)}, ValueError, "`direction` must not be zero everywhere"),
        ({"origin": torch.ones(2, 1)}, ValueError, r"`origin` must have shape \(2,\), got \(2, 1\)"),
        ({"alphas": []}, ValueError, r"`alphas` must be a list of numbers, got shape \(0,\)"),
        ({"alphas": 1.0}, ValueError, r"`alphas` must be a list of numbers, got shape \(\)"),
        ({"alphas": [0.0, math.inf]}, ValueError, r"`alphas` must be finite, got \[0.0, inf\]"),
        ({"engine": "landscape"}, ValueError, "`engine` must be one of 'flatmin', 'loss-landscapes', got 'landscape'"),
        ({"engine": "loss-landscapes"}, TypeError, "needs an Objective of a network, got QuadraticObjective"),
        ({"known": {(2,): (0.0, 0.0)}}, ValueError, r"`known` must lie on the grid of 2 points, got index \(2,\)"),
        ({"known": {(0, 0): (0.0, 0.0)}}, ValueError, r"`known` must lie on the grid of 2 points, got index \(0, 0\)"),
    ],
)
def test_what_does_not_fit_a_line_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        slice_1d(**{"objective": BOWL, "direction": torch.ones(2), "alphas": [0.0, 1.0]} | arguments)


@pytest.mark.parametrize(
    ("axes", "grid", "message"),
    [
        ((torch.ones(2), torch.ones(3)), ([0.0], [0.0]), r"`directions\[1\]` must have shape"),
        ((torch.zeros(2), torch.ones(2)), ([0.0], [0.0]), r"`directions\[0\]` must not be zero"),
        ((torch.ones(2), torch.ones(2)), ([0.0], []), "`betas` must be a list of numbers"),
    ],
)
def test_what_does_not_fit_a_plane_is_refused(axes, grid, message):
    with pytest.raises(ValueError, match=message):
        slice_2d(BOWL, axes, grid)


def test_a_path_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"`path\(alpha\)` must have shape \(2,\), got \(3,\)"):
        slice_path(BOWL, lambda alpha: torch.ones(3), [0.0])
