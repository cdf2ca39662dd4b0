"""Keskar et al.'s sharpness, with a maximiser that can be trusted beside the published one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of
from flatmin.core.precision import full_precision
from flatmin.core.progress import evaluations_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.sharpness.box import Box, Unbounded
from flatmin.sharpness.search import (
    CORRECTIONS,
    MOST_ITERATIONS,
    PAPER_ITERATIONS,
    Climb,
    published_search,
    strong_search,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISAGREE = 0.1
WHY_NOT = {"paper": "its ten iterations were over before it stopped rising", "strong": "a climb ran out of iterations"}
METHODS: dict[str, dict[str, int]] = {
    "paper": {"iterations": PAPER_ITERATIONS, "corrections": CORRECTIONS, "version": 2},
    "strong": {"iterations": MOST_ITERATIONS, "corrections": CORRECTIONS, "version": 6},
}


class Differentiable(Protocol):
    """What the sharpness asks of an objective: a point, the loss, and the loss with its gradient."""

    @property
    def theta(self) -> Tensor:
        """The point whose sharpness is asked for, a vector."""
        ...

    def value(self, theta: Tensor) -> Tensor:
        """The loss at ``theta``, a scalar tensor."""
        ...

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The loss at ``theta`` and its gradient."""
        ...


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sharpness(Measured):
    r"""What a search found; ``float()`` gives the sharpness.

    Attributes:
        sharpness: :math:`\phi`, in per cent.
        base_loss: Loss at theta.
        worst_loss: Highest loss seen in the box; may be infinite.
        epsilon: Relative half-width of the box.
        method: ``"paper"`` or ``"strong"``.
        subspace_dim: Columns of the random A; ``None`` for the full space.
        seed: Of A and of the random starts.
        evaluations: Losses computed, with or without gradient.
        iterations: Iterations of all climbs but one that infinity cut short.
        share_at_bound: Share of the coordinates of the worst point that lie on the bound of the box.
        perturbation_norm: Euclidean length of the worst perturbation A z.
        climbs: Highest loss of each climb, the published one first.
        spread: How far the climbs after the published one disagree, (highest - lowest) / rise; NaN if there is none or
            the rise is infinite, 0 if nothing rose.
        converged: Whether none of these ran out of iterations; for ``"paper"``, whether it could climb no further
            before its ten were over. Never where the box is not ``resolved`` or the loss is infinite in it.
        resolved: Whether ``epsilon`` is at least 32 machine epsilons of the objective's dtype (4e-6 in float32). Below,
            rounding decides the value: take an objective in float64.
        not_a_number: Points at which the loss was NaN; they were passed over.
        coordinates: z of the worst point, (dim,); shares of the weights where the box is relative.
        perturbation: A z of the worst point, (size,): ``theta + perturbation`` has the loss ``worst_loss``.
        box: ``"published"`` or ``"relative"``.
    """

    sharpness: float
    base_loss: float
    worst_loss: float
    epsilon: float
    method: str
    subspace_dim: int | None
    seed: int
    evaluations: int
    iterations: int
    share_at_bound: float
    perturbation_norm: float
    climbs: tuple[float, ...]
    spread: float
    converged: bool
    resolved: bool
    not_a_number: int
    coordinates: Tensor
    perturbation: Tensor
    box: str = "published"
    long = ("coordinates", "perturbation")
    unit = "%"

    def __float__(self) -> float:
        return self.sharpness

    def words(self) -> Iterator[str]:
        """The value, whether and why it can be trusted, what it rests on."""
        yield f"{self.sharpness:.4g} %" + ("" if math.isfinite(self.sharpness) else ": the loss is infinite in the box")
        if not self.resolved:
            yield "NOT RESOLVED: rounding decides in so small a box, take an objective in float64"
        elif self.converged:
            yield "converged"
        else:
            yield f"NOT CONVERGED: {WHY_NOT[self.method]}; the maximum may be higher"
        if self.spread > DISAGREE:
            yield f"CLIMBS DISAGREE by {self.spread:.0%} of the rise"
        if self.not_a_number:
            yield f"{self.not_a_number:,} of {self.evaluations:,} losses were NOT A NUMBER and passed over"
        space = "full space" if self.subspace_dim is None else f"{self.subspace_dim} random dimensions"
        share = " of each weight" if self.box == "relative" else ""
        yield f"epsilon {self.epsilon:g}{share}, {space}, method {self.method!r}, {self.evaluations:,} evaluations"
        yield f"loss {self.base_loss:.4g}, at worst {self.worst_loss:.4g}"
        yield f"{self.share_at_bound:.0%} of the coordinates at the bound"
        yield from self.grounds()

    def plot(self, ax: "Axes | None" = None, *, title: str = "") -> "Axes":
        """Draw what each climb of the search found: where they agree, the value rests on more than one of them.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            title: What stands above it.

        Returns:
            The axis; below it stands what ``repr`` says.
        """
        from flatmin.figures import own_lines

        ends = [100 * (loss - self.base_loss) / (1 + self.base_loss) for loss in self.climbs]
        return own_lines.climbs(ends, self.sharpness, self.words(), ax, title)


def epsilon_sharpness(
    objective: Differentiable,
    *,
    epsilon: float = 1e-3,
    subspace_dim: int | None = None,
    method: str = "strong",
    box: str = "published",
    distribution: str = "normal",
    theta: Tensor | None = None,
    starts: Sequence[Tensor] = (),
    seed: int = 0,
    progress: bool = False,
) -> Sharpness:
    r"""Keskar's sharpness: how much the loss can rise in a small box around theta.

    .. math:: \phi = 100 \cdot \frac{\max_{z \in C_\epsilon} f(\theta + A z) - f(\theta)}{1 + f(\theta)}

    :math:`C_\epsilon` is :math:`|z_i| \le \epsilon \, (|(A^+ \theta)_i| + 1)`. Keskar et al. (2017), Metric 2.1. The
    box has an absolute part (the 1), so :math:`\phi` changes when a network is rescaled without changing its function
    (Dinh et al., 2017). The relative box :math:`|z_i| \le \epsilon\,|\theta_i|` does without and has no such fault; it
    is narrower, mostly by far, and weights that are 0 stay: the two are not to be compared at one epsilon.

    The maximum of a non-convex function cannot be guaranteed, and the maximiser decides the value:

    ``"paper"``
        the published search, ten iterations of L-BFGS-B. Start, memory and tolerances are not stated; taken are the
        centre, 10 corrections and no tolerance. From a flat minimum it may hardly move.
    ``"strong"``
        the strong search: the same, and climbs from starts away from the centre until they gain next to nothing (see
        :mod:`flatmin.sharpness.search`). Never below ``"paper"``; exact where the loss is a separable quadratic.

    Args:
        objective: The loss to probe: an :class:`~flatmin.objective.objective.Objective`, or anything with ``theta``,
            ``value(theta)`` and ``value_and_gradient(theta)``.
        epsilon: Relative half-width of the box; the paper has 1e-3 and 5e-4.
        subspace_dim: Columns of a random A (the paper has 100); ``None`` searches the full space, A = I.
        method: ``"strong"`` or ``"paper"``.
        box: ``"published"``, or ``"relative"`` for one without the 1; that in the full space alone.
        distribution: Of the entries of a random A, see :class:`~flatmin.sharpness.subspace.RandomSubspace`.
        theta: The point; ``None`` means ``objective.theta``.
        starts: Further starts of ``"strong"``, vectors z of the box's dimension (moved into the box): given the
            ``coordinates`` found at a smaller epsilon, the sharpness cannot fall.
        seed: Of A and of the random starts, the same on every device.
        progress: Count the evaluations in the terminal.

    Returns:
        The sharpness in per cent, where it was found, what it cost and how far it can be trusted.

    Raises:
        TypeError: If ``objective`` is none, a network say, or a number is of the wrong kind.
        ValueError: If ``epsilon`` is not positive, ``subspace_dim`` exceeds the number of weights, a start does not
            fit, the seed has more than 32 bits, a name is unknown or the box is relative in a random subspace.
        NotFinite: If the loss at ``theta`` is not finite, or not above -1.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = QuadraticObjective([1.0, 4.0])  # at its minimum: 100 * (0.1**2 / 2) * (1 + 4)
        >>> round(float(epsilon_sharpness(bowl, epsilon=0.1)), 6)
        2.5
        >>> float(epsilon_sharpness(bowl, epsilon=0.1, method="paper"))  # the gradient at the centre is zero
        0.0
    """
    an_objective(objective)
    one_of("method", method, METHODS)
    point = objective.theta if theta is None else torch.as_tensor(theta).detach().to(objective.theta)
    if point.shape != objective.theta.shape:
        raise ValueError(f"`theta` must have shape {tuple(objective.theta.shape)}, got {tuple(point.shape)}.")
    shown = evaluations_shown(objective, "sharpness", None, shown=progress)
    with full_precision(point.device), shown as watched:
        searched = Box.around(
            watched, point, epsilon=epsilon, subspace_dim=subspace_dim, distribution=distribution, seed=seed, box=box
        )
        for start in starts:
            if start.shape != (searched.dim,):
                raise ValueError(f"`starts` must hold vectors of shape ({searched.dim},), got {tuple(start.shape)}.")
        climbs = _climbs(searched, method, starts, seed=seed)
        share_at_bound, perturbation = searched.at_bound(searched.best_z), searched.space.forward(searched.best_z)
    ends = [climb.loss for climb in climbs]
    return Sharpness(
        sharpness=searched.sharpness(searched.best_loss),
        base_loss=searched.base_loss,
        worst_loss=searched.best_loss,
        epsilon=searched.epsilon,
        method=method,
        subspace_dim=subspace_dim,
        **Measured.ground(objective),
        seed=seed,
        evaluations=searched.evaluations,
        iterations=sum(climb.iterations for climb in climbs),
        share_at_bound=share_at_bound,
        perturbation_norm=norm(perturbation),
        climbs=tuple(ends),
        spread=_spread(ends[1:], searched),
        converged=searched.resolved
        and math.isfinite(searched.best_loss)
        and all(climb.stalled for climb in climbs[1:] or climbs),
        resolved=searched.resolved,
        not_a_number=searched.not_a_number,
        coordinates=searched.best_z.clone(),
        perturbation=perturbation,
        box=box,
    )


def _climbs(box: Box, method: str, starts: Sequence[Tensor], *, seed: int) -> list[Climb]:
    tolerance = torch.finfo(box.theta.dtype).eps ** 0.5
    search = published_search(box) if method == "paper" else strong_search(box, starts, seed=seed, tolerance=tolerance)
    climbs = []
    try:
        for climb in search:
            climbs.append(climb)
    except Unbounded:
        climbs.append(Climb(box.best_loss, iterations=0, stalled=True))
    return climbs


def _spread(ends: list[float], box: Box) -> float:
    rise = box.best_loss - box.base_loss
    if not ends or math.isinf(rise):
        return math.nan
    return (max(ends) - max(min(ends), box.base_loss)) / rise if rise else 0.0
