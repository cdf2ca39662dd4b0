import loss_landscapes
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from flatmin.landscapes import filter_normalized, linear_path, slice_1d, slice_2d, slice_path
from flatmin.objective.objective import Objective

ALPHAS, BETAS = [-0.5, -0.1, 0.0, 0.7], [0.3, 0.0, -1.0]


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_both_engines_agree_on_a_line(network, batches, batch_norm, dtype, tolerance):
    objective = Objective(network, cross_entropy, batches, batch_norm=batch_norm, dtype=dtype)
    direction = filter_normalized(objective)
    ours = slice_1d(objective, direction, ALPHAS)
    theirs = slice_1d(objective, direction, ALPHAS, engine="loss-landscapes")
    torch.testing.assert_close(theirs.loss, ours.loss, rtol=tolerance, atol=0)
    torch.testing.assert_close(theirs.accuracy, ours.accuracy, rtol=0, atol=1e-12)
    assert (ours.engine, theirs.engine) == ("flatmin", "loss-landscapes")
    assert theirs.center_loss == pytest.approx(theirs.base_loss, rel=tolerance)


def test_both_engines_agree_on_a_plane(network, batches):
    objective = Objective(network, cross_entropy, batches)
    axes = filter_normalized(objective, 0), filter_normalized(objective, 1)
    ours = slice_2d(objective, axes, (ALPHAS, BETAS))
    theirs = slice_2d(objective, axes, (ALPHAS, BETAS), engine="loss-landscapes")
    torch.testing.assert_close(theirs.loss, ours.loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(theirs.accuracy, ours.accuracy, rtol=0, atol=1e-12)


def test_both_engines_agree_on_a_path(trained, batches):
    first, second = (Objective(n, cross_entropy, batches, batch_norm="batch") for n in trained)
    path = linear_path(first.theta, second.theta)
    ours = slice_path(first, path, [0.0, 0.4, 1.0])
    theirs = slice_path(first, path, [0.0, 0.4, 1.0], engine="loss-landscapes")
    torch.testing.assert_close(theirs.loss, ours.loss, rtol=1e-6, atol=0)


def test_the_package_evaluates_the_points(network, batches, monkeypatch):
    wrapped = []

    def point(model, metric, original=loss_landscapes.point):
        wrapped.append(model)
        return original(model, metric)

    monkeypatch.setattr(loss_landscapes, "point", point)
    objective = Objective(network, cross_entropy, batches)
    slice_1d(objective, objective.theta, ALPHAS, engine="loss-landscapes")
    assert len(wrapped) == len(ALPHAS)


def test_a_loss_without_classes_has_no_accuracy():
    batches = [(torch.rand(4, 3), torch.rand(4, 2)), (torch.rand(1, 3), torch.rand(1, 2))]
    objective = Objective(nn.Linear(3, 2), mse_loss, batches)
    line = slice_1d(objective, objective.theta, [0.0, 1.0], engine="loss-landscapes")
    assert line.accuracy.isnan().all()
    assert line.loss[0] == pytest.approx(float(objective.value()), rel=1e-6)


def test_reestimated_statistics_are_refused(network, batches):
    objective = Objective(network, cross_entropy, batches, batch_norm="reestimate")
    with pytest.raises(ValueError, match="batch_norm='reestimate' has no module of its own; use 'batch' or 'running'"):
        slice_1d(objective, objective.theta, ALPHAS, engine="loss-landscapes")
