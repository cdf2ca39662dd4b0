r"""Losses of normalised logits, which do not fall when a network that is right says so louder.

The cross-entropy of a network whose outputs are multiplied by a number above one falls where it is right, and its
sharpness with it, though nothing is learned. Of normalised logits

.. math:: \tilde z = (z - \bar z) / \|z - \bar z\|_2, \quad \bar z = \tfrac1K \sum_k z_k

it does not change. This is what the code of Andriushchenko et al. (2023) does (``LogitNormalizationWrapper``). Whether
their text divides by the length, as here, or by the root of the mean square, which is :math:`\sqrt K` times less, was
not verified.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 1e-10


class LogitNormalized(nn.Module):
    """A loss whose outputs are centred and divided by their length first.

    Args:
        loss: ``loss(outputs, targets)``.
        dim: Along which the scores of the classes lie.
    """

    def __init__(self, loss: Callable[..., Any], dim: int = 1) -> None:
        super().__init__()
        self.loss, self.dim = loss, dim
        self.__name__ = f"{getattr(loss, '__name__', type(loss).__name__)} of normalised logits"

    def forward(self, outputs: Any, *rest: Any) -> Any:
        """The loss.

        Raises:
            ValueError: If the outputs are no scores of two classes or more.
        """
        if not isinstance(outputs, Tensor) or outputs.ndim <= self.dim or outputs.shape[self.dim] < 2:
            got = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"logits to normalise must be scores of two classes or more along dim {self.dim}, got {got}."
            )
        centered = outputs - outputs.mean(dim=self.dim, keepdim=True)
        length = torch.linalg.vector_norm(centered, dim=self.dim, keepdim=True)
        return self.loss(centered / length.clamp(min=SMALLEST), *rest)


def logit_normalized(loss: Callable[..., Any], *, dim: int = 1) -> LogitNormalized:
    """A loss of classes, of normalised logits.

    Args:
        loss: ``loss(outputs, targets)``, such as :func:`torch.nn.functional.cross_entropy`.
        dim: Along which the scores of the classes lie: 1 in all of torch's losses.

    Returns:
        The loss, for :class:`~flatmin.objective.objective.Objective`; of an objective that is there,
        ``objective.logit_normalized()`` has it.

    Raises:
        TypeError: If ``loss`` is not callable.

    Example:
        >>> from torch.nn.functional import cross_entropy
        >>> logits, targets = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0])
        >>> loss = logit_normalized(cross_entropy)
        >>> float(loss(logits, targets)) == float(loss(8 * logits + 4, targets))
        True
    """
    if not callable(loss):
        raise TypeError(f"`loss` must be callable as loss(outputs, targets), got {type(loss).__name__}.")
    return LogitNormalized(loss, dim)
