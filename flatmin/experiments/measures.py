"""Which measures an experiment takes: sharpness, the effort of the search, slices of the loss."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from flatmin.experiments.fields import Count, Positive, Section, Seed, Several, Statistics
from flatmin.experiments.messages import shown


class Sharpness(Section):
    """The sharpness of Metric 2.1, Tables 3 and 4 of Keskar et al. (2017).

    Attributes:
        epsilons: Half-widths of the box.
        methods: ``paper`` takes ten L-BFGS-B iterations from the minimum, ``strong`` searches in earnest.
        batch_norm: Statistics that BatchNorm uses. The paper does not say; the authors' code has those of the batch.
        spaces: ``full`` is Table 3 (A is the identity), ``random`` is Table 4.
        subspace_dim: Columns of the random A.
        distributions: Of the entries of A, which the paper does not state; ``normal`` gives magnitudes like its own.
        draws: Random matrices A for each network and distribution.
        epochs: Measure also after so many epochs of training, as in Fig. 6; ``null`` measures minima only.
        examples: Measure on the first so many training examples; ``null`` uses all, as the paper does.
        subsets: Measure minima in the full space on the first so many examples too, and try the worst points found
            there on as many others: what a search on a few examples owes to them.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    epsilons: Several[Positive] = (1e-3, 5e-4)
    methods: Several[Literal["paper", "strong"]] = ("paper", "strong")
    batch_norm: Several[Statistics] = ("batch", "running")
    spaces: Several[Literal["full", "random"]] = ("full", "random")
    subspace_dim: Count = 100
    distributions: Several[Literal["normal", "scaled", "unit", "uniform"]] = ("normal",)
    draws: Count = 5
    epochs: Several[Annotated[int, Field(ge=0)]] | None = None
    examples: Count | None = None
    subsets: Several[Count] | None = None
    batch_size: Count = 5000


class Effort(Section):
    """What the sharpness found depends on the search: its value against the evaluations spent.

    Attributes:
        epsilons: Half-widths of the box.
        climbers: ``lbfgsb`` (the published one), ``corner_steps`` (conditional gradient) and ``projected_gradient``.
        starts: ``centre`` (the published one), ``sign`` (halfway to where the gradient points), ``random``.
        batch_norm: Statistics that BatchNorm uses.
        evaluations: Budget of one search.
        seeds: Seeds whose networks are searched; ``null`` takes the experiment's first.
        examples: Measure on the first so many training examples; ``null`` uses all.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    epsilons: Several[Positive] = (1e-3,)
    climbers: Several[Literal["lbfgsb", "corner_steps", "projected_gradient"]] = (
        "lbfgsb",
        "corner_steps",
        "projected_gradient",
    )
    starts: Several[Literal["centre", "sign", "random"]] = ("centre", "sign", "random")
    batch_norm: Several[Statistics] = ("batch", "running")
    evaluations: Count = 200
    seeds: Several[Seed] | None = None
    examples: Count | None = None
    batch_size: Count = 5000


class Grid(Section):
    """Evenly spaced coordinates, written ``[low, high, points]``.

    Attributes:
        low: The first coordinate.
        high: The last coordinate.
        points: Their number, both ends included.
    """

    low: float
    high: float
    points: Annotated[int, Field(ge=2)]

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
    batch_norm: Several[Statistics] = ("batch",)


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
    margin: Annotated[float, Field(ge=0)] = 0.3
    points: Annotated[int, Field(ge=2)] = 25
    batch_norm: Several[Statistics] = ("batch",)
    seeds: Several[Seed] | None = None
    examples: Count | None = None

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
    examples: Count | None = None
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
