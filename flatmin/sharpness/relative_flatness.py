r"""The relative flatness of a layer: the trace of its Hessian, weighed with its weights. Petzka et al. (2021)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, seed_of, whole
from flatmin.core.progress import Advance, steps_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import dot


@dataclass(frozen=True, repr=False, kw_only=True)
class RelativeFlatness(Measured):
    r"""What :func:`relative_flatness` found.

    Attributes:
        value: :math:`\kappa`: large where it is sharp, in spite of its name.
        standard_error: Of it, over the draws; 0 where the sum was taken in full, NaN for one draw.
        layer: The parameter that it is of.
        exact: Whether the sum was taken in full.
        products: Products with the Hessian.
        seed: Of the draws.
    """

    value: float
    standard_error: float
    layer: str
    exact: bool
    products: int
    seed: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The value with its error, the layer, what it rests on."""
        error = "in full" if self.exact else f"± {self.standard_error:.2g}"
        yield f"relative flatness {self.value:.4g} {error}"
        if not self.exact and not abs(self.value) > 2 * self.standard_error:
            yield "NOT TOLD FROM 0: within two standard errors of it"
        yield f"layer {self.layer}, {self.products:,} products with the Hessian"
        yield from self.grounds()


def relative_flatness(
    objective: Any, *, layer: str | None = None, draws: int = 100, seed: int = 0, progress: bool = False
) -> RelativeFlatness:
    r"""The relative flatness of one layer.

    .. math:: \kappa = \sum_{s, s'} \langle w_s, w_{s'} \rangle \operatorname{tr} H_{s s'}
        = E\left[v^\top H v\right], \quad v = \operatorname{vec}(W Q), \; Q_{ij} \sim N(0, 1),

    with the rows :math:`w_s` of the layer's weight and the block H of the Hessian that belongs to it. Petzka et al.
    (2021). Where there are no more terms than ``draws`` (the smaller side of W times its columns), the sum is taken in
    full. The weight of a convolution is the matrix of its filters; transposed ones are left out. It does not change
    when layers are rescaled; it does when single neurons before the layer are.

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective`, or what has its ``shapes`` and ``restricted``.
        layer: Name of the layer or of its weight; the last but one by default, whose outputs are the features.
        draws: Of Q; each costs a product with the Hessian.
        seed: Of the draws, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The relative flatness, with its standard error.

    Raises:
        TypeError: If ``objective`` has no layers, or a number is of the wrong kind.
        ValueError: If there is no such layer, or a number is out of range.

    Example:
        >>> import torch
        >>> from flatmin import Objective
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> model.weight.data.fill_(3.0).shape
        torch.Size([1, 1])
        >>> batch = (torch.ones(4, 1), torch.zeros(4, 1))
        >>> relative_flatness(Objective(model, torch.nn.functional.mse_loss, [batch])).value  # 3 * 3 * 2
        18.0
    """
    whole("draws", draws, minimum=1)
    seed_of("seed", seed)
    if not hasattr(an_objective(objective), "restricted"):
        raise TypeError(
            f"`objective` must have layers, got {type(objective).__name__}; make an Objective of a network."
        )
    name = _named({n: shape for n, shape in objective.shapes.items() if n not in objective.transposed}, layer)
    part = objective.restricted([name])
    weight = part.theta.reshape(objective.shapes[name]).flatten(1)
    terms = min(weight.shape) * weight.shape[1]
    count = min(terms, draws)
    with steps_shown("relative flatness", count, shown=progress) as advance:
        if terms <= draws:
            value, error = float(_terms(part, _in_full(weight), count, advance).sum()), 0.0
        else:
            found = _terms(part, _at_random(weight, draws, seed), count, advance)
            value = float(found.mean())
            error = float(found.std()) / math.sqrt(draws) if draws > 1 else math.nan
    return RelativeFlatness(
        value=value,
        standard_error=error,
        layer=name,
        exact=terms <= draws,
        products=count,
        **Measured.ground(objective),
        seed=seed,
    )


def _named(shapes: dict[str, torch.Size], layer: str | None) -> str:
    """The weight of a layer.

    Raises:
        ValueError: If there is none.
    """
    known = [name for name, shape in shapes.items() if len(shape) > 1]
    told = ", ".join(known[-5:]) or "none"
    if layer is None:
        if not known:
            raise ValueError("`objective` must have a weight with rows and columns, got none.")
        return known[-2] if len(known) > 1 else known[-1]
    for name in (layer, f"{layer}.weight"):
        if name in known:
            return name
    raise ValueError(f"`layer` must name a weight with rows and columns, got {layer!r}; the last ones are {told}.")


def _in_full(weight: Tensor) -> Iterator[Tensor]:
    """Vectors whose forms add up to kappa: each left singular vector, times its value, in each column."""
    left, values, _ = torch.linalg.svd(weight.double(), full_matrices=False)
    for column in (left * values).T:
        for place in range(weight.shape[1]):
            matrix = torch.zeros_like(weight, dtype=torch.float64)
            matrix[:, place] = column
            yield matrix.to(weight)


def _at_random(weight: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    columns = weight.shape[1]
    for _ in range(draws):
        yield weight @ torch.randn(columns, columns, generator=generator, dtype=torch.float64).to(weight)


def _terms(part: Any, vectors: Iterator[Tensor], count: int, advance: Advance) -> Tensor:
    found = torch.empty(count, dtype=torch.float64)
    for k, vector in enumerate(vectors):
        flat = vector.reshape(-1)
        found[k] = dot(flat, part.hvp(flat))
        advance()
    return found
