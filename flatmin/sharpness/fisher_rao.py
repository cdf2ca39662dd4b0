r"""The Fisher-Rao norm: the length of the weights in the metric of what the network says. Liang et al. (2019)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from flatmin.core.checks import an_objective, one_of
from flatmin.core.result import Measured
from flatmin.core.vectors import dot

KINDS = ("model", "empirical")


@dataclass(frozen=True, repr=False, kw_only=True)
class FisherRao(Measured):
    r"""What :func:`fisher_rao` found.

    Attributes:
        value: :math:`\theta^\top I(\theta)\, \theta`, the square of the norm.
        standard_error: Of it as a mean over examples, were they drawn from more; NaN for ``"model"``, which is exact
            for these examples.
        kind: ``"model"``: answers as the network gives them; ``"empirical"``: those of the data.
        evaluations: Passes over the examples, a gradient counting as one.
    """

    value: float
    standard_error: float
    kind: str
    evaluations: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value, what it rests on."""
        error = "" if math.isnan(self.standard_error) else f" ± {self.standard_error:.2g}"
        yield f"squared Fisher-Rao norm {self.value:.4g}{error}"
        yield f"answers of the {'network' if self.kind == 'model' else 'data'}"
        yield from self.grounds()


def fisher_rao(objective: Any, *, kind: str = "model", each: Callable[[Any, Any], Tensor] | None = None) -> FisherRao:
    r"""The squared Fisher-Rao norm of the weights.

    .. math:: \theta^\top I(\theta)\, \theta = E\left[(\theta \cdot \nabla_\theta \ell)^2\right]

    Liang et al. (2019). With ``"model"`` the expectation is over the answers that the network itself gives, and I is
    the Gauss-Newton matrix, which is Fisher's information for cross-entropy (for the squared error up to a factor; for
    other losses see :mod:`flatmin.objective.linearized`). With ``"empirical"`` it is over the answers of the data. No
    change of the weights by an invertible matrix that leaves the function alone changes it: layers, neurons and
    attention heads may be rescaled. For a ReLU network without biases and L hidden layers it is :math:`(L + 1)^2` times
    the variance of the class scores under the network's own probabilities.

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective`.
        kind: ``"model"`` or ``"empirical"``.
        each: ``each(outputs, targets)``, the losses of the examples of a batch, (N,), for ``"empirical"``; the
            cross-entropy by default.

    Returns:
        The squared norm.

    Raises:
        TypeError: If ``objective`` is none of a network.
        ValueError: If ``each`` is not the objective's loss without its mean.

    Example:
        >>> import torch
        >>> from flatmin import Objective
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> model.weight.data.fill_(3.0).shape
        torch.Size([1, 1])
        >>> batch = (torch.ones(4, 1), torch.zeros(4, 1))
        >>> fisher_rao(Objective(model, torch.nn.functional.mse_loss, [batch])).value  # 3 * 2 * 3
        18.0
    """
    one_of("kind", kind, KINDS)
    if not hasattr(an_objective(objective), "gauss_newton" if kind == "model" else "each_along"):
        raise TypeError(f"`objective` must be an Objective of a network, got {type(objective).__name__}.")
    theta = objective.theta
    if kind == "model":
        value, error, evaluations = dot(theta, objective.gauss_newton(theta)), math.nan, 4
    else:
        losses, slopes = objective.each_along(each or partial(cross_entropy, reduction="none"), theta)
        mean, loss = float(losses.mean()), float(objective.value())
        if not math.isclose(mean, loss, rel_tol=1e-3, abs_tol=1e-5):
            raise ValueError(
                f"`each` must be the objective's loss without its mean, {loss:.6g}, got a mean of {mean:.6g}."
            )
        squares = slopes.double() ** 2
        value, evaluations = float(squares.mean()), 4
        error = float(squares.std()) / math.sqrt(len(squares)) if len(squares) > 1 else math.nan
    return FisherRao(
        value=value, standard_error=error, kind=kind, evaluations=evaluations, **Measured.ground(objective)
    )
