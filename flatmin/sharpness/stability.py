"""The largest curvature that an optimiser stands: above it a quadratic loss throws it out, however near it starts."""

import math

from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from flatmin.core.checks import positive, within
from flatmin.objective.optimized import single_rate


def stability_threshold(
    learning_rate: float, *, momentum: float = 0.0, nesterov: bool = False, averaged: bool = False
) -> float:
    r"""The eigenvalue of the Hessian above which gradient descent with momentum leaves a quadratic minimum.

    Along an eigenvector of eigenvalue :math:`\lambda` its steps are a recursion :math:`x_{t+1} = a x_t - b x_{t-1}`,
    which stays bounded if :math:`|b| < 1` and :math:`|a| < 1 + b`. The edge that a large :math:`\lambda` reaches is
    :math:`a = -(1 + b)`, where x changes its sign at every step. With learning rate :math:`\eta`, momentum
    :math:`\beta`:

    - gradient descent, :math:`a = 1 - \eta\lambda, b = 0`: :math:`2 / \eta`;
    - heavy ball, :math:`a = 1 + \beta - \eta\lambda, b = \beta`: :math:`(2 + 2\beta) / \eta`;
    - Nesterov, :math:`a = (1 + \beta)(1 - \eta\lambda), b = \beta (1 - \eta\lambda)`:
      :math:`(2 + 2\beta) / ((1 + 2\beta)\eta)`;
    - averaged gradients, heavy ball with :math:`(1 - \beta)\eta`: :math:`(2 + 2\beta) / ((1 - \beta)\eta)`.

    Full-batch training brings the largest eigenvalue up to it and keeps it there (Cohen et al., 2021); with Adam, whose
    gradients are averaged, that of the preconditioned Hessian, and the line is :math:`38 / \eta` for
    :math:`\beta_1 = 0.9` (Cohen et al., 2022).

    Args:
        learning_rate: :math:`\eta`; nothing throws out what does not move, so that of 0 is infinite.
        momentum: :math:`\beta`; that of Adam is :math:`\beta_1`.
        nesterov: Nesterov's momentum instead of the heavy ball's.
        averaged: The momentum is a running mean of gradients, as Adam's, not their running sum.

    Returns:
        The threshold, in units of an eigenvalue.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range, or both kinds are asked for.

    Example:
        >>> stability_threshold(0.5), round(stability_threshold(1.0, momentum=0.9, averaged=True), 9)
        (4.0, 38.0)
    """
    within("learning_rate", learning_rate, ge=0, lt=math.inf)
    within("momentum", momentum, ge=0, lt=1)
    if nesterov and averaged:
        raise ValueError("`nesterov` and `averaged` must not both be asked for.")
    share = 1 + 2 * momentum if nesterov else 1 - momentum if averaged else 1
    return (2 + 2 * momentum) / (share * learning_rate) if learning_rate else math.inf


def threshold_of(optimizer: Optimizer, *, learning_rate: float | None = None) -> float:
    r"""The threshold of an optimiser of torch, for the Hessian that its scales precondition if it has any.

    Weight decay is not counted.

    Args:
        optimizer: ``SGD`` (with dampening, too), ``Adam``, ``AdamW``, ``RMSprop`` or ``Adagrad``.
        learning_rate: The one that counts, where groups have several.

    Returns:
        The threshold, see :func:`stability_threshold`.

    Raises:
        TypeError: If it is another optimiser.
        ValueError: If its groups have several learning rates and none is given.

    Example:
        >>> import torch
        >>> weights = [torch.nn.Parameter(torch.ones(2))]
        >>> round(threshold_of(torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True)), 9)
        13.571428571
    """
    if not isinstance(optimizer, SGD | Adam | AdamW | RMSprop | Adagrad):
        kind = type(optimizer).__name__
        raise TypeError(f"`optimizer` must be SGD, Adam, AdamW, RMSprop or Adagrad, got {kind}.")
    rate = single_rate(optimizer) if learning_rate is None else positive("learning_rate", learning_rate)
    group = optimizer.param_groups[0]
    if "betas" in group:
        return stability_threshold(rate, momentum=float(group["betas"][0]), averaged=True)
    rate *= 1 - group.get("dampening", 0.0)
    return stability_threshold(rate, momentum=group.get("momentum", 0.0), nesterov=group.get("nesterov", False))
