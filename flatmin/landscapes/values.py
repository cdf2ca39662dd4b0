"""What slices return: the coordinates that were evaluated, the losses there, and the checks they carry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from flatmin.core.atomic import write_files
from flatmin.core.result import Measured, between

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAME = 1e-3
"""How far the two values at the origin may lie apart without a word, as a share."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Slice(Measured):
    """What a line and a plane have in common.

    Attributes:
        loss: Loss at each point, float64 on the CPU; NaN and infinity are kept.
        accuracy: Share of right answers, of the same shape; NaN where the objective cannot tell.
        base_loss: ``objective.value`` at the origin (all coordinates 0), evaluated apart from the slice.
        center_loss: The slice's own value there, NaN if the origin is not among its points.
        engine: What evaluated the points, ``"flatmin"`` or ``"loss-landscapes"``.
        metrics: What else the objective was asked for, names and values at each point.
    """

    loss: Tensor
    accuracy: Tensor
    base_loss: float
    center_loss: float
    engine: str
    metrics: tuple[tuple[str, Tensor], ...] = ()

    @property
    def non_finite(self) -> int:
        """How many losses are NaN or infinite."""
        return int((~self.loss.isfinite()).sum())

    def to_record(self) -> dict[str, Any]:
        """All fields and ``non_finite`` as lists, numbers and strings, for JSON."""
        return super().to_record() | {"non_finite": self.non_finite}

    def words(self) -> Iterator[str]:
        """Points, range of the loss, what is not finite, what it was taken on."""
        yield self.extent()
        yield f"loss {between(self.loss)}, {self.base_loss:.4g} at the origin"
        if abs(self.center_loss - self.base_loss) > SAME * abs(self.base_loss):
            yield f"NOT THE SAME there within the slice: {self.center_loss:.5g}"
        if self.non_finite:
            yield f"{self.non_finite:,} of {self.loss.numel():,} losses NOT FINITE"
        if self.accuracy.isfinite().any():
            yield f"accuracy {between(self.accuracy, '.1%')}"
        yield from (f"{name} {between(values)}" for name, values in self.metrics)
        yield from self.grounds()
        if self.engine != "flatmin":
            yield f"engine={self.engine!r}"

    def extent(self) -> str:
        """Number of points and range of the coordinates, in words."""
        return f"{self.loss.numel():,} points"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Line(Slice):
    """Values along a line or a path: ``loss[i]`` belongs to ``alphas[i]`` (float64 on the CPU)."""

    alphas: Tensor

    def rows(self) -> dict[str, Any]:
        """A row a point."""
        numbers = {"alpha": self.alphas, "loss": self.loss, "accuracy": self.accuracy, **dict(self.metrics)}
        return {name: column.numpy() for name, column in numbers.items()}

    def extent(self) -> str:
        """Number of points and range of the coordinate, in words."""
        return f"{len(self.alphas):,} points, alpha {between(self.alphas)}"

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        quantity: str = "loss",
        label: str | None = None,
        title: str = "",
        **look: Any,
    ) -> "Axes":
        """Draw the line; several can share an axis.

        Losses that are not finite are gaps with a cross at the top. Beyond 20 the axis is logarithmic above 1, which
        its label says.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            quantity: ``"loss"``, ``"accuracy"`` (in per cent) or the name of a metric.
            label: Its name in the legend; ``"train"`` is drawn solid and ``"test"`` dashed, others in turn.
            title: What stands above it.
            **look: As of ``Axes.plot``, such as ``color``.

        Returns:
            The axis.

        Raises:
            ValueError: If there is no such quantity.
            ResultsError: If no loss is finite.

        Example:
            >>> from flatmin.core.functions import QuadraticObjective
            >>> import torch
            >>> from flatmin import slice_1d
            >>> line = slice_1d(QuadraticObjective([1.0]), torch.ones(1), [-1, 0, 1])
            >>> line.plot(label="bowl").get_ylabel()
            'loss'
        """
        from flatmin.figures import own_lines

        names = [name for name, _ in self.metrics]
        return own_lines.line(self.to_frame(), ax, quantity=quantity, label=label, title=title, metrics=names, **look)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Plane(Slice):
    """Values on a grid: ``loss[i, j]`` belongs to ``alphas[i]`` and ``betas[j]``, ``cosine`` to the two axes."""

    alphas: Tensor
    betas: Tensor
    cosine: float

    def rows(self) -> dict[str, Any]:
        """A row a cell, the betas of one alpha together."""
        names = {"alpha": self.alphas.repeat_interleave(len(self.betas)), "beta": self.betas.repeat(len(self.alphas))}
        numbers = {**names, "loss": self.loss.flatten(), "accuracy": self.accuracy.flatten()}
        numbers |= {name: values.flatten() for name, values in self.metrics}
        return {name: column.numpy() for name, column in numbers.items()}

    def extent(self) -> str:
        """Number of points, ranges of the coordinates and the angle of the axes, in words."""
        grid = f"{len(self.alphas)} x {len(self.betas)} points"
        return f"{grid}, alpha {between(self.alphas)}, beta {between(self.betas)}, cosine of the axes {self.cosine:.2f}"

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        surface: bool = False,
        limits: "tuple[float, float] | Plane | None" = None,
        title: str = "",
        marks: Mapping[str, tuple[float, float]] | None = None,
        labels: Sequence[str] | None = None,
    ) -> "Axes":
        """Draw the plane as filled contours, or as a surface; colours are logarithmic where no loss is negative.

        Cells that are not finite are hatched (in a surface open), and counted below. On the map a cross marks the
        origin, where it lies in the picture. To compare two planes, draw them by :func:`flatmin.plot_side_by_side`.

        Args:
            ax: Where to draw, for a surface made with ``projection="3d"``; ``None`` makes a figure of pyplot.
            surface: Draw a surface.
            limits: Lowest and highest loss of the colours, or another plane whose they are; ``None`` takes its own.
            title: What stands above it.
            marks: Points to mark on the map by their names, each ``(alpha, beta)``, such as
                :meth:`ThreePointPlane.marks` gives; what lies outside the picture is named below it.
            labels: Of the two axes, such as :attr:`Eigenvalues.names` of a plane along two eigenvectors.

        Returns:
            The axis.

        Raises:
            ValueError: If the axis, the limits, the marks or the labels do not fit, or the plane has one row or column.
            ResultsError: If no loss is finite.
        """
        from flatmin.figures import own_planes

        return own_planes.plane(
            self.to_frame(), ax, surface=surface, limits=_ends(limits), title=title, marks=marks, labels=labels
        )

    def to_html(
        self, path: Path | str, *, limits: "tuple[float, float] | Plane | None" = None, title: str = ""
    ) -> Path:
        """Write the plane as a surface that can be turned: one page of HTML that needs no network, about 5 MB.

        Args:
            path: The file, such as ``plane.html``.
            limits: Lowest and highest loss shown, or another plane whose they are; ``None`` takes its own.
            title: What stands above it.

        Returns:
            The path.

        Raises:
            FlatminError: If plotly is not installed; the message says how to install it.
            ResultsError: If no loss is finite, or the file cannot be written.
            ValueError: If the limits do not fit, or the plane has one row or column.
        """
        from flatmin.figures import own_planes

        path = Path(path)
        write_files(path.parent, {path.name: own_planes.page(self.to_frame(), limits=_ends(limits), title=title)})
        return path


def _ends(limits: "tuple[float, float] | Plane | None") -> tuple[float, float] | None:
    """Lowest and highest loss, of a plane those that are finite."""
    if not isinstance(limits, Plane):
        return limits
    finite = limits.loss[limits.loss.isfinite()]
    return (float(finite.min()), float(finite.max())) if len(finite) else None
