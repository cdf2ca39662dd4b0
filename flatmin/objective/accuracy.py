"""How many answers are right, where outputs and targets say what an answer is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from flatmin.objective.losses import Reduction, scores_of

_THRESHOLDS: dict[Callable[..., Any], float] = {
    F.binary_cross_entropy: 0.5,
    F.binary_cross_entropy_with_logits: 0.0,
}


class Right(NamedTuple):
    """Right answers and how many were asked for; NaN and one where that has no meaning."""

    right: Tensor | float
    asked: Tensor | float


NEITHER = Right(float("nan"), 1)


def right(outputs: Any, targets: Any, reduction: Reduction | None = None) -> Right:
    """Right answers among the outputs of a batch.

    Class scores lie along dimension 1 (N, C, ...), or along the last one where only that fits the targets
    (N, T, C); targets are classes, or one-hot rows or probabilities of the shape of the scores. Targets that the loss
    ignores are not asked for. Outputs of a binary loss are right on the side of 0.5 (probabilities) or 0 (logits).

    Args:
        outputs: What the network gave.
        targets: What it was to give.
        reduction: How the loss reduces, where that is known.

    Returns:
        The counts.
    """
    scores = scores_of(outputs)
    if not isinstance(scores, Tensor) or not isinstance(targets, Tensor):
        return NEITHER
    function = None if reduction is None else reduction.function
    if function in _THRESHOLDS and scores.shape == targets.shape:
        threshold = _THRESHOLDS[function]
        return _counted((scores > threshold) == (targets > 0.5), torch.ones_like(targets, dtype=torch.bool))
    if targets.is_floating_point():
        return _one_hot(scores, targets) if function is F.cross_entropy else NEITHER
    ignored = -100 if reduction is None else reduction.ignore_index
    for axis in (1, scores.ndim - 1):
        if _classes(scores, targets, axis):
            return _counted(scores.argmax(dim=axis) == targets, targets != ignored)
    return NEITHER


def _classes(scores: Tensor, targets: Tensor, axis: int) -> bool:
    if scores.ndim != targets.ndim + 1 or scores.ndim < 2:
        return False
    return scores.shape[:axis] + scores.shape[axis + 1 :] == targets.shape


def _one_hot(scores: Tensor, targets: Tensor) -> Right:
    if scores.shape != targets.shape or scores.ndim < 2:
        return NEITHER
    hit = scores.argmax(dim=1) == targets.argmax(dim=1)
    return _counted(hit, torch.ones_like(hit))


def _counted(hits: Tensor, asked: Tensor) -> Right:
    return Right((hits & asked).sum().double(), asked.sum().double())
