"""An experiment as written in a YAML file: what to train, which sharpness and slices to take, and where to compute.

Whatever a file leaves out is the protocol of Keskar et al. (2017). A section that is left out takes its defaults;
one that is ``null`` is not done. Everything is checked before anything runs, and a key that does not exist is an
error: a typing error never becomes a default.

Example:
    >>> experiment = Experiment.model_validate({"name": "first_look", "data": "digits", "network": "F1"})
    >>> experiment.regimes["large_batch"].batch_size, experiment.training.epochs, experiment.sharpness.epsilons
    ('10%', 100, (0.001, 0.0005))
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flatmin.experiments.messages import shown

Item = TypeVar("Item")

SHORTHAND = ("data", "network")


def _listed_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not items:
        raise ValueError("must not be empty")
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"must not repeat an entry, got {shown(item)} twice")
    return items


def _batch_size(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]*\.?[0-9]+%", value):
        valid = 0 < Fraction(value[:-1]) <= 100
    else:
        valid = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not valid:
        raise ValueError(f"must be a whole number above 0 or a percentage like '10%', got {shown(value)}")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", value):
        raise ValueError(f"must be 'auto', 'cpu', 'cuda' or one GPU such as 'cuda:0', got {shown(value)}")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", value):
        raise ValueError(f"must be up to 80 letters, digits, dots, dashes and underscores, got {shown(value)}")
    return value


Several = Annotated[tuple[Item, ...], Field(strict=False), AfterValidator(_listed_once)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
BatchSize = Annotated[int | str, BeforeValidator(_batch_size)]
RegimeName = Literal["small_batch", "large_batch"]
Statistics = Literal["running", "batch", "reestimate"]


class Section(BaseModel):
    """A part of an experiment: no unknown keys, no conversions but that of a whole number to a float, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping | Section):
        raise ValueError(f"must be a name or a section of keys, got {shown(value)}")
    return value


class Data(Section):
    """The data set; the name alone may stand for the section, as in ``data: mnist``.

    Attributes:
        name: ``digits`` (ships with scikit-learn), ``mnist``, ``cifar10`` or ``cifar100``.
        examples: Train on the first so many training examples only: a reduced setting, recorded as such.
        verify: Refuse files that are not the published ones.
    """

    name: Literal["digits", "mnist", "cifar10", "cifar100"]
    examples: Count | None = None
    verify: bool = True

    _shorthand = model_validator(mode="before")(_named)


class Network(Section):
    """The network; the name alone may stand for the section, as in ``network: F1``.

    Attributes:
        name: ``F1``, ``F2``, ``C1``, ``C2``, ``C3`` or ``C4``, Keskar et al. (2017), appendix B.
        variant: Whether ``C1`` and ``C3`` follow the authors' code or the paper's text, which differ in the strides.
        width: Units of each hidden layer of ``F1`` and ``F2``, 512 in the paper; others are recorded as a reduced
            setting.
    """

    name: Literal["F1", "F2", "C1", "C2", "C3", "C4"]
    variant: Literal["code", "paper"] = "code"
    width: Count | None = None

    _shorthand = model_validator(mode="before")(_named)

    @field_validator("variant")
    @classmethod
    def _has_variant(cls, variant: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if variant == "paper" and name in ("F1", "F2", "C2", "C4"):
            raise ValueError(f"must be 'code' for {name}, got 'paper'; only C1 and C3 differ between paper and code")
        return variant

    @field_validator("width")
    @classmethod
    def _has_width(cls, width: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if width is not None and name in ("C1", "C2", "C3", "C4"):
            raise ValueError(f"must be absent for {name}, got {width}; only F1 and F2 have one width")
        return width


class Regime(Section):
    """What tells the small-batch from the large-batch method: the batch size and nothing else.

    Attributes:
        batch_size: A number, or a share of the training examples such as ``10%``.
    """

    batch_size: BatchSize


def _paper_regimes() -> dict[RegimeName, Regime]:
    return {"small_batch": Regime(batch_size=256), "large_batch": Regime(batch_size="10%")}


class Training(Section):
    """How both regimes are trained: constant learning rate, no weight decay, no augmentation.

    Attributes:
        epochs: Passes over the training data. The paper trains until the loss stops improving; its figures show 100.
        optimizer: The paper uses Adam and says of its large batches that SGD and Adagrad do alike.
        learning_rate: The paper names none; 1e-3 is that of the authors' code.
        momentum: Of ``sgd`` only.
        patience: End after so many epochs without improvement; ``null`` trains all epochs.
        min_improvement: Share by which the training loss must fall to count as an improvement.
        evaluation_batch_size: Batches in which loss and accuracy are recorded after every epoch.
    """

    epochs: Count = 100
    optimizer: Literal["adam", "sgd", "adagrad"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Count | None = None
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = 0.01
    evaluation_batch_size: Count = 5000

    @field_validator("momentum")
    @classmethod
    def _is_used(cls, momentum: float, info: ValidationInfo) -> float:
        optimizer = info.data.get("optimizer")
        if momentum and optimizer in ("adam", "adagrad"):
            raise ValueError(f"must be 0 with {optimizer!r}, got {momentum}; only 'sgd' uses it")
        return momentum


class Sharpness(Section):
    """The sharpness of Metric 2.1, Tables 3 and 4 of Keskar et al. (2017).

    Attributes:
        epsilons: Half-widths of the box.
        methods: ``paper`` takes ten L-BFGS-B iterations from the minimum, ``strong`` searches in earnest.
        batch_norm: Statistics that BatchNorm uses. The paper does not say; the authors' code has those of the batch.
        spaces: ``full`` is Table 3 (A is the identity), ``random`` is Table 4.
        subspace_dim: Columns of the random A.
        draws: Random matrices A for each network.
        examples: Measure on the first so many training examples; ``null`` uses all, as the paper does.
        batch_size: Of the fixed partition on which the loss is evaluated.
    """

    epsilons: Several[Positive] = (1e-3, 5e-4)
    methods: Several[Literal["paper", "strong"]] = ("paper", "strong")
    batch_norm: Several[Statistics] = ("batch", "running")
    spaces: Several[Literal["full", "random"]] = ("full", "random")
    subspace_dim: Count = 100
    draws: Count = 5
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
        alphas: Places on the path; the paper has these 25.
        curves: ``linear`` is Fig. 3 of Keskar et al. (2017), ``curved`` their Fig. 7.
        batch_norm: Statistics that BatchNorm uses between the two networks.
    """

    alphas: Grid = Grid(low=-1.0, high=2.0, points=25)
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


class Wandb(Section):
    """Weights & Biases, a mirror of the results on disk.

    Attributes:
        mode: ``offline`` keeps the run in a folder, ``online`` uploads it.
        project: Project of the runs.
        entity: Account or team; ``null`` is the user's own.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: Annotated[str, Field(min_length=1)] = "flatmin"
    entity: Annotated[str, Field(min_length=1)] | None = None


class Resources(Section):
    """Where an experiment is computed; nothing here belongs to what identifies a result.

    Attributes:
        device: ``auto`` takes a GPU if there is one; else ``cpu``, ``cuda`` or one GPU such as ``cuda:0``.
        wandb: Weights & Biases.
    """

    device: Annotated[str, AfterValidator(_device)] = "auto"
    wandb: Wandb = Wandb()


class Experiment(Section):
    """One data set, one network, several seeds: small-batch and large-batch training from the same starts.

    Attributes:
        name: Names the results; it must be able to stand in a file name.
        about: What the experiment is for, in a sentence.
        data: The data set.
        network: The network.
        seeds: One start for each; the paper reports five trials.
        regimes: ``small_batch``, ``large_batch`` or both; the paper's are 256 examples and 10 % of them.
        training: How both are trained.
        sharpness: How sharp the minima are; ``null`` measures none.
        slices: Slices of the loss; ``null`` takes none.
        resources: Where it is computed.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    about: str = ""
    data: Data
    network: Network
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    regimes: Annotated[dict[RegimeName, Regime], Field(min_length=1)] = Field(default_factory=_paper_regimes)
    training: Training = Training()
    sharpness: Sharpness | None = Sharpness()
    slices: Slices | None = Slices()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        for key, wanted in self._examples_used():
            if self.data.examples is not None and wanted > self.data.examples:
                raise ValueError(f"{key} must be at most data.examples ({self.data.examples}), got {wanted}")
        planes = self.slices.planes if self.slices else None
        for seed in (planes.seeds if planes else None) or ():
            if seed not in self.seeds:
                raise ValueError(f"slices.planes.seeds must be among the seeds {list(self.seeds)}, got {seed}")
        return self

    def _examples_used(self) -> Iterator[tuple[str, int]]:
        for name, regime in self.regimes.items():
            if isinstance(regime.batch_size, int):
                yield f"regimes.{name}.batch_size", regime.batch_size
        if self.sharpness and self.sharpness.examples:
            yield "sharpness.examples", self.sharpness.examples


def known_keys() -> dict[str, Any]:
    """Every key an experiment can have, with its default; nested as in a file."""
    return Experiment.model_validate({"name": "name", "data": "digits", "network": "F1"}).model_dump()
