"""Weighted losses: each example's part of a loss, found by a loss of that example alone."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.objective.each import weighted

GENERATOR = torch.Generator().manual_seed(0)
CLASSES = torch.arange(12) % 3
SCORES = torch.randn(12, 3, dtype=torch.float64, generator=GENERATOR)
WEIGHTS = torch.randn(12, dtype=torch.float64, generator=GENERATOR)
SOME_IGNORED = CLASSES.where(torch.arange(12) != 4, -100)
IMPORTANCE = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
SHARES = torch.softmax(SCORES.flip(0), dim=1)
IMAGES = torch.randn(12, 3, 5, dtype=torch.float64, generator=GENERATOR)


def own_mean(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.square().sum(1) * (targets + 1)).mean()


def own_with_reduction(outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    losses = (outputs - targets[:, None]).abs().sum(1)
    return losses if reduction == "none" else losses.mean()


LOSSES: list[tuple[Any, Tensor, Tensor, Any]] = [
    (F.cross_entropy, SCORES, CLASSES, 12),
    (nn.CrossEntropyLoss(label_smoothing=0.2), SCORES, CLASSES, 12),
    (F.cross_entropy, SCORES, SOME_IGNORED, 11),
    (nn.CrossEntropyLoss(IMPORTANCE), SCORES, CLASSES, 4 * 4.5),
    (nn.CrossEntropyLoss(IMPORTANCE, ignore_index=-100), SCORES, SOME_IGNORED, 4 * 4.5 - 1.0),
    (partial(F.cross_entropy, weight=IMPORTANCE, label_smoothing=0.1), SCORES, CLASSES, 4 * 4.5),
    (F.cross_entropy, SCORES, SHARES, 12),
    (F.cross_entropy, IMAGES, torch.arange(60).reshape(12, 5) % 3, 60),
    (partial(F.cross_entropy, reduction="sum"), SCORES, CLASSES, 1),
    (F.mse_loss, SCORES, SHARES, 36),
    (nn.BCEWithLogitsLoss(), SCORES, SHARES, 36),
    (nn.KLDivLoss(reduction="batchmean"), SCORES.log_softmax(1), SHARES, 12),
    (own_mean, SCORES, CLASSES, 12),
    (own_with_reduction, SCORES, CLASSES, 12),
]


@pytest.mark.parametrize(("loss", "outputs", "targets", "divisor"), LOSSES, ids=lambda value: type(value).__name__)
def test_weighted_losses_are_linear_in_what_each_example_adds(
    loss: Any, outputs: Tensor, targets: Tensor, divisor: float
) -> None:
    ones = torch.ones(12, dtype=torch.float64)
    assert float(weighted(loss, outputs, targets, ones)) == pytest.approx(float(loss(outputs, targets)), rel=1e-12)
    total = 0.0
    for k in range(12):
        alone = torch.zeros(12, dtype=torch.float64)
        alone[k] = 1
        added = float(weighted(loss, outputs, targets, alone))
        total += float(WEIGHTS[k]) * added
        others = targets.clone()
        if targets.ndim == 1 and not isinstance(loss, type(own_mean)):  # an example alone, by ignoring the others
            others[torch.arange(12) != k] = -100
            summed = loss
            if isinstance(loss, partial):
                summed = partial(loss.func, **{**loss.keywords, "reduction": "sum"})
            elif isinstance(loss, nn.Module):
                summed = nn.CrossEntropyLoss(loss.weight, reduction="sum", label_smoothing=loss.label_smoothing)
            assert added == pytest.approx(float(summed(outputs, others)) / divisor, rel=1e-9, abs=1e-15)
    assert float(weighted(loss, outputs, targets, WEIGHTS)) == pytest.approx(total, rel=1e-9)
