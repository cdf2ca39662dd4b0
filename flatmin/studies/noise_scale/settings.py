"""The noise-scale study as written in a YAML file: rates by batch sizes, and one training in three schedules."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flatmin.core.fields import Count, Epochs, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Swap(Section):
    """A learning rate that falls, and batches that grow in its place.

    Attributes:
        learning_rate: At the start.
        batch_size: At the start.
        factor: By which one falls and the other grows.
        at: Epochs after which they do.
        epochs: Of each training.
    """

    learning_rate: Positive = 0.32
    batch_size: Count = 16
    factor: Annotated[float, Field(gt=1)] = 4.0
    at: Several[Epochs] = (10, 20)
    epochs: Epochs = 30

    @model_validator(mode="after")
    def _in_order(self) -> "Swap":
        if list(self.at) != sorted(self.at):
            raise ValueError(f"at must rise, got {', '.join(map(str, self.at))}")
        return self


class NoiseScale(Experiment):
    """Is it the ratio of learning rate to batch size that counts? A grid of both, by SGD.

    Attributes:
        kind: ``noise_scale``.
        data: Classes; inputs less their mean, over their standard deviation.
        test_examples: The first so many test examples; ``null`` takes all.
        pool: Images are averaged over squares of so many pixels a side.
        width: Units of each of the two hidden layers, ReLU.
        batch_sizes: An axis of the grid.
        learning_rates: The other.
        momentum: Of SGD.
        seeds: Of the start and the order of examples; each trains the whole grid.
        target: Cross-entropy on the training examples at which networks are compared.
        epochs: At most, to get there.
        equal_epochs: After which they are compared too. A network that is no better than a guess by then is lost, and
            is not trained on.
        swap: The three schedules; ``null`` leaves them out.
    """

    kind: Literal["noise_scale"] = "noise_scale"
    data: Data = Data(name="mnist", examples=1024)
    test_examples: Count | None = None
    pool: Count = 4
    width: Count = 32
    batch_sizes: Several[Count] = (4, 8, 16, 32, 64, 128, 256, 512)
    learning_rates: Several[Positive] = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
    momentum: Momentum = 0.0
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    target: Positive = 0.02
    epochs: Epochs = 120
    equal_epochs: Epochs = 30
    swap: Swap | None = Swap()

    @model_validator(mode="after")
    def _long_enough(self) -> "NoiseScale":
        if self.equal_epochs > self.epochs:
            raise ValueError(f"equal_epochs must be at most the {self.epochs} epochs, got {self.equal_epochs}")
        return self
