"""Accuracy against batch size as written in a YAML file: on which data, with which sizes, and what is equal."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from flatmin.core.fields import BatchSize, Count, Epochs, Positive, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data


class BatchSizes(Experiment):
    """Training and test accuracy with batches of each size, at equal epochs, equal updates and equal time of training.

    Attributes:
        kind: ``batch_size``.
        data: Several sets, each with its own row of the figure.
        depth: Hidden layers of ReLU; without BatchNorm, which needs two examples.
        width: Units of each.
        batch_sizes: Each a number or a percentage of the training examples; those above them are left out of that set.
        learning_rate: Of Adam, the same for all sizes.
        epochs: After which all are compared.
        updates: After which all are compared.
        seconds: Of training, after which all are compared; what is done in them depends on the machine.
        seeds: Of the start and of the order of examples.
    """

    kind: Literal["batch_size"] = "batch_size"
    data: Several[Data] = (Data(name="mnist", examples=1000), Data(name="cifar10", examples=1000))
    depth: Annotated[Count, Field(le=1000)] = 2
    width: Annotated[Count, Field(le=16_384)] = 64
    batch_sizes: Several[BatchSize] = (1, 10, 100, "100%")
    learning_rate: Positive = 1e-3
    epochs: Epochs = 5
    updates: Count = 300
    seconds: Positive = 1.0
    seeds: Several[Seed] = (0, 1, 2)

    @field_validator("data")
    @classmethod
    def _each_once(cls, data: tuple[Data, ...]) -> tuple[Data, ...]:
        names = [one.name for one in data]
        if len(set(names)) < len(names):
            raise ValueError(f"must not name a set twice, got {', '.join(names)}")
        return data
