"""Losses of normalised logits, written out in NumPy; what a scaling of the outputs does to them, and to sharpness."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flatmin import Objective, average_case_sharpness, logit_normalized, worst_case_sharpness
from flatmin.core.errors import FlatminError
from flatmin.measures import measures
from flatmin.measures.measure import Specimen


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(22, 4, generator=generator, dtype=torch.float64), torch.arange(22) % 3


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()


def by_hand(network, inputs, targets):
    scores = network(inputs).detach().numpy()
    scores = scores - scores.mean(axis=1, keepdims=True)
    scores = scores / np.sqrt((scores**2).sum(axis=1, keepdims=True))
    return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[range(len(targets)), targets]))


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum")])
def test_the_loss_is_that_of_scores_of_length_one_however_it_is_asked_for(network, points, loss):
    inputs, targets = points
    cut = [(inputs[:15], targets[:15]), (inputs[15:], targets[15:])]
    expected = by_hand(network, inputs, targets.numpy())
    made = Objective(network, logit_normalized(loss), cut)
    again = Objective(network, loss, cut).logit_normalized()
    assert float(made.value()) == pytest.approx(expected) == float(again.value())
    assert torch.equal(made.gradient(), again.gradient()) and "of normalised logits" in repr(again)
    assert [float(part.value()) for part in again.parts(11)] == pytest.approx(
        [by_hand(network, inputs[a:b], targets[a:b].numpy()) for a, b in ((0, 11), (11, 22))]
    )


def test_targets_that_are_ignored_do_not_count(network, points):
    inputs, targets = points[0], points[1].clone()
    targets[:9] = -100
    cut = [(inputs[:15], targets[:15]), (inputs[15:], targets[15:])]
    found = float(Objective(network, F.cross_entropy, cut).logit_normalized().value())
    assert found == pytest.approx(by_hand(network, inputs[9:], targets[9:].numpy()))


def test_louder_outputs_lower_the_sharpness_of_the_loss_but_not_that_of_normalised_logits(network, points):
    def measured():
        plain = Objective(network, F.cross_entropy, [points])
        return [
            (
                worst_case_sharpness(objective, rho=0.1, norm="linf", adaptive=True).value,
                average_case_sharpness(objective, sigma=0.1, relative=True).value,
            )
            for objective in (plain, plain.logit_normalized())
        ]

    before = measured()
    with torch.no_grad():
        network[2].weight *= 7
        network[2].bias *= 7
    after = measured()
    assert after[1] == pytest.approx(before[1], rel=1e-9)
    assert min(abs(b / a - 1) for a, b in zip(before[0], after[0], strict=True)) > 0.5


def test_equal_scores_have_a_loss_and_a_gradient(points):
    silent = nn.Linear(4, 3).double()
    nn.init.zeros_(silent.weight), nn.init.zeros_(silent.bias)
    objective = Objective(silent, F.cross_entropy, [points]).logit_normalized()
    assert float(objective.value()) == pytest.approx(np.log(3)) and objective.gradient().isfinite().all()


def test_what_has_no_classes_is_refused(points):
    inputs, _ = points
    regression = Objective(nn.Linear(4, 2).double(), F.mse_loss, [(inputs, inputs[:, :2])])
    with pytest.raises(ValueError, match="for a loss of classes, got mse_loss"):
        regression.logit_normalized()
    with pytest.raises(ValueError, match="for a loss of classes, got mse_loss"):
        Objective(nn.Linear(4, 2).double(), logit_normalized(F.mse_loss), [(inputs, inputs[:, :2])])
    with pytest.raises(ValueError, match=r"must be scores of two classes or more along dim 1, got shape \(\d+, 1\)"):
        Objective(nn.Linear(4, 1).double(), logit_normalized(lambda z, y: z.mean()), [points])
    own = Objective.of(nn.Linear(4, 2).double(), lambda model, batch: model(batch[0]).mean(), [points])
    with pytest.raises(ValueError, match="within the user's own step"):
        own.logit_normalized()
    with pytest.raises(TypeError, match="`loss` must be callable"):
        logit_normalized("cross_entropy")
    measure = measures()["logit_normalized_worst_case"]
    (asked,) = measure.plan(measure.settings(), 22, 22)
    subject = Specimen(objective=regression, following=None, test=None, population=22, each=None)
    with pytest.raises(FlatminError, match="measure logit_normalized_worst_case: logits are normalised for a loss"):
        measure.run(subject, asked, lambda share: None)
