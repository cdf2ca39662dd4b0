r"""Along how many directions the loss rises steeply: Keskar et al.'s claim that they are few, about 5 %, counted.

In many dimensions random directions are alike: each has about the mean curvature, the trace of the Hessian over the
number of weights. That none of them is steep says that few eigenvectors are; how many, only these say.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import positive, seed_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.precision import full_precision
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.core.shares import Share, wilson
from flatmin.core.vectors import dot, norm
from flatmin.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from flatmin.curvature.protocols import Graded, curved
from flatmin.objective.filters import like_filters

KINDS = ("eigenvector", "orthogonal", "gaussian", "filter", "box", "gradient")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SteepDirections(Measured):
    r"""What :func:`steep_directions` found; ``float()`` is the steep share of the Gaussian directions.

    Attributes:
        directions: The kind of each, one of `KINDS`; the entries of the other vectors belong to them, float64.
        rises: The higher rise of the loss of both ways along it, at ``length``; infinite where a loss is no number.
        box_lengths: The longest step along it in the box.
        box_rises: The higher rise of both ways there.
        length: The same for all directions: that of the corners of the box.
        epsilon: Relative half-width of the box.
        threshold: A rise above it is steep, in units of the loss.
        share: And one above this share of the highest rise at the same length is steep beside it.
        eigenvalues: (k,), descending, float64.
        base_loss: Loss at theta.
        size: Weights.
        converged: Whether the eigenvectors are.
        evaluations: Losses computed.
        seed: Of the directions.
    """

    directions: tuple[str, ...]
    rises: Tensor
    box_lengths: Tensor
    box_rises: Tensor
    length: float
    epsilon: float
    threshold: float
    share: float
    eigenvalues: Tensor
    base_loss: float
    size: int
    converged: bool
    evaluations: int
    seed: int

    def __float__(self) -> float:
        return self.steep("gaussian").value

    def rows(self) -> dict[str, Any]:
        """One row a direction."""
        numbers = [float(self.directions[:place].count(kind) + 1) for place, kind in enumerate(self.directions)]
        return {"kind": list(self.directions), "number": numbers} | {
            name: getattr(self, f"{name}s").tolist() for name in ("rise", "box_length", "box_rise")
        }

    def of_kind(self, kind: str, values: Tensor) -> Tensor:
        """The entries that belong to one kind of direction."""
        return values[[one == kind for one in self.directions]]

    def steep(self, kind: str, *, relative: bool = False) -> Share:
        """The share of one kind of directions that is steep at ``length``.

        Args:
            kind: One of `KINDS`.
            relative: By ``share`` rather than by ``threshold``.
        """
        highest = float(self.rises.nan_to_num(-math.inf).max())
        rises = self.of_kind(kind, self.rises)
        return wilson(int((rises > (self.share * highest if relative else self.threshold)).sum()), len(rises))

    def by_kind(self) -> list[dict[str, Any]]:
        """A row for each kind of direction: how many there are, how many are steep, how high the loss rises."""
        rows = []
        for kind in dict.fromkeys(self.directions):
            rises, inside = self.of_kind(kind, self.rises), self.of_kind(kind, self.box_rises)
            plain, relative = self.steep(kind), self.steep(kind, relative=True)
            rows.append(
                {
                    **{"kind": kind, "directions": len(rises), "size": self.size, "length": self.length},
                    **{"threshold": self.threshold, "share": plain.value, "low": plain.low, "high": plain.high},
                    "standard_error": plain.standard_error,
                    **{"relative_share": relative.value, "relative_low": relative.low, "relative_high": relative.high},
                    **{"mean_rise": float(rises.mean()), "highest_rise": float(rises.max())},
                    **{"box_length": float(self.of_kind(kind, self.box_lengths).mean())},
                    **{"box_mean_rise": float(inside.mean()), "box_highest_rise": float(inside.max())},
                }
            )
        return rows

    def words(self) -> Iterator[str]:
        """How many of each kind are steep, and what that rests on."""
        yield f"steep, by a rise above {self.threshold:g} at length {self.length:.3g}"
        for row in self.by_kind():
            steep = round(row["share"] * row["directions"])
            yield f"{steep} of {row['directions']} {row['kind']} (highest rise {row['highest_rise']:.3g})"
        if not self.converged:
            yield "NOT CONVERGED: an eigenvector is none yet"
        yield f"epsilon {self.epsilon:g}, loss {self.base_loss:.4g}, {self.evaluations:,} evaluations"
        yield from self.grounds()


def steep_directions(
    objective: Graded,
    *,
    epsilon: float = 1e-3,
    directions: int = 40,
    k: int = 20,
    threshold: float = 0.1,
    share: float = 0.1,
    tolerance: float = 1e-2,
    products: int = 500,
    eigenvalues: Eigenvalues | None = None,
    seed: int = 0,
    progress: bool = False,
) -> SteepDirections:
    r"""Go a step along random directions and along eigenvectors, both ways, and count where the loss rises steeply.

    Keskar et al. (2017), section 2.2.2: at large-batch minima the loss rises steeply along a small subspace, about 5 %
    of the dimensions, and is flat along most others. Steps have one Euclidean length, that of the corners of their box,
    :math:`\|w\|` with :math:`w_i = \epsilon (|\theta_i| + 1)`; and, beside it, the longest in the box. Directions:

    ``eigenvector``
        those of the k largest eigenvalues.
    ``orthogonal``
        Gaussian ones without what they have of these.
    ``gaussian``
        every weight alike, :math:`N(0, I)`.
    ``filter``
        filter-normalised ones (Li et al., 2018), in which biases and the weights of BatchNorm stay as they are.
    ``box``
        :math:`w_i` times a Gaussian one.
    ``gradient``
        the corner that the gradient points to, :math:`w_i\, \mathrm{sign}\, g_i`; the only one of its kind.

    Args:
        objective: ``theta``, ``size``, ``value``, ``value_and_gradient`` and ``hvp``, such as an
            :class:`~flatmin.objective.objective.Objective`; its ``shapes`` tell its filters apart.
        epsilon: Relative half-width of the box.
        directions: Random ones of each kind; 73 flat ones show, at 95 %, that at most 5 % are steep.
        k: Eigenvectors; all where there are fewer weights.
        threshold: A rise above it is steep.
        share: So is, in ``relative`` counts, one above this share of the highest of all.
        tolerance: Of each eigenvector's residual, relative to its value.
        products: Products with the Hessian at most.
        eigenvalues: The largest ones, found before at the same point; then ``k``, ``tolerance`` and ``products`` do not
            count.
        seed: Of the directions, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The rises, and the share of steep ones of each kind with Wilson's interval.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or ``eigenvalues`` of another size.
        NotFinite: If the loss at theta, or a product, is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> valley = QuadraticObjective([1000.0] + [0.0] * 99)  # a mean curvature of 10, at length 1 a rise of 5
        >>> found = steep_directions(valley, epsilon=0.1, k=2, threshold=50)
        >>> found.steep("eigenvector").value, found.steep("gaussian").value, round(found.length, 6)
        (0.5, 0.0, 1.0)
    """
    positive("epsilon", epsilon)
    positive("threshold", threshold)
    positive("share", share)
    whole("directions", directions, minimum=1)
    whole("k", k, minimum=1)
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    at = curved(objective).theta
    base = float(objective.value(at))
    if not math.isfinite(base):
        raise NotFinite(f"the loss at theta must be finite, got {base}.")
    with full_precision(at.device):
        known = eigenvalues or top_eigenvalues(
            objective, min(k, objective.size), tolerance=tolerance, products=products, seed=seed, copies=False
        )
        if known.vectors.shape[1:] != at.shape:
            raise ValueError(f"`eigenvalues` must be of {objective.size} weights, got {known.vectors.shape[1]}.")
        width = (epsilon * (at.abs() + 1)).to(at)
        length, kinds, found = norm(width), list[str](), list[tuple[float, float, float]]()

        def rise(step: Tensor) -> float:
            up = float(objective.value(at + step)) - base
            return math.inf if math.isnan(up) else up

        total = len(known.vectors) + 4 * directions + 1
        with steps_shown("directions", total, shown=progress) as advance:
            for kind, direction in _directions(objective, at, width, known.vectors, directions, generator):
                if not (size := norm(direction)):
                    continue
                unit = direction / size
                inside = float((width / unit.abs()).min())
                higher = (max(rise(step * unit), rise(-step * unit)) for step in (length, inside))
                kinds.append(kind)
                found.append((next(higher), inside, next(higher)))
                advance()
    rises, box_lengths, box_rises = torch.tensor(found, dtype=torch.float64).unbind(1)
    return SteepDirections(
        directions=tuple(kinds),
        rises=rises,
        box_lengths=box_lengths,
        box_rises=box_rises,
        length=length,
        epsilon=float(epsilon),
        threshold=float(threshold),
        share=float(share),
        eigenvalues=known.values.double().cpu(),
        base_loss=base,
        size=objective.size,
        converged=known.converged,
        evaluations=4 * len(kinds) + 1,
        seed=seed,
        **Measured.ground(objective),
    )


def _directions(
    objective: Any, at: Tensor, width: Tensor, vectors: Tensor, directions: int, generator: torch.Generator
) -> Iterator[tuple[str, Tensor]]:
    """Every direction with its kind; one of length 0 where there is none, as with a gradient of 0."""

    def drawn() -> Tensor:
        return torch.randn(at.numel(), generator=generator, dtype=torch.float64)

    for vector in vectors:
        yield "eigenvector", vector.to(at)
    for _ in range(directions if len(vectors) < at.numel() else 0):
        rest = drawn().to(at)
        for vector in vectors:
            rest = torch.sub(rest, vector.to(at), alpha=dot(vector, rest))
        yield "orthogonal", rest
    for _ in range(directions):
        yield "gaussian", drawn().to(at)
    for _ in range(directions):
        yield "filter", like_filters(objective, drawn(), at)
    for _ in range(directions):
        yield "box", width * drawn().to(at)
    yield "gradient", width * torch.sign(objective.value_and_gradient(at)[1])
