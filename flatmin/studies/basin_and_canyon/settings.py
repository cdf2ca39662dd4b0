"""Basin and canyon as written in a YAML file: which minima are compared, and along which lines."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import BatchSize, Count, Epochs, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

Lines = Annotated[int, Field(ge=0, le=1000)]


class Directions(Section):
    """The lines through each minimum.

    Attributes:
        random: Random directions, filter-normalised (Li et al. 2018).
        steepest: Eigenvectors of the largest eigenvalues of the Hessian of the training loss.
        between: The line to the other minimum of the same seed, at most halfway.
        downhill: The line along the negative gradient of the test loss, where the shift costs the most to first order.
    """

    random: Lines = 6
    steepest: Annotated[int, Field(ge=0, le=20)] = 2
    between: bool = True
    downhill: bool = True


class BasinAndCanyon(Experiment):
    """Minima of small and of large batches, and how the test loss lies beside the training loss along lines there.

    Attributes:
        kind: ``basin_and_canyon``.
        data: Classes; inputs less their mean, over their standard deviation.
        test_examples: The first so many test examples; ``null`` takes all.
        pool: Images are averaged over squares of so many pixels a side.
        width: Units of each of the two hidden layers, ReLU, no BatchNorm.
        small_batch: Examples of a step, or a percentage of all.
        large_batch: Likewise.
        learning_rate: Of SGD, the same for both.
        target: Cross-entropy on the training examples at which a training ends, so that both minima are as deep.
        epochs: At most; a minimum that is not as deep by then is not judged.
        seeds: Of the start and the order of examples; a minimum of either batch size each.
        directions: The lines.
        rise: How far up each line goes: the training loss at its ends is on average so much higher, in nats.
        points: On each line.
    """

    kind: Literal["basin_and_canyon"] = "basin_and_canyon"
    data: Data = Data(name="mnist", examples=2000)
    test_examples: Count | None = 4000
    pool: Count = 2
    width: Count = 32
    small_batch: BatchSize = 16
    large_batch: BatchSize = "50%"
    learning_rate: Positive = 0.1
    target: Positive = 0.02
    epochs: Epochs = 3000
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    directions: Directions = Directions()
    rise: Annotated[float, Field(gt=0, le=100)] = 0.5
    points: Annotated[int, Field(ge=7, le=1001)] = 31
