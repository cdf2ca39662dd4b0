import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin.landscapes import (
    curved_path,
    filter_normalized,
    linear_path,
    path_between,
    plane_through,
    slice_1d,
    slice_2d,
    slice_path,
)
from flatmin.objective.objective import Objective

ALPHAS = torch.linspace(-1, 2, 13)


@pytest.fixture
def pair(trained, batches):
    def build(batch_norm):
        return [Objective(n, cross_entropy, batches, batch_norm=batch_norm, dtype=torch.float64) for n in trained]

    return build


def plain_loss(network: nn.Module, batches, training: bool) -> float:
    """Mean loss of a copy, batch by batch, with dropout off."""
    network = copy.deepcopy(network).double().train(training)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    count = sum(len(targets) for _, targets in batches)
    with torch.no_grad():
        return sum(float(cross_entropy(network(x.double()), y)) * len(y) / count for x, y in batches)


def test_the_straight_line():
    first, second = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([3.0, -2.0], dtype=torch.float64)
    path = linear_path(first, second)
    assert torch.equal(path(0.0), first) and torch.equal(path(1.0), second)
    assert path(-1.0).tolist() == [-1, 6] and path(0.25).tolist() == [1.5, 1]


def test_the_arc():
    first, second = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([3.0, -2.0], dtype=torch.float64)
    path = curved_path(first, second)
    for alpha, expected in [(0, first), (1, second), (-1, -second), (2, -first), (0.5, (first + second) / 2**0.5)]:
        torch.testing.assert_close(path(alpha), expected, rtol=1e-14, atol=1e-14)


def test_on_the_arc_orthogonal_ends_of_one_length_keep_it():
    path = curved_path(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]))
    assert [float(path(alpha).norm()) for alpha in (-0.3, 0.2, 0.9)] == pytest.approx([2] * 3, rel=1e-6)


def test_running_averages_of_one_end_are_refused(pair):
    with pytest.raises(ValueError, match="would use the averages of `first` at `second`; build both objectives"):
        path_between(*pair("running"), ALPHAS)


def test_they_are_refused_for_a_reason(pair):
    first, second = pair("running")
    with pytest.warns(UserWarning, match="path_between"):
        end = slice_path(first, linear_path(first.theta, second.theta), [1.0])
    assert float(end.loss[0]) > 2 * float(second.value())


BETWEEN = {
    "a line": lambda a, b: slice_1d(a, b.theta - a.theta, [0.0, 1.0]),
    "a line from elsewhere": lambda a, b: slice_1d(a, filter_normalized(a), [0.0], origin=b.theta),
    "a path": lambda a, b: slice_path(a, linear_path(a.theta, b.theta), [0.0, 0.5, 1.0]),
    "a plane": lambda a, b: slice_2d(a, (b.theta - a.theta, filter_normalized(a)), ([0.0, 1.0], [0.0])),
    "a plane through three": lambda a, b: slice_2d(
        a, plane_through(a.theta, b.theta, b.theta + filter_normalized(a)).axes, ([0.0, 5.0], [0.0])
    ),
}


@pytest.mark.parametrize("slice_of", BETWEEN.values(), ids=BETWEEN)
def test_a_slice_that_leads_to_another_network_with_the_averages_of_the_first_warns(pair, slice_of):
    with pytest.warns(UserWarning, match="path_between") as warned:
        slice_of(*pair("running"))
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slice_of(*pair("batch"))


def test_slices_around_one_network_do_not_warn(pair):
    first, _ = pair("running")
    ways = filter_normalized(first, 0), filter_normalized(first, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slice_1d(first, ways[0], [-1.0, 1.0])
        slice_2d(first, ways, ([-1.0], [1.0]))
        slice_1d(first, first.gradient() / first.gradient().norm(), [-0.1, 0.1])


@pytest.mark.parametrize("curve", ["linear", "curved"])
def test_batch_statistics_agree_with_training_mode_at_both_ends(pair, trained, batches, curve):
    line = path_between(*pair("batch"), [0.0, 0.5, 1.0], curve=curve)
    ends = [plain_loss(network, batches, training=True) for network in trained]
    assert [float(line.loss[0]), float(line.loss[2])] == pytest.approx(ends, rel=1e-10)
    assert line.batch_norm == "batch"
    assert line.base_loss == line.center_loss


@pytest.mark.parametrize("curve", ["linear", "curved"])
def test_reestimated_statistics_agree_with_one_batch_of_all_data_at_both_ends(pair, trained, batches, curve):
    line = path_between(*pair("reestimate"), [0.0, 0.5, 1.0], curve=curve)
    everything = [tuple(torch.cat(parts) for parts in zip(*batches, strict=True))]
    ends = [plain_loss(network, everything, training=True) for network in trained]
    assert [float(line.loss[0]), float(line.loss[2])] == pytest.approx(ends, rel=1e-10)
    assert line.batch_norm == "reestimate"


@pytest.mark.parametrize("curve", ["linear", "curved"])
def test_interpolated_statistics_agree_with_evaluation_mode_at_both_ends(pair, trained, batches, curve):
    line = path_between(*pair("running"), [0.0, 0.5, 1.0], curve=curve, interpolate_batch_norm=True)
    ends = [plain_loss(network, batches, training=False) for network in trained]
    assert [float(line.loss[0]), float(line.loss[2])] == pytest.approx(ends, rel=1e-10)
    assert line.batch_norm == "interpolated"
    assert line.base_loss == line.center_loss


@pytest.mark.parametrize("curve", [linear_path, curved_path])
def test_interpolated_statistics_move_on_a_straight_line_whatever_the_weights_do(pair, trained, batches, curve):
    name = {linear_path: "linear", curved_path: "curved"}[curve]
    line = path_between(*pair("running"), [0.25, 0.75], curve=name, interpolate_batch_norm=True)
    first, second = (copy.deepcopy(network).double() for network in trained)
    for alpha, loss in zip(line.alphas.tolist(), line.loss.tolist(), strict=True):
        mixed = copy.deepcopy(first)
        for p, q, r in zip(mixed.parameters(), first.parameters(), second.parameters(), strict=True):
            p.data = curve(q.detach(), r.detach())(alpha)
        for p, q, r in zip(mixed.buffers(), first.buffers(), second.buffers(), strict=True):
            if p.is_floating_point():
                p.copy_((1 - alpha) * q + alpha * r)
        assert loss == pytest.approx(plain_loss(mixed, batches, training=False), rel=1e-10)


def test_the_middle_depends_on_whose_statistics(pair):
    losses = {
        "batch": path_between(*pair("batch"), [0.5]).loss,
        "reestimate": path_between(*pair("reestimate"), [0.5]).loss,
        "interpolated": path_between(*pair("running"), [0.5], interpolate_batch_norm=True).loss,
    }
    assert losses["batch"] == pytest.approx(losses["reestimate"], rel=0.2)
    assert losses["interpolated"] != pytest.approx(losses["reestimate"], rel=0.02)


def test_a_variance_that_comes_out_negative_is_kept_as_not_finite(pair, trained):
    alphas = torch.tensor([-50.0, 0.0, 1.0])
    line = path_between(*pair("running"), alphas, interpolate_batch_norm=True)
    variances = [torch.cat([m.running_var for m in n if hasattr(m, "running_var")]) for n in trained]
    assert bool((51 * variances[0] - 50 * variances[1] < 0).any())
    assert math.isnan(line.loss[0]) and line.non_finite == 1


def test_networks_without_batch_norm_need_no_choice():
    batches = [(torch.rand(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]))]
    first, second = (Objective(nn.Linear(4, 3), cross_entropy, batches) for _ in range(2))
    line = path_between(first, second, [0.0, 1.0])
    assert line.loss.tolist() == [float(first.value()), float(second.value())]


def test_the_models_are_left_alone(pair, trained):
    before = [{name: tensor.clone() for name, tensor in n.state_dict().items()} for n in trained]
    path_between(*pair("running"), [0.0, 0.5], interpolate_batch_norm=True)
    path_between(*pair("reestimate"), [0.0, 0.5])
    for old, network in zip(before, trained, strict=True):
        assert all(torch.equal(old[name], tensor) for name, tensor in network.state_dict().items())


def test_an_interrupted_path_goes_on(pair):
    done = {}
    whole = path_between(*pair("batch"), ALPHAS, progress=done.__setitem__)
    known = {index: value for index, value in done.items() if index[0] < 10}
    rest = {}
    again = path_between(*pair("batch"), ALPHAS, progress=rest.__setitem__, known=known)
    assert list(rest) == [(10,), (11,), (12,)]
    assert torch.equal(whole.loss, again.loss) and torch.equal(whole.accuracy, again.accuracy)


def test_pairs_that_do_not_fit_are_refused(pair, trained, batches):
    first, second = pair("batch")
    with pytest.raises(ValueError, match="same `batch_norm`, got 'batch' and 'running'"):
        path_between(first, pair("running")[1], [0.0])
    other = Objective(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), cross_entropy, batches, batch_norm="batch")
    with pytest.raises(ValueError, match="must have the same parameters"):
        path_between(first, other, [0.0])
    with pytest.raises(ValueError, match="`interpolate_batch_norm` needs batch_norm='running', got 'batch'"):
        path_between(first, second, [0.0], interpolate_batch_norm=True)
    with pytest.raises(ValueError, match="`curve` must be one of 'linear', 'curved', got 'bezier'"):
        path_between(first, second, [0.0], curve="bezier")
    with pytest.raises(ValueError, match="`second` must have shape"):
        linear_path(torch.ones(2), torch.ones(3))
