"""The time of an update and of an epoch as written in a YAML file: which network, which batch sizes, how often."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchSize, Count, Epochs, Positive, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

Repeats = Annotated[Epochs, Field(ge=2)]


class Speed(Experiment):
    """How long one update of Adam takes with batches of each size, and how long an epoch.

    Attributes:
        kind: ``speed``.
        data: Its first so many training examples are an epoch.
        depth: Hidden layers of ReLU; without BatchNorm, which needs two examples.
        width: Units of each.
        batch_sizes: Each a number or a percentage of the examples, such as ``"100%"``.
        repeats: How often each size is visited, in another order each time.
        visit: Seconds that a visit lasts at least; as many updates as that takes are timed as one.
        whole: Epochs that should take no more seconds than this are also timed whole, once each.
        seed: Of the start, the order of examples and the order of the visits.
    """

    kind: Literal["speed"] = "speed"
    data: Data = Data(name="mnist")
    depth: Annotated[Count, Field(le=1000)] = 2
    width: Annotated[Count, Field(le=16_384)] = 512
    batch_sizes: Several[BatchSize] = (1, 10, 100, 1000, 10_000, "100%")
    repeats: Repeats = 5
    visit: Positive = 0.1
    whole: Annotated[float, Field(ge=0)] = 5.0
    seed: Seed = 0
