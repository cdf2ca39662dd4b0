r"""RMSprop warm-up: a start by RMSprop that turns into SGD with momentum, epoch by epoch.

.. math::

    m \leftarrow \mu_2 m + (1 - \mu_2) g^2, \qquad
    d \leftarrow \mu_1 d - \Bigl(\alpha_{SGD} + \frac{\alpha_{RMS}}{\sqrt m + \epsilon}\Bigr) g, \qquad
    w \leftarrow w + \eta d

with :math:`\alpha_{RMS} = (1 - \alpha_{SGD}) \, \eta_{RMS} / \eta`. Akiba, Suzuki and Fukuda (2017), Extremely large
minibatch SGD: training ResNet-50 on ImageNet in 15 minutes, section 3.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch

from flatmin.core.checks import positive, within
from flatmin.optimizers.grouped import Grouped, Limits, evaluated


def rmsprop_share(epoch: float, center: float = 10.0, period: float = 5.0) -> float:
    r"""The share :math:`1 - \alpha_{SGD}` of RMSprop in the blend: 1 long before ``center``, 1/2 there, 0 soon after.

    :math:`\alpha_{SGD}` is :math:`\frac12 e^{2 (e - c) / P}` before the centre c, rises in a line from 1/2 to 1 over
    half a period P and is 1 after that. The line is :math:`\frac12 + (e - c) / P`: secondary sources print
    :math:`\frac12 + 2 (e - c) / P`, which runs up to 1.5 and falls back to 1.

    Args:
        epoch: Passes over the data so far; a fraction counts.
        center: c, in epochs.
        period: P, in epochs, positive.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is out of range.

    Example:
        >>> [round(rmsprop_share(epoch), 3) for epoch in (0, 7.5, 10, 11.25, 12.5, 20)]
        [0.991, 0.816, 0.5, 0.25, 0.0, 0.0]
    """
    within("epoch", epoch, ge=0)
    within("center", center, ge=0)
    positive("period", period)
    away = (epoch - center) / period
    return 1 - math.exp(2 * away) / 2 if away < 0 else max(0.5 - away, 0.0)


def steps_per_epoch(trainer: Any) -> float:
    """How many steps a Lightning Trainer takes in an epoch, for use in ``configure_optimizers``.

    Args:
        trainer: The Trainer, whose data loaders are set up if they are not yet; ``None``, for a module that has none,
            counts as one step.
    """
    if trainer is None:
        return 1.0
    _ = trainer.estimated_stepping_batches  # sets the loaders up, without which the number of batches is not known
    return float(max(trainer.num_training_batches / trainer.accumulate_grad_batches, 1))


class RMSpropWarmUp(Grouped):
    r"""SGD with momentum that starts as RMSprop. No package that was looked at has it.

    It knows the epoch by counting its own steps, and keeps it in its state and, as ``epoch``, in each group, where a
    loop whose epochs change in length can set it. The authors also do without running averages in BatchNorm: they use
    the statistics of the last batch.

    Args:
        params: Parameters, or groups of them (each can have any of these settings).
        lr: :math:`\eta`, positive.
        steps_per_epoch: Steps that make an epoch, positive; :func:`steps_per_epoch` asks Lightning's Trainer.
        momentum: :math:`\mu_1`, in [0, 1).
        weight_decay: Added to the gradient times the weights, at least 0.
        rms_lr: :math:`\eta_{RMS}`, positive.
        decay: :math:`\mu_2`, in [0, 1).
        eps: :math:`\epsilon`, positive.
        center: Epoch at which both have a half, as in :func:`rmsprop_share`.
        period: How long the change takes, in epochs.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = RMSpropWarmUp([weight], lr=0.1, steps_per_epoch=10, center=0.0)
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer.step()
        >>> optimizer.param_groups[0]["epoch"]
        0.1
        >>> weight.data    # 1 - 0.1 * 2 / 2 - 0.5 * 3e-4 * 2 / 0.2
        tensor([0.8985])
    """

    limits: ClassVar[Mapping[str, Limits]] = {
        "lr": {"gt": 0},
        "steps_per_epoch": {"gt": 0},
        "momentum": {"ge": 0, "lt": 1},
        "weight_decay": {"ge": 0},
        "rms_lr": {"gt": 0},
        "decay": {"ge": 0, "lt": 1},
        "eps": {"gt": 0},
        "center": {"ge": 0},
        "period": {"gt": 0},
        "epoch": {"ge": 0},
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        steps_per_epoch: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        rms_lr: float = 3e-4,
        decay: float = 0.99,
        eps: float = 1e-8,
        center: float = 10.0,
        period: float = 5.0,
    ) -> None:
        settings = {
            "lr": lr,
            "steps_per_epoch": steps_per_epoch,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "rms_lr": rms_lr,
            "decay": decay,
            "eps": eps,
            "center": center,
            "period": period,
            "epoch": 0.0,
        }
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step.

        Args:
            closure: Computes the gradients and returns the loss; ``None`` takes the gradients there are.

        Returns:
            What the closure returns.

        Raises:
            RuntimeError: If a gradient is sparse or a weight complex.
            ValueError: If a schedule has set the rate to 0, by which RMSprop's part would be divided.
        """
        loss = evaluated(closure)
        for group in self.param_groups:
            self._move(group)
            group["epoch"] += 1 / group["steps_per_epoch"]
        return loss

    def _move(self, group: dict[str, Any]) -> None:
        positive("lr", group["lr"])
        weights, slopes = self.moving(group)
        if not weights:
            return
        share = rmsprop_share(group["epoch"], group["center"], group["period"])
        if group["weight_decay"]:
            slopes = list(torch._foreach_add(slopes, weights, alpha=group["weight_decay"]))
        for weight in weights:
            if not self.state[weight]:
                self.state[weight].update(square=torch.zeros_like(weight), direction=torch.zeros_like(weight))
        squares, directions = ([self.state[weight][name] for weight in weights] for name in ("square", "direction"))
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, slopes, slopes, value=1 - group["decay"])
        torch._foreach_mul_(directions, group["momentum"])
        torch._foreach_add_(directions, slopes, alpha=share - 1)
        if share:
            below = torch._foreach_sqrt(squares)
            torch._foreach_add_(below, group["eps"])
            torch._foreach_addcdiv_(directions, slopes, below, value=-share * group["rms_lr"] / group["lr"])
        torch._foreach_add_(weights, directions, alpha=group["lr"])
