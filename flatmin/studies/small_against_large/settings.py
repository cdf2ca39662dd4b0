"""Small batch against large as written in a YAML file: which network, which batch sizes, how they are compared."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchSize, Count, Epochs, Positive, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data


class SmallAgainstLarge(Experiment):
    """The same network trained with small and with large batches, and every word of Lee's Table 3.1 measured.

    Attributes:
        kind: ``small_against_large``.
        data: Classes; inputs less their mean, over their standard deviation.
        test_examples: The first so many test examples; ``null`` takes all.
        pool: Images are averaged over squares of so many pixels a side.
        width: Units of each of the two hidden layers, ReLU, no BatchNorm.
        small_batch: Examples of a step, or a percentage of all.
        large_batch: Likewise.
        optimizer: ``adam`` or ``sgd``, the same for both.
        learning_rate: Of it, the same for both.
        epochs: Of the small batch, and of the large one at equal epochs; at equal updates it has as many more as it
            takes.
        target: Cross-entropy on the training examples at which both are compared at equal training loss.
        seeds: Of the start, the order of examples and the draws.
        draws: Batches whose gradients are compared.
        rounds: Of the timings; each times every batch size once, one after the other.
    """

    kind: Literal["small_against_large"] = "small_against_large"
    data: Data = Data(name="mnist", examples=2000)
    test_examples: Count | None = 4000
    pool: Count = 2
    width: Count = 32
    small_batch: BatchSize = 10
    large_batch: BatchSize = 1000
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 0.001
    epochs: Epochs = 10
    target: Positive = 0.2
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    draws: Annotated[int, Field(ge=2)] = 200
    rounds: Annotated[int, Field(ge=2, le=1000)] = 11
