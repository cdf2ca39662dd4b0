r"""One measure on several disjoint subsets of the data: the mean, and how far it would differ on other examples.

With values :math:`v_1, \dots, v_k` the mean has the standard error :math:`s / \sqrt{k}`, s their sample standard
deviation. That holds where the subsets are disjoint and drawn alike, and it is the error of a value *on subsets of that
size*: a maximum over few examples is higher than over many, however many subsets there are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.checks import reiterable
from flatmin.core.result import Measured, between
from flatmin.landscapes.values import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Subsets(Measured):
    """A number on several subsets; ``float()`` gives its mean.

    Attributes:
        value: The mean.
        standard_error: Of it.
        by_subset: That of each subset.
        measure: What was measured.
    """

    value: float
    standard_error: float
    by_subset: tuple[float, ...]
    measure: str

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The mean with its error, the range of the subsets."""
        yield f"{self.measure} {self.value:.4g} ± {self.standard_error:.2g} on subsets of this size"
        yield f"{len(self.by_subset)} subsets, {between(torch.tensor(self.by_subset))}"
        if lost := sum(not math.isfinite(value) for value in self.by_subset):
            yield f"{lost} of them NOT FINITE"
        yield from self.grounds()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SubsetLines(Measured):
    """A line on several subsets.

    Attributes:
        alphas: Coordinates, (n,), float64.
        losses: Loss at each, a row a subset, (k, n), float64.
        accuracies: Accuracies likewise.
    """

    alphas: Tensor
    losses: Tensor
    accuracies: Tensor

    @property
    def loss(self) -> Tensor:
        """Mean over the subsets, (n,); NaN or infinite where one is."""
        return self.losses.mean(0)

    @property
    def standard_error(self) -> Tensor:
        """Of the mean loss, (n,)."""
        return self.losses.std(0) / math.sqrt(len(self.losses))

    def rows(self) -> dict[str, Any]:
        """A row a point: the means, and the standard error of the loss."""
        numbers = {"loss": self.loss, "accuracy": self.accuracies.mean(0), "standard_error": self.standard_error}
        subsets = [len(self.losses)] * len(self.alphas)
        return {"alpha": self.alphas.numpy(), **{k: v.numpy() for k, v in numbers.items()}, "subsets": subsets}

    def words(self) -> Iterator[str]:
        """Points and subsets, ranges of the mean and of its error."""
        yield f"{len(self.alphas):,} points, alpha {between(self.alphas)}, mean over {len(self.losses)} subsets"
        yield f"loss {between(self.loss)}, its standard error {between(self.standard_error, '.2g')}"
        if lost := int((~self.losses.isfinite()).sum()):
            yield f"{lost:,} of {self.losses.numel():,} losses NOT FINITE"
        yield from self.grounds()

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        quantity: str = "loss",
        label: str | None = None,
        title: str = "",
        **look: Any,
    ) -> "Axes":
        """Draw the mean in a band of one standard error; several can share an axis. See `Line.plot`.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            quantity: ``"loss"``, or ``"accuracy"`` without a band.
            label: Its name in the legend.
            title: What stands above it.
            **look: As of ``Axes.plot``.

        Returns:
            The axis.
        """
        from flatmin.figures import own_lines

        return own_lines.line(self.to_frame(), ax, quantity=quantity, label=label, title=title, **look)


def over_subsets(measure: Callable[[Any], Any], objectives: Sequence[Any]) -> Subsets | SubsetLines:
    """Take a measure or a line on several subsets of the data, and say how far the mean can be trusted.

    Args:
        measure: From an objective to a number, to a result with a ``float()``, or to a line.
        objectives: The same network on disjoint subsets drawn alike, at least two; as many examples in each.

    Returns:
        The mean with its standard error; of lines, at each point.

    Raises:
        TypeError: If ``objectives`` is no collection.
        ValueError: If there are fewer than two, the network or its BatchNorm reading is not the same in all, or the
            lines differ in their points.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> from flatmin.sharpness import average_case_sharpness
        >>> parts = [QuadraticObjective([1.0, curvature]) for curvature in (2.0, 3.0, 4.0)]
        >>> over_subsets(lambda part: float(part.value(torch.ones(2))), parts)
        Subsets(value 2 ± 0.29 on subsets of this size; 3 subsets, 1.5 to 2.5)
    """
    objectives = list(reiterable("objectives", objectives))
    if len(objectives) < 2:
        raise ValueError(f"`objectives` must be at least two, got {len(objectives)}: one value has no spread.")
    first, reading = objectives[0].theta, Measured.ground(objectives[0])["batch_norm"]
    for place, other in enumerate(objectives[1:], 1):
        alike = Measured.ground(other)["batch_norm"] == reading and torch.equal(other.theta, first)
        if other is objectives[0] or not alike:
            raise ValueError(
                f"`objectives` must be one network on several subsets; objectives[{place}] has other weights, "
                "another `batch_norm`, or is the first again."
            )
    found = [measure(objective) for objective in objectives]
    counts = [Measured.ground(objective)["examples"] for objective in objectives]
    ground = {
        "batch_norm": reading,
        "examples": None if None in counts else sum(counts),
        "cautions": Measured.ground(objectives[0])["cautions"],
    }
    if isinstance(found[0], Line):
        if any(not torch.equal(line.alphas, found[0].alphas) for line in found):
            raise ValueError("`measure` must give lines of the same points on every subset.")
        losses, accuracies = (torch.stack([getattr(line, name) for line in found]) for name in ("loss", "accuracy"))
        return SubsetLines(alphas=found[0].alphas, losses=losses, accuracies=accuracies, **ground)
    numbers = torch.tensor([float(value) for value in found], dtype=torch.float64)
    kind = type(found[0])
    name = f"{kind.__name__}{kind.unit and f' in {kind.unit}'}" if issubclass(kind, Measured) else "value"
    return Subsets(
        value=float(numbers.mean()),
        standard_error=float(numbers.std()) / math.sqrt(len(numbers)),
        by_subset=tuple(numbers.tolist()),
        measure=name,
        **ground,
    )
