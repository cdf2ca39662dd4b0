r"""Is a sharpness the landscape's or the optimiser's? What one climb has found after so many evaluations.

The climbs are those that the literature maximises a loss in a box by, from the starts it takes:

- ``"lbfgsb"``: L-BFGS-B until it can go no further. From the centre, its first ten iterations are the published search;
- ``"corner_steps"``: conditional gradient over the box (:func:`~flatmin.sharpness.search.corner_steps`);
- ``"projected_gradient"``: :math:`z \leftarrow P(z + \eta w \operatorname{sign} \nabla f)`, as adversarial examples are
  looked for, from :math:`\eta = 1/4`. A step that gains nothing is taken back and :math:`\eta` halved (Croce and Hein
  2020 do so at checkpoints).

They start at the centre (``"centre"``), halfway to the corner that the gradient there points to (``"sign"``, which
costs an evaluation) or halfway to a random one (``"random"``).
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, one_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import evaluations_shown
from flatmin.core.result import Measured
from flatmin.sharpness.box import Box, Unbounded
from flatmin.sharpness.epsilon_sharpness import Differentiable
from flatmin.sharpness.search import center, corner_steps, quasi_newton, signs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST_SHARE, LAST_SHARE = 0.25, 1e-6


@dataclass(frozen=True, repr=False, kw_only=True)
class Effort(Measured):
    """How the sharpness found by one climb grew with its evaluations.

    Attributes:
        climber: ``"lbfgsb"``, ``"corner_steps"`` or ``"projected_gradient"``.
        start: ``"centre"``, ``"sign"`` or ``"random"``.
        epsilon: Relative half-width of the box.
        subspace_dim: Columns of the random A; ``None`` for the full space.
        seed: Of A and of the random signs.
        base_loss: Loss at theta.
        evaluations: After how many evaluations the highest loss rose; the first is that of the loss at theta.
        sharpness: The highest sharpness from then on, in per cent; the first is 0.
        spent: Evaluations until the climb ended or the budget was spent.
        resolved: Whether ``epsilon`` is wide enough for the objective's dtype, as of
            :class:`~flatmin.sharpness.Sharpness`.
    """

    climber: str
    start: str
    epsilon: float
    subspace_dim: int | None
    seed: int
    base_loss: float
    evaluations: tuple[int, ...]
    sharpness: tuple[float, ...]
    spent: int
    resolved: bool

    def rows(self) -> dict[str, Any]:
        """A row for each rise."""
        return {"evaluations": self.evaluations, "sharpness": self.sharpness}

    def words(self) -> Iterator[str]:
        """What was found, after how long, and by what."""
        yield f"{self.sharpness[-1]:.4g} % found by {self.climber!r} from {self.start!r}"
        yield f"last rise at evaluation {self.evaluations[-1]:,} of {self.spent:,}"
        space = "full space" if self.subspace_dim is None else f"{self.subspace_dim} random dimensions"
        yield f"epsilon {self.epsilon:g}, {space}, loss {self.base_loss:.4g}"
        yield from self.grounds()

    def plot(self, ax: "Axes | None" = None, *, label: str | None = None, title: str = "") -> "Axes":
        """Draw the highest sharpness found against the evaluations spent; several can share an axis.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            label: Its name in the legend; ``None`` takes the climber and the start.
            title: What stands above it.

        Returns:
            The axis.
        """
        from flatmin.figures import own_lines

        return own_lines.effort(self.to_frame(), ax, label=label, title=title)


def effort(
    objective: Differentiable,
    *,
    epsilon: float = 1e-3,
    climber: str = "lbfgsb",
    start: str = "centre",
    evaluations: int = 200,
    subspace_dim: int | None = None,
    distribution: str = "normal",
    seed: int = 0,
    progress: bool = False,
) -> Effort:
    """The sharpness that one climb in the box of Keskar et al. finds, against the evaluations it has spent.

    Args:
        objective: The loss to probe, see :func:`~flatmin.sharpness.epsilon_sharpness`.
        epsilon: Relative half-width of the box.
        climber: How to climb.
        start: Where from.
        evaluations: Budget, losses with or without gradient, the one at theta included.
        subspace_dim: Columns of a random A; ``None`` searches the full space.
        distribution: Of the entries of a random A.
        seed: Of A and of the random signs, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The highest sharpness after each evaluation at which it rose.

    Raises:
        TypeError: If a number is of the wrong kind.
        ValueError: If a number is out of range or a name unknown.
        NotFinite: If the loss at theta is not finite, or not above -1.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = QuadraticObjective([1.0, 4.0])  # at its minimum: 100 * (0.1**2 / 2) * (1 + 4)
        >>> found = effort(bowl, epsilon=0.1, climber="corner_steps", start="random")
        >>> found.evaluations, [round(value, 6) for value in found.sharpness]
        ((1, 2, 3), [0.0, 0.625, 2.5])
    """
    one_of("climber", climber, CLIMBERS)
    one_of("start", start, STARTS)
    whole("evaluations", evaluations, minimum=1)
    point = an_objective(objective).theta
    shown = evaluations_shown(objective, "effort", evaluations, shown=progress)
    with full_precision(point.device), shown as watched:
        box = BudgetBox.around(
            watched, point, epsilon=epsilon, subspace_dim=subspace_dim, distribution=distribution, seed=seed
        )
        box.budget = evaluations
        generator = torch.Generator().manual_seed(seed)
        with suppress(Spent, Unbounded):
            CLIMBERS[climber](box, STARTS[start](box, generator), generator)
    return Effort(
        climber=climber,
        start=start,
        epsilon=box.epsilon,
        subspace_dim=subspace_dim,
        **Measured.ground(objective),
        seed=seed,
        base_loss=box.base_loss,
        evaluations=tuple(count for count, _ in box.rises),
        sharpness=tuple(box.sharpness(loss) for _, loss in box.rises),
        spent=box.evaluations,
        resolved=box.resolved,
    )


class Spent(Exception):
    """No evaluation is left."""


class BudgetBox(Box):
    """A box that gives out so many evaluations and no more."""

    budget = 1

    def value_and_gradient(self, z: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient while the budget lasts.

        Raises:
            Spent: If no evaluation is left.
        """
        if self.evaluations >= self.budget:
            raise Spent
        return super().value_and_gradient(z)


def projected_gradient(box: Box, z: Tensor) -> None:
    """Climb by steps of a share of the box along the sign of the gradient; halve the share when one gains nothing."""
    loss, gradient = box.value_and_gradient(z)
    share = FIRST_SHARE
    while share > LAST_SHARE:
        ahead = box.clipped(torch.addcmul(z, box.half_width, gradient.sign(), value=share))
        if torch.equal(ahead, z):
            return
        found, slope = box.value_and_gradient(ahead)
        if found > loss:
            loss, z, gradient = found, ahead, slope
        else:
            share /= 2


Climber = Callable[[BudgetBox, Tensor, torch.Generator], Any]
Start = Callable[[BudgetBox, torch.Generator], Tensor]

CLIMBERS: dict[str, Climber] = {
    "lbfgsb": lambda box, z, _: quasi_newton(box, z, iterations=box.budget, tolerance=0.0),
    "corner_steps": corner_steps,
    "projected_gradient": lambda box, z, _: projected_gradient(box, z),
}
STARTS: dict[str, Start] = {
    "centre": lambda box, _: center(box),
    "sign": lambda box, _: 0.5 * box.half_width * box.value_and_gradient(center(box))[1].sign(),
    "random": lambda box, generator: 0.5 * box.half_width * signs(box, generator),
}
