"""The loss of a network whose weights are rounded to few bits: the perturbation that is made when one is shipped."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.result import Measured
from flatmin.core.vectors import norm

SCALES = ("tensor", "channel")
MOST = 24
"""Bits from which on float32 has no numbers between the levels."""


@dataclass(frozen=True, repr=False, kw_only=True)
class RoundingRise(Measured):
    """What :func:`rounding_rise` found.

    Attributes:
        value: Rise of the loss; infinite or NaN where the loss was.
        accuracy_drop: Drop of the accuracy; NaN where there is none.
        bits: Of each weight, its sign among them.
        scale: What has a step of its own: ``"tensor"`` or ``"channel"``.
        distance: Euclidean length of what rounding changed.
        rounded: Weights that were rounded.
        base_loss: The loss before.
        base_accuracy: The accuracy before.
        evaluations: Passes over the examples.
    """

    value: float
    accuracy_drop: float
    bits: int
    scale: str
    distance: float
    rounded: int
    base_loss: float
    base_accuracy: float
    evaluations: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The rise, what was rounded, what it rests on."""
        drop = "" if math.isnan(self.accuracy_drop) else f", accuracy lower by {self.accuracy_drop:.4g}"
        yield f"loss higher by {self.value:.4g}{drop}"
        if not math.isfinite(self.value):
            yield "NOT FINITE: the loss was not"
        yield f"{self.rounded:,} weights in {self.bits} bits, a step for each {self.scale}"
        yield f"moved by {self.distance:.3g}, loss {self.base_loss:.4g}"
        yield from self.grounds()


def rounding_rise(objective: Any, *, bits: int = 4, scale: str = "tensor") -> RoundingRise:
    r"""The rise of the loss when the weights are rounded to equal steps, symmetric about 0.

    .. math:: w \mapsto s \operatorname{round}(w / s), \quad s = \frac{\max |w|}{2^{b - 1} - 1}

    with the largest weight of the parameter, or of what belongs to one output of it. Parameters without rows, such as
    biases and those of BatchNorm, stay as they are; so do activations. It is exact, and does not change when whole
    layers are rescaled.

    Args:
        objective: ``theta`` and ``value`` or ``evaluate``; without ``shapes`` the whole vector is one parameter.
        bits: Of each weight, 2 to 24.
        scale: ``"tensor"``: one step a parameter; ``"channel"``: one for each of its outputs.

    Returns:
        The rise of the loss and the drop of the accuracy.

    Raises:
        TypeError: If ``bits`` is no whole number.
        ValueError: If ``bits`` or ``scale`` is none of these.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = rounding_rise(QuadraticObjective([1.0, 1.0], theta=torch.tensor([3.0, 1.2])), bits=3)
        >>> round(found.value, 6)  # steps of 1: (3, 1.2) becomes (3, 1)
        -0.22
    """
    if whole("bits", bits, minimum=2) > MOST:
        raise ValueError(f"`bits` must be at most {MOST}, got {bits}.")
    one_of("scale", scale, SCALES)
    theta = an_objective(objective).theta
    base, base_accuracy = _scored(objective, theta)
    if not math.isfinite(base):
        raise NotFinite(f"the loss at theta must be finite, got {base}.")
    near, rounded = _rounded(objective, theta, bits, by_channel=scale == "channel")
    loss, accuracy = _scored(objective, near)
    return RoundingRise(
        value=loss - base,
        accuracy_drop=base_accuracy - accuracy,
        bits=bits,
        scale=scale,
        distance=norm(near - theta),
        rounded=rounded,
        base_loss=base,
        base_accuracy=base_accuracy,
        evaluations=2,
        **Measured.ground(objective),
    )


def _scored(objective: Any, theta: Tensor) -> tuple[float, float]:
    """Loss and accuracy."""
    if hasattr(objective, "evaluate"):
        found = objective.evaluate(theta)
        return float(found.loss), float(found.accuracy)
    return float(objective.value(theta)), math.nan


def _rounded(objective: Any, theta: Tensor, bits: int, *, by_channel: bool) -> tuple[Tensor, int]:
    """The weights near by, and how many were rounded."""
    shapes: Mapping[str, torch.Size] = getattr(objective, "shapes", {"": torch.Size((1, len(theta)))})
    transposed: Mapping[str, int] = getattr(objective, "transposed", {})
    parts, count = list[Tensor](), 0
    sizes = [shape.numel() for shape in shapes.values()]
    for (name, shape), part in zip(shapes.items(), torch.split(theta, sizes), strict=True):
        if len(shape) < 2:
            parts.append(part)
            continue
        weight, count = part.view(shape), count + part.numel()
        groups = transposed.get(name, 1)
        rows = weight.reshape(groups, -1, *shape[1:]).transpose(1, 2) if name in transposed else weight.unsqueeze(0)
        axes = [axis for axis in range(rows.ndim) if axis > 1 or not by_channel]
        step = rows.abs().amax(axes, keepdim=True) / (2 ** (bits - 1) - 1)
        near = torch.where(step > 0, step * (rows / step.clamp(min=torch.finfo(rows.dtype).tiny)).round(), rows)
        parts.append((near.transpose(1, 2) if name in transposed else near).reshape(-1))
    return torch.cat(parts), count
