r"""The gradient-noise scale: beyond which batch size more examples a step hardly make the gradient better.

With G the gradient of the mean loss and :math:`\Sigma` the covariance of the gradients of single examples, it is
:math:`\mathrm{tr}(\Sigma) / |G|^2`, in examples. McCandlish et al. (2018); Smith and Le (2018) have another, below.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, positive, whole, within
from flatmin.core.errors import NotFinite
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured

KINDS = ("simple", "hessian")
PARTS = 50
"""Into so many parts the examples are cut unless a size is given."""


class Divisible(Protocol):
    """What is asked of an objective; its Hessian only for the kind that weighs by it."""

    @property
    def theta(self) -> Tensor:
        """Where the model stands, (size,)."""
        ...

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar."""
        ...

    def parts(self, size: int) -> Sequence[Any]:
        """The loss on disjoint parts of the examples, each with ``examples`` and ``value_and_gradient``."""
        ...

    def hvp(self, vector: Tensor) -> Tensor:
        """Hessian times a vector."""
        ...


@dataclass(frozen=True, repr=False, kw_only=True)
class GradientNoise(Measured):
    r"""What :func:`gradient_noise_scale` found.

    Attributes:
        value: The noise scale, in examples; NaN where the squared gradient is estimated at 0 or less.
        standard_error: Of it, by the jackknife over the parts.
        kind: ``simple`` or ``hessian``.
        variance: Estimate of :math:`\mathrm{tr}(\Sigma)`, or of :math:`\mathrm{tr}(H \Sigma)`.
        variance_error: Its standard error.
        signal: Estimate of :math:`|G|^2`, or of :math:`G^\top H G`; unbiased, so it may be negative.
        signal_error: Its standard error.
        size: Examples in a part.
        parts: Parts.
        evaluations: Gradients and Hessian products, each on a part or on all, counted in passes over the examples.
    """

    value: float
    standard_error: float
    kind: str
    variance: float
    variance_error: float
    signal: float
    signal_error: float
    size: int
    parts: int
    evaluations: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value with its error, whether it tells anything, what it rests on."""
        yield f"{self.kind} gradient-noise scale {self.value:.4g} ± {self.standard_error:.2g} examples"
        if not self.signal > 0:
            yield f"NO GRADIENT IS SEEN: its square is estimated at {self.signal:.3g} ± {self.signal_error:.2g}"
        elif not self.signal > 2 * self.signal_error:
            yield "THE GRADIENT IS NOT TOLD FROM 0: its square is within two standard errors of it"
        yield f"variance {self.variance:.4g} ± {self.variance_error:.2g}"
        yield f"signal {self.signal:.4g} ± {self.signal_error:.2g}"
        yield f"{self.parts:,} parts of {self.size:,}"
        yield from self.grounds()


def gradient_noise_scale(
    objective: Divisible,
    *,
    size: int | None = None,
    kind: Literal["simple", "hessian"] = "simple",
    progress: bool = False,
) -> GradientNoise:
    r"""McCandlish's noise scale from the gradients of disjoint parts of the examples (2018, section 2.2, appendix A).

    .. math:: B_{\mathrm{simple}} = \frac{\mathrm{tr}(\Sigma)}{|G|^2}, \quad
        B_{\mathrm{hessian}} = \frac{\mathrm{tr}(H \Sigma)}{G^\top H G}

    where G is the gradient of the distribution that the examples come from. With gradients :math:`G_i` of P parts of
    :math:`b_i` examples, N together, and their mean :math:`\bar G`,

    .. math:: \mathrm{tr}(\Sigma) \approx \frac{1}{P - 1} \sum_i b_i |G_i - \bar G|^2, \quad
        |G|^2 \approx |\bar G|^2 - \mathrm{tr}(\Sigma) / N,

    both without bias, also where the parts differ in size; for equal parts these are the paper's estimates for batches
    of b and N. The ratio has a bias of the order of 1/P and the standard error of the jackknife. It takes two passes of
    gradients over the examples and the memory of two of them; ``hessian`` takes P + 1 products of the whole loss more.

    With ``batch_norm="batch"`` each part has its own statistics, and the noise that these make is counted; a last part
    of one example, which has none, is left out.

    Args:
        objective: ``theta``, ``value``, ``parts``, and ``hvp`` for the kind that asks for it.
        size: Examples in a part; small ones give the noise more degrees of freedom, but take longer. ``None`` cuts the
            examples into some 50, of two at least.
        kind: ``simple``, or weighed by the ``hessian``.
        progress: Show a bar in the terminal.

    Returns:
        The noise scale with its standard error, and both of its terms with theirs.

    Raises:
        TypeError: If a number is of the wrong kind, or the objective has no parts.
        ValueError: If a number is out of range, or there are fewer than three parts.
        NotFinite: If a gradient is not finite.

    Example:
        >>> from torch.nn.functional import mse_loss
        >>> from flatmin import Objective
        >>> targets = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = model.weight.data.zero_()
        >>> objective = Objective(model, mse_loss, [(torch.ones(4, 1), targets)])
        >>> found = gradient_noise_scale(objective, size=1)  # gradients -2, -4, -6, -8
        >>> round(found.variance, 4), round(found.signal, 4), round(float(found), 4)
        (6.6667, 23.3333, 0.2857)
    """
    one_of("kind", kind, KINDS)
    if not hasattr(an_objective(objective), "parts"):
        found = type(objective).__name__
        raise TypeError(f"`objective` must have parts of its examples, got {found}; make an Objective of a network.")
    examples = getattr(objective, "examples", None) or PARTS
    size = max(2, math.ceil(examples / PARTS)) if size is None else whole("size", size, minimum=1)
    parts = objective.parts(size)
    if parts[-1].examples == 1 < size and Measured.ground(objective)["batch_norm"] not in (None, "running"):
        parts = parts[:-1]
    if len(parts) < 3:
        raise ValueError(f"`size` must leave at least three parts, got {len(parts)} of {size}; take a smaller one.")
    counts = torch.tensor([float(part.examples) for part in parts], dtype=torch.float64)
    mean = torch.zeros_like(objective.theta, dtype=torch.float64)
    spread, leaning = torch.zeros_like(counts), torch.zeros_like(counts)
    with steps_shown("gradient-noise scale", 2 * len(parts), shown=progress) as advance:
        for part, count in zip(parts, counts, strict=True):
            mean += part.value_and_gradient(part.theta)[1].double() * (count / counts.sum()).to(mean)
            advance()
        weighed = _weighed(objective, mean) if kind == "hessian" else mean
        for index, part in enumerate(parts):
            off = part.value_and_gradient(part.theta)[1].double() - mean
            spread[index] = torch.dot(_weighed(objective, off) if kind == "hessian" else off, off)
            leaning[index] = torch.dot(weighed, off)
            advance()
    square = float(torch.dot(weighed, mean))
    if not (math.isfinite(square) and spread.isfinite().all()):
        raise NotFinite("the gradients must be finite, got some that are not.")
    variance, signal = _estimates(counts, spread, square)
    left = [_without(index, counts, spread, leaning, square) for index in range(len(parts))]
    return GradientNoise(
        value=variance / signal if signal > 0 else math.nan,
        standard_error=_jackknife([one / other if other else math.nan for one, other in left]),
        kind=kind,
        variance=variance,
        variance_error=_jackknife([one for one, _ in left]),
        signal=signal,
        signal_error=_jackknife([other for _, other in left]),
        size=size,
        parts=len(parts),
        evaluations=2 + (len(parts) + 1) * (kind == "hessian"),
        **Measured.ground(objective),
    )


def _weighed(objective: Divisible, vector: Tensor) -> Tensor:
    return objective.hvp(vector.to(objective.theta)).double()


def _estimates(counts: Tensor, spread: Tensor, square: float) -> tuple[float, float]:
    """Variance and signal from the squares of the deviations and of the mean."""
    variance = float((counts * spread).sum()) / (len(counts) - 1)
    return variance, square - variance / float(counts.sum())


def _without(index: int, counts: Tensor, spread: Tensor, leaning: Tensor, square: float) -> tuple[float, float]:
    """The estimates without one part, whose mean is off by -b D / (N - b), D being that part's deviation."""
    kept = torch.arange(len(counts)) != index
    share = float(counts[index] / (counts.sum() - counts[index]))
    own, lean = float(spread[index]), float(leaning[index])
    rest = float((counts * spread)[kept].sum()) - float(counts[kept].sum()) * share**2 * own
    variance = rest / (len(counts) - 2)
    return variance, square - 2 * share * lean + share**2 * own - variance / float(counts[kept].sum())


def _jackknife(values: Sequence[float]) -> float:
    """Standard error from what an estimate is without each of its parts."""
    left = torch.tensor(values, dtype=torch.float64)
    return math.sqrt((len(left) - 1) / len(left) * float(((left - left.mean()) ** 2).sum()))


def smith_le_noise_scale(learning_rate: float, examples: int, batch_size: int, *, momentum: float = 0.0) -> float:
    r"""The noise scale of stochastic gradient descent as a diffusion (Smith and Le, 2018): a temperature of training.

    .. math:: g = \frac{\eta}{1 - \mu} \left( \frac{N}{B} - 1 \right) \approx \frac{\eta N}{B (1 - \mu)}

    Args:
        learning_rate: :math:`\eta`.
        examples: N, trained on.
        batch_size: B; with all examples there is no noise.
        momentum: :math:`\mu`.

    Returns:
        g, in units of the learning rate.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range.

    Example:
        >>> smith_le_noise_scale(0.5, 1000, 10, momentum=0.5)
        99.0
    """
    positive("learning_rate", learning_rate)
    whole("examples", examples, minimum=1)
    within("batch_size", whole("batch_size", batch_size, minimum=1), le=examples)
    within("momentum", momentum, ge=0, lt=1)
    return learning_rate * (examples / batch_size - 1) / (1 - momentum)
