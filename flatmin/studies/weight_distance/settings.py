"""The distance from the start as written in a YAML file: which network, batch sizes and rules for the rate."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from flatmin.core.fields import BatchSize, Count, Positive, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data
from flatmin.networks.choice import Network

Rule = Literal["same", "sqrt", "linear"]
"""One learning rate for all batch sizes, or one that grows with theirs by a rule of `flatmin.training`."""


class WeightDistance(Experiment):
    """How far weights go from where they started, by SGD at a learning rate that does not fall (Hoffer et al., 2017).

    Attributes:
        kind: ``weight_distance``.
        data: A set of the catalogue.
        network: One of the paper's six.
        batch_sizes: Each a number or a percentage of the training examples.
        rules: ``same``, ``sqrt`` and ``linear``, each a training.
        learning_rate: Of the smallest batch.
        momentum: Of SGD.
        updates: Of every training.
        points: So many updates are looked at, evenly spread on a log axis.
        seeds: Of the start and of the order of examples.
    """

    kind: Literal["weight_distance"] = "weight_distance"
    data: Data = Data(name="mnist", examples=5000)
    network: Network = Network(name="F1", width=128)
    batch_sizes: Several[BatchSize] = (25, 125, 625, "50%")
    rules: Several[Rule] = ("same", "sqrt")
    learning_rate: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    updates: Annotated[int, Field(ge=10)] = 1000
    points: Annotated[Count, Field(ge=10)] = 60
    seeds: Several[Seed] = (0, 1, 2)

    @field_validator("rules")
    @classmethod
    def _each_once(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(rules)) < len(rules):
            raise ValueError(f"must not name a rule twice, got {', '.join(rules)}")
        return rules
