"""Training a curve of low loss between two networks. Garipov et al. (2018)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from flatmin.connectivity.curves import COEFFICIENTS, Curve
from flatmin.core.checks import an_objective, one_of, positive, seed_of, whole, within
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.landscapes.grid import vector

HALF, END, LAST = 0.5, 0.9, 0.01
"""The rate is constant for half of the epochs, falls to a hundredth until nine tenths, and stays there."""


def connect(
    first: Any,
    second: Any,
    *,
    curve: str = "bezier",
    bends: int = 1,
    epochs: int = 30,
    batch_size: int | None = 128,
    learning_rate: float = 0.015,
    momentum: float = 0.9,
    seed: int = 0,
    progress: bool = False,
) -> Curve:
    r"""A curve between two networks along which the loss is low. Garipov et al. (2018).

    .. math:: \min_{w_1, \dots, w_{n-1}} \; E_{t \sim U(0, 1)} \, L\Bigl(\sum_i c_i(t) \, w_i\Bigr)

    The ends stay; the bends begin on the straight segment. A step draws one t and one batch, and the gradient of each
    bend is :math:`c_i(t)` times that of the loss. Steps are those of gradient descent with momentum, at a rate that is
    constant for half of the epochs, falls to a hundredth until nine tenths of them, and stays there.

    Args:
        first: The network at t = 0, an objective; the loss is that of its batches, so that BatchNorm has to read
            ``"batch"`` or ``"reestimate"`` (statistics of the batch of a step are its own in both).
        second: The network at t = 1: an objective of the same network, or its weights (size,).
        curve: ``"bezier"`` or ``"polychain"``.
        bends: Control points between the ends.
        epochs: Passes over the examples; steps, where ``batch_size`` is ``None``.
        batch_size: Examples of a step, in a new order each epoch; ``None`` takes the whole loss in each.
        learning_rate: At first.
        momentum: Of the steps, in [0, 1).
        seed: Of the points and batches that are drawn.
        progress: ``True`` shows a bar in the terminal.

    Returns:
        The curve. Look at it by :meth:`Curve.evaluate`; what it takes is measured by :func:`barrier`.

    Raises:
        TypeError: If an argument is of the wrong kind, or there is a batch size and the objective has no examples.
        ValueError: If an argument is out of range, the networks differ, or BatchNorm reads ``"running"`` averages.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import FunctionObjective
        >>> ring = FunctionObjective(lambda w: (w.square().sum() - 1).square(), torch.tensor([1.0, 0.1]))
        >>> around = connect(ring, torch.tensor([-1.0, 0.1]), epochs=500, batch_size=None, learning_rate=0.2)
        >>> straight = float(ring.value(torch.tensor([0.0, 0.1])))
        >>> bool(around.evaluate(ring).loss.max() < 0.1 * straight)
        True
    """
    an_objective(first, "first")
    check_reading(first)
    if not hasattr(first, "value_and_gradient"):
        raise TypeError("`first` must have a gradient (value_and_gradient), got an objective of values alone.")
    start = first.theta
    end = vector("second", second.theta if hasattr(second, "theta") else second, start)
    if getattr(first, "shapes", None) != getattr(second, "shapes", getattr(first, "shapes", None)):
        raise ValueError("`first` and `second` must have the same parameters, got two different networks.")
    coefficients = COEFFICIENTS[one_of("curve", curve, COEFFICIENTS)]
    count = whole("bends", bends, minimum=1) + 2
    whole("epochs", epochs, minimum=1)
    positive("learning_rate", learning_rate)
    within("momentum", momentum, ge=0, lt=1)
    if batch_size is not None and whole("batch_size", batch_size, minimum=1) and not hasattr(first, "shuffled"):
        raise TypeError("`batch_size` must be None for an objective that has no examples to draw.")
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    bent = torch.stack([start + (end - start) * (i / (count - 1)) for i in range(1, count - 1)]).requires_grad_()
    descent = torch.optim.SGD([bent], lr=learning_rate, momentum=momentum)
    before, losses, steps, diverged = bent.detach().clone(), list[float](), 0, False
    with steps_shown("curve", epochs, shown=progress) as advance:
        for epoch in range(epochs):
            descent.param_groups[0]["lr"] = learning_rate * rate(epoch / epochs)
            total, weight = 0.0, 0
            for part, examples in _batches(first, batch_size, generator):
                share = coefficients(float(torch.rand((), generator=generator, dtype=torch.float64)), count).to(start)
                value, gradient = part.value_and_gradient(_at(share, start, bent, end))
                if diverged := not (bool(value.isfinite()) and bool(gradient.isfinite().all())):
                    break
                before.copy_(bent.detach())
                bent.grad = share[1:-1, None] * gradient
                descent.step()
                total, weight, steps = total + float(value) * examples, weight + examples, steps + 1
            losses.append(total / weight if weight and not diverged else float("nan"))
            advance()
            if diverged:
                break
    found = before if diverged else bent.detach()
    return Curve(
        curve=curve,
        points=torch.cat([start[None], found, end[None]]).cpu(),
        losses=torch.tensor(losses, dtype=torch.float64),
        steps=steps,
        batch_size=batch_size,
        learning_rate=float(learning_rate),
        momentum=float(momentum),
        seed=seed,
        diverged=diverged,
        **Measured.ground(first),
    )


def rate(done: float) -> float:
    """The share of the learning rate when so much of the training is done.

    Example:
        >>> [round(rate(done), 3) for done in (0.0, 0.5, 0.7, 0.95)]
        [1.0, 1.0, 0.505, 0.01]
    """
    return 1 - (1 - LAST) * min(1.0, max(0.0, (done - HALF) / (END - HALF)))


def check_reading(objective: Any) -> None:
    """Refuse the running averages of one end for the whole curve.

    Raises:
        ValueError: If they would be used.
    """
    if getattr(objective, "has_batch_norm", False) and objective.batch_norm == "running":
        raise ValueError(
            "batch_norm='running' would use the averages of `first` all along the curve; make the objective with "
            "batch_norm='batch' or 'reestimate'."
        )


def _batches(objective: Any, size: int | None, generator: torch.Generator) -> Iterator[tuple[Any, int]]:
    """The objectives of an epoch's steps, each with the number of its examples."""
    if size is None:
        yield objective, 1
        return
    yield from ((part, part.examples) for part in objective.shuffled(size, generator))


def _at(share: Tensor, start: Tensor, bent: Tensor, end: Tensor) -> Tensor:
    """The point of these coefficients."""
    return share[0] * start + share[1:-1] @ bent.detach() + share[-1] * end
