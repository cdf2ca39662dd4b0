"""Which slices of the loss an experiment takes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from flatmin.core.fields import BatchNormReading, Count, Examples, Section, Seed, Several, shown

Place = Annotated[float, Field(ge=-1e6, le=1e6)]
Coordinates = Annotated[int, Field(ge=2, le=10_000)]


class Grid(Section):
    """Evenly spaced coordinates, written ``[low, high, points]``.

    Attributes:
        low: The first coordinate.
        high: The last coordinate.
        points: Their number, both ends included.
    """

    low: Place
    high: Place
    points: Coordinates

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == 3:
            return dict(zip(("low", "high", "points"), value, strict=True))
        if not isinstance(value, Mapping | Section):
            raise ValueError(f"must be [low, high, points], got {shown(value)}")
        return value

    @field_validator("high")
    @classmethod
    def _is_above_low(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and high <= low:
            raise ValueError(f"must be above its low end {low}, got {high}")
        return high


class Paths(Section):
    """Paths from the small-batch minimum (0) through the large-batch minimum (1); needs both regimes.

    Attributes:
        alphas: Places on the path; the paper has every other one of these.
        curves: ``linear`` is Fig. 3 of Keskar et al. (2017), ``curved`` their Fig. 7.
        batch_norm: Statistics that BatchNorm uses between the two networks.
    """

    alphas: Grid = Grid(low=-1.0, high=2.0, points=49)
    curves: Several[Literal["linear", "curved"]] = ("linear", "curved")
    batch_norm: Several[Literal["batch", "reestimate", "interpolated"]] = ("batch",)


class RandomLines(Section):
    """Lines through each minimum in a random, filter-normalised direction.

    Attributes:
        alphas: Places on the line.
        batch_norm: Statistics that BatchNorm uses.
    """

    alphas: Grid = Grid(low=-1.0, high=1.0, points=51)
    batch_norm: Several[BatchNormReading] = ("batch",)


class Planes(Section):
    """The loss as a surface over two directions.

    Attributes:
        kinds: ``random`` is spanned by two filter-normalised directions at each minimum; ``three_points`` goes through
            the start and both minima and needs both regimes.
        grid: Both axes of a ``random`` plane.
        margin: How far a ``three_points`` plane reaches beyond its points on each side, as a share of their larger
            extent.
        points: Points on each axis of a ``three_points`` plane.
        batch_norm: Statistics that BatchNorm uses.
        seeds: Seeds that get planes, the dearest of the slices; ``null`` takes the experiment's first.
        examples: Evaluate planes on the first so many examples of each split; ``null`` is as for the other slices.
    """

    kinds: Several[Literal["random", "three_points"]] = ("random", "three_points")
    grid: Grid = Grid(low=-1.0, high=1.0, points=25)
    margin: Annotated[float, Field(ge=0, le=1e6)] = 0.3
    points: Coordinates = 25
    batch_norm: Several[BatchNormReading] = ("batch",)
    seeds: Several[Seed] | None = None
    examples: Examples | None = None

    @field_validator("batch_norm")
    @classmethod
    def _has_statistics(cls, batch_norm: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "three_points" in info.data.get("kinds", ()) and "running" in batch_norm:
            raise ValueError(
                "must be 'batch' or 'reestimate' for a three_points plane, got 'running'; "
                "no running averages hold for all three points"
            )
        return batch_norm


class Slices(Section):
    """Which slices of the loss are taken, and on which data.

    Attributes:
        paths: From one minimum to the other.
        random_lines: Through each minimum.
        planes: Through each minimum, and through the start and both minima.
        examples: Evaluate on the first so many examples of each split; ``null`` uses all.
        batch_size: Of the fixed partition on which the loss is evaluated.
        splits: Data on which the loss is evaluated.
        engine: What evaluates the points; ``loss-landscapes`` is the package of that name, for comparison.
    """

    paths: Paths | None = Paths()
    random_lines: RandomLines | None = RandomLines()
    planes: Planes | None = Planes()
    examples: Examples | None = None
    batch_size: Count = 5000
    splits: Several[Literal["train", "test"]] = ("train", "test")
    engine: Literal["flatmin", "loss-landscapes"] = "flatmin"

    @field_validator("engine")
    @classmethod
    def _can_evaluate(cls, engine: str, info: ValidationInfo) -> str:
        if engine == "loss-landscapes":
            for section in ("paths", "random_lines", "planes"):
                for reading in getattr(info.data.get(section), "batch_norm", ()):
                    if reading in ("reestimate", "interpolated"):
                        raise ValueError(f"must be 'flatmin' where {section}.batch_norm has {reading!r}")
        return engine
