"""The diagonal of the Hessian, and the trace of each layer."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.curvature.deflated import Deflated
from flatmin.curvature.protocols import Curved, curved, ground_of, point_of


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diagonal(Measured):
    """What :func:`diagonal` found.

    Attributes:
        values: The diagonal of H, (size,), float64.
        standard_errors: Of each entry, (size,), over the probes.
        layers: Names of the parameters; one for all where the objective has no names.
        traces: The sum of the entries of each, in this order, float64.
        trace_errors: Standard error of each sum.
        deflated: Vectors on which the matrix is known.
        probes: Random vectors behind the rest.
        products: Products with the Hessian.
    """

    long = ("values", "standard_errors")

    values: Tensor
    standard_errors: Tensor
    layers: tuple[str, ...]
    traces: Tensor
    trace_errors: Tensor
    deflated: int
    probes: int
    products: int

    def rows(self) -> dict[str, Any]:
        """One row a layer."""
        return {
            "layer": list(self.layers),
            "trace": self.traces.tolist(),
            "standard_error": self.trace_errors.tolist(),
        }

    def words(self) -> Iterator[str]:
        """The sums, and what they rest on."""
        pairs = zip(self.layers, self.traces.tolist(), self.trace_errors.tolist(), strict=True)
        yield "trace of " + ", ".join(f"{name} {value:.4g} ± {error:.2g}" for name, value, error in pairs)
        lost = float((self.standard_errors > self.values.abs()).double().mean())
        yield f"{lost:.0%} of the entries are smaller than their error"
        yield f"{self.products:,} products: {self.deflated} vectors deflated, {self.probes} probes of the rest"
        yield from self.grounds()


def diagonal(
    objective: Curved,
    *,
    probes: int = 20,
    deflate: int = 20,
    seed: int = 0,
    theta: Tensor | None = None,
    progress: bool = False,
) -> Diagonal:
    r"""The diagonal of the Hessian, with the error of each entry.

    .. math:: \mathrm{diag}\, H = \mathrm{diag}(H - P H P) + E_z\, z \odot P H P z

    Bekas, Kokiopoulou and Saad (2007), with the vectors of :func:`~flatmin.curvature.traces.trace` taken out first. A
    single entry needs many probes: its variance is the sum of the squares in its row. Sums over layers need few.

    Args:
        objective: ``theta``, ``size``, ``hvp``, and ``shapes`` for the names of the layers.
        probes: Random vectors.
        deflate: Vectors of Lanczos' process that are taken out of the noise, a product each.
        seed: Of the probes, the same on every device.
        theta: Where; the point at which the objective stands by default.
        progress: Show a bar in the terminal.

    Returns:
        The entries, and the trace of each layer.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> [round(value, 9) for value in diagonal(QuadraticObjective([1.0, 4.0, -2.0])).values.tolist()]
        [1.0, 4.0, -2.0]
    """
    curved(objective)
    whole("probes", probes, minimum=2)
    whole("deflate", deflate, minimum=0)
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    at = point_of(objective, theta)
    shapes: Mapping[str, Any] = getattr(objective, "shapes", {"all": at.shape})
    sizes = [math.prod(shape) for shape in shapes.values()]
    total = torch.zeros(at.numel(), dtype=torch.float64, device=at.device)
    squares, sums = torch.zeros_like(total), list[Tensor]()
    with full_precision(at.device), steps_shown("diagonal", deflate + probes, shown=progress) as advance:
        deflated = Deflated(objective, at, generator)
        while deflated.count < deflate and not deflated.whole and deflated.fits():
            deflated.widen()
            advance()
        taken = 0 if deflated.whole else probes
        for _ in range(taken):
            signs = deflated.signs()
            part = signs.double() * deflated.outside(signs)
            total += part
            squares += part.square()
            sums.append(_summed(part, sizes))
            advance()
        known = deflated.inside()
    mean = total / max(taken, 1)
    spread = (squares / max(taken, 1) - mean.square()).clamp(min=0) * taken / max(taken - 1, 1)
    each = torch.stack(sums) if sums else torch.zeros(2, len(sizes), dtype=torch.float64)
    return Diagonal(
        values=known + mean,
        standard_errors=(spread / max(taken, 1)).sqrt(),
        layers=tuple(shapes),
        traces=_summed(known, sizes) + each.mean(0),
        trace_errors=each.std(0) / math.sqrt(len(each)),
        deflated=deflated.count,
        probes=taken,
        products=deflated.products,
        **ground_of(objective, deflated.asymmetry),
    )


def _summed(entries: Tensor, sizes: list[int]) -> Tensor:
    return torch.stack([part.sum() for part in torch.split(entries, sizes)]).cpu()
