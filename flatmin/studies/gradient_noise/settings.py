"""The noise of a batch's gradient as written in a YAML file: which network, which batches, where it is looked at."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Epoch, Length, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data


class Stuck(Section):
    """Points at which the gradient of one batch's loss vanishes, and what other batches say there.

    Attributes:
        batch_sizes: Of the batch, and of the others.
        steps: Of the search for such a point from the start of training, at most.
        near: Length of the gradient up to which the loss of the batch counts as stuck.
        others: Other batches that are asked, at most; none shares an example with the batch.
        descent: Gradient steps that are then taken, on the batch itself and on the others in turn.
        reach: How far the slice goes to each side, in units of the weights.
        points: Of the slice.
    """

    batch_sizes: Several[Count] = (10, 50, 200, 500)
    steps: Count = 800
    near: Positive = 1e-3
    others: Count = 20
    descent: Count = 100
    reach: Length = 2.0
    points: Annotated[int, Field(ge=5, le=1001)] = 41


class GradientNoise(Experiment):
    """How the gradient of a batch scatters about that of all examples, along the training of a small tanh network.

    Attributes:
        kind: ``gradient_noise``.
        data: Classes; inputs less their mean, over their standard deviation.
        pool: Images are averaged over squares of so many pixels a side.
        width: Units of each of the two hidden layers; there is no BatchNorm, which would couple the examples.
        seeds: Of the start, of the order of examples and of the draws.
        epochs: After which epochs the gradients are looked at; 0 is the start.
        learning_rate: Of SGD.
        training_batch: Examples of a step of it.
        batch_sizes: Of the batches that are drawn.
        draws: Batches of each size, at least.
        least: Examples in all of them, at least: small batches are drawn more often.
        stuck: Points at which one batch's gradient vanishes; ``null`` for none.
    """

    kind: Literal["gradient_noise"] = "gradient_noise"
    data: Data = Data(name="mnist", examples=2000)
    pool: Count = 4
    width: Count = 16
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    epochs: Several[Epoch] = (0, 2, 20)
    learning_rate: Positive = 0.1
    training_batch: Count = 32
    batch_sizes: Several[Count] = (1, 4, 16, 64, 256, 1024)
    draws: Annotated[int, Field(ge=2)] = 200
    least: Count = 4000
    stuck: Stuck | None = Stuck()
