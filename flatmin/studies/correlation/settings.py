"""The correlation study as written in a YAML file: which networks are trained, and what is measured of them."""

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from flatmin.core.fields import Count, Epochs, Positive, Seed, Several, shown
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data
from flatmin.measures import measures
from flatmin.measures.measure import Measure, MeasureSettings

KESKAR = "sharpness"
"""Metric 2.1; it has tables of its own elsewhere, and is here as one number a box."""
USUAL: dict[str, dict[str, Any]] = {KESKAR: {"spaces": ("full",), "methods": ("strong",)}}
SAME = {"batch_norm": "the networks have no BatchNorm", "seeds": "all are measured", "epochs": "minima are measured"}


def offered() -> dict[str, Measure[Any]]:
    """Every measure that is one number, by name."""
    return {name: measure for name, measure in measures().items() if measure.by_rule or name == KESKAR}


class Correlation(Experiment):
    """Small networks trained to the same loss in many ways, and whether a measure tells how they generalise.

    Attributes:
        kind: ``correlation``.
        data: Classes; inputs less their mean, over their standard deviation.
        test_examples: The first so many test examples; ``null`` takes all.
        pool: Images are averaged over squares of so many pixels a side.
        batch_sizes: An axis of the grid.
        learning_rates: Of SGD without momentum; an axis.
        widths: Units of each of the two hidden layers, ReLU; an axis.
        weight_decays: Times the weight, added to the gradient; an axis.
        seeds: Of the start and the order of examples; each trains the whole grid.
        target: Cross-entropy on the training examples at which a training ends.
        epochs: At most; what has not reached the target by then is not measured.
        measures: Their names; ``null`` takes all that are one number.
        passes: A measure that costs more passes over the examples is left out, and named.
        left_out: Other measures that are left out, each with the reason.
        settings: Of measures, by name, where they are not the usual ones.
        resamples: Of the bootstrap.
    """

    kind: Literal["correlation"] = "correlation"
    data: Data = Data(name="mnist", examples=1000)
    test_examples: Count | None = None
    pool: Count = 4
    batch_sizes: Several[Count] = (8, 32, 128)
    learning_rates: Several[Positive] = (0.03, 0.1, 0.3)
    widths: Several[Count] = (16, 48)
    weight_decays: Several[float] = (0.0, 3e-4)
    seeds: Several[Seed] = (0, 1, 2, 3)
    target: Positive = 0.02
    epochs: Epochs = 600
    measures: Several[str] | None = None
    passes: Count = 1000
    left_out: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    resamples: int = Field(1000, ge=100, le=100_000)

    @field_validator("weight_decays")
    @classmethod
    def _not_negative(cls, decays: tuple[float, ...]) -> tuple[float, ...]:
        if min(decays) < 0:
            raise ValueError(f"must not be negative, got {min(decays):g}")
        return decays

    @field_validator("measures", "left_out", "settings")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if unknown := [name for name in value or () if name not in offered()]:
            raise ValueError(f"must name measures ({', '.join(offered())}), got {shown(unknown[0])}")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> "Correlation":
        for name, own in self.settings.items():
            if said := next((key for key in own if key in SAME), None):
                raise ValueError(f"settings.{name}.{said} must be absent: {SAME[said]}")
            try:
                self.settings_of(name)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, ("settings", name, *first["loc"])))
                raise ValueError(f"{where}: {first['msg']}") from None
        if not self.wanted:
            raise ValueError("measures must leave some that are not in left_out")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """The measures that are to be taken, if their cost allows."""
        return tuple(name for name in self.measures or offered() if name not in self.left_out)

    def settings_of(self, name: str) -> MeasureSettings:
        """What is asked of a measure."""
        usual: dict[str, Any] = {"batch_norm": ("batch",)} | USUAL.get(name, {})
        settings: MeasureSettings = offered()[name].settings.model_validate(usual | self.settings.get(name, {}))
        return settings
