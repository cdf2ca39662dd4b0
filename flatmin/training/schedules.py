"""Schedulers of torch and Lightning from the factors of :mod:`flatmin.training.rates`."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from flatmin.core.checks import reiterable, whole
from flatmin.training.rates import RateFactor, WarmUp, product

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


def warm_up(
    optimizer: "Optimizer",
    steps: int,
    *,
    start: float = WarmUp.start,
    shape: Literal["gradual", "constant"] = WarmUp.shape,
) -> "LambdaLR":
    """A warm-up for a loop of one's own: call ``step()`` of what it returns after each step of the optimiser.

    Step t of the first T takes the share :math:`s + (1 - s) t / T` of the rates that the optimiser has now, any later
    one all of them. :class:`~flatmin.training.rates.WarmUp` has the source and the meaning of ``start``.

    It sets the rate, and so overrules another scheduler that works at the same time: one after the other is
    ``SequentialLR``, a warm-up with a decay in one is :func:`rate_schedule`.

    Args:
        optimizer: Its rates are the full ones.
        steps: How many, T.
        start: Share of the full rate at the first step, s.
        shape: ``"gradual"``, or ``"constant"``: s at all T steps.

    Raises:
        TypeError: If ``steps`` is not whole, or ``start`` is no number.
        ValueError: If one is out of range, or there is no such shape.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3.2)
        >>> scheduler = warm_up(optimizer, 4, start=0.25)
        >>> rates = []
        >>> for step in range(6):
        ...     rates.append(round(scheduler.get_last_lr()[0], 6))
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.8, 1.4, 2.0, 2.6, 3.2, 3.2]
    """
    from torch.optim.lr_scheduler import LambdaLR

    part = WarmUp(epochs=whole("steps", steps, minimum=1), start=start, shape=shape)
    return LambdaLR(optimizer, lambda step: part.at(step))


def rate_schedule(
    optimizer: "Optimizer", steps_per_epoch: int | Sequence[int], *parts: RateFactor | None
) -> dict[str, Any]:
    """A schedule as ``configure_optimizers`` of a LightningModule returns it, renewed after each step.

    The step after ``step`` others takes the product of the parts at that point of the epoch, in closed form, times the
    rates that the optimiser has now: a training that is resumed from Lightning's checkpoint has the same rates, bit for
    bit. Other parts than those of the checkpoint are not seen.

    Args:
        optimizer: Its rates are the full ones.
        steps_per_epoch: Batches an epoch, divided by ``accumulate_grad_batches`` and rounded up; or, where the batch
            grows, a list of one number for each epoch, of which the last holds for all later ones.
        parts: Warm-up, decay and so on; ``None`` is left out.

    Returns:
        ``scheduler``, ``interval``, ``frequency`` and ``name``; a dictionary for ``"lr_scheduler"``.

    Raises:
        TypeError: If a number of steps is not whole.
        ValueError: If one is below one, or the list is empty.

    Example:
        >>> import pytorch_lightning as pl, torch
        >>> from flatmin.training import Decay, WarmUp
        >>> class Module(pl.LightningModule):
        ...     def configure_optimizers(self):
        ...         optimizer = torch.optim.SGD(self.parameters(), lr=3.2, momentum=0.9)
        ...         schedule = rate_schedule(optimizer, 196, WarmUp(epochs=5), Decay(epochs=(30, 60, 80)))
        ...         return {"optimizer": optimizer, "lr_scheduler": schedule}
    """
    from torch.optim.lr_scheduler import LambdaLR

    epoch, rate = epoch_of(steps_per_epoch), product(*parts)
    scheduler = LambdaLR(optimizer, lambda step: rate(epoch(step)))
    return {"scheduler": scheduler, "interval": "step", "frequency": 1, "name": "learning_rate"}


def epoch_of(steps_per_epoch: int | Sequence[int]) -> Callable[[int], float]:
    """The epochs that are done after so many steps.

    Args:
        steps_per_epoch: One number for all epochs, or a list of one for each; the last holds for all later ones.

    Raises:
        TypeError: If a number of steps is not whole.
        ValueError: If one is below one, or the list is empty.

    Example:
        >>> epoch = epoch_of([4, 2])
        >>> [epoch(step) for step in (0, 3, 4, 5, 6, 9)]
        [0.0, 0.75, 1.0, 1.5, 2.0, 3.5]
    """
    given = [steps_per_epoch] if isinstance(steps_per_epoch, int) else [*reiterable("steps_per_epoch", steps_per_epoch)]
    lengths = [whole("steps_per_epoch", length, minimum=1) for length in given]
    if not lengths:
        raise ValueError("`steps_per_epoch` must hold one number or more, got none.")
    starts = [0, *accumulate(lengths)][:-1]

    def epoch(step: int) -> float:
        begun = bisect_right(starts, step) - 1
        return (begun * lengths[begun] + step - starts[begun]) / lengths[begun]

    return epoch
