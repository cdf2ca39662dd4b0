r"""How far a loss rises at a worst point on examples that had no part in finding it, and how sure that is.

A search maximises over the examples it is given, so its rise is too high for others, the more so the fewer they are:
the maximum of a mean over a sample is at least the mean's own. The rise of other examples at the same point has no
such bias.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from flatmin.core.checks import an_objective
from flatmin.core.result import Measured
from flatmin.objective.objective import Objective


@dataclass(frozen=True, repr=False, kw_only=True)
class Rise(Measured):
    r"""The rise of the loss along one perturbation, in the measure of Keskar et al.

    Attributes:
        sharpness: :math:`100 (f(\theta + y) - f(\theta)) / (1 + f(\theta))`; below 0 where the loss falls.
        standard_error: Of it, for examples drawn at random from ``population``; NaN for a single example.
        base_loss: :math:`f(\theta)`.
    """

    sharpness: float
    standard_error: float
    base_loss: float
    unit = "%"

    def __float__(self) -> float:
        return self.sharpness

    def words(self) -> Iterator[str]:
        """The rise with its error, and what it rests on."""
        yield f"rise of {self.sharpness:.4g} ± {self.standard_error:.2g} %"
        if not abs(self.sharpness) > 2 * self.standard_error:
            yield "NOT TOLD FROM 0: within two standard errors of it"
        yield f"loss {self.base_loss:.4g}"
        yield from self.grounds()


def rise_on(
    objective: Objective,
    perturbation: Tensor,
    *,
    each: Callable[[Any, Any], Tensor],
    population: int | None = None,
) -> Rise:
    r"""The rise on the examples of ``objective`` at a point that was found on these or on others.

    With a and b the mean losses at :math:`\theta + y` and :math:`\theta`, the rise is
    :math:`r = (a - b) / (1 + b)`. Its standard error is that of the mean of
    :math:`a_i / (1 + b) - b_i (1 + a) / (1 + b)^2` over the examples (the delta method), times
    :math:`\sqrt{1 - m / M}` for m out of a population of M. It takes the point as given and examples as independent:
    what the search gains by choosing the point on these very examples is not in it.

    Args:
        objective: The loss on the examples that are asked; its BatchNorm counts as set.
        perturbation: y, such as :attr:`~flatmin.sharpness.Sharpness.perturbation`, (size,).
        each: ``each(outputs, targets)``, the losses of the examples of a batch, (N,): the loss of ``objective`` without
            its mean.
        population: How many examples there are in all; ``None`` for as many as one likes.

    Returns:
        The rise in per cent of 1 + the loss, with its standard error.

    Raises:
        ValueError: If ``perturbation`` does not fit, ``each`` does not give the loss of each example, or
            ``population`` is smaller than the number of examples.

    Example:
        >>> import torch
        >>> from torch.nn.functional import mse_loss
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> torch.nn.init.zeros_(model.weight).shape
        torch.Size([1, 1])
        >>> batch = (torch.ones(4, 1), torch.zeros(4, 1))
        >>> found = rise_on(
        ...     Objective(model, mse_loss, [batch]), torch.tensor([0.1]), each=lambda out, y: ((out - y) ** 2).mean(1)
        ... )
        >>> round(found.sharpness, 6), found.standard_error, found.examples
        (1.0, 0.0, 4)
    """
    theta = an_objective(objective).theta
    if perturbation.shape != theta.shape or not perturbation.isfinite().all():
        got = tuple(perturbation.shape)
        raise ValueError(f"`perturbation` must be a finite vector of shape {tuple(theta.shape)}, got shape {got}.")
    before, after = objective.each(each, theta), objective.each(each, theta + perturbation.to(theta))
    count = len(before)
    if population is not None and population < count:
        raise ValueError(f"`population` must be at least the {count} examples, got {population}.")
    base, worst = float(before.mean()), float(after.mean())
    mean = float(objective.value(theta))
    if not math.isclose(base, mean, rel_tol=1e-3, abs_tol=1e-5):
        raise ValueError(f"`each` must be the objective's loss without its mean, {mean:.6g}, got a mean of {base:.6g}.")
    influence = after / (1 + base) - before * (1 + worst) / (1 + base) ** 2
    error = float(influence.std()) / math.sqrt(count) if count > 1 else math.nan
    if population is not None:
        error = error * math.sqrt(1 - count / population) if count < population else 0.0
    return Rise(
        sharpness=100 * (worst - base) / (1 + base),
        standard_error=100 * error,
        base_loss=base,
        **Measured.ground(objective) | {"examples": count},
    )
