"""The study of momentum as written in a YAML file: four parts, each of which may be left out with ``null``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flatmin.core.fields import Count, Epochs, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data
from flatmin.studies.toy.settings import Point

Momentum = Annotated[float, Field(ge=0, lt=1)]
Steps = Annotated[int, Field(ge=1, le=1_000_000)]
FIXED, EFFECTIVE = "learning_rate", "effective_rate"
"""What trainings with and without momentum may share."""


def _with_none(momenta: tuple[float, ...]) -> tuple[float, ...]:
    if 0 not in momenta or len(momenta) < 2:
        raise ValueError("must have 0 and one to compare with it")
    return momenta


class Identity(Section):
    """The recursion of momentum, its closed form and torch's SGD on one training, in float64.

    Attributes:
        momentum: The share of the last movement that is kept.
        learning_rate: Of the first half.
        drop: What the rate is multiplied by in the second half.
        batch_size: Examples of a step.
        steps: Of each of two trainings, one with a constant rate and one with the drop.
    """

    momentum: Momentum = 0.9
    learning_rate: Positive = 0.1
    drop: Positive = 0.1
    batch_size: Count = 32
    steps: Annotated[int, Field(ge=4, le=1000)] = 60


class Ball(Section):
    """Descents of a loss of one weight, which has a slope, a plateau, a local minimum and a hump.

    Attributes:
        start: Where all begin.
        learning_rate: Of all.
        momentum: Of the ball whose movements are drawn.
        weak: A momentum that is asked whether it is too small.
        momenta: How many from 0 to 0.99 are tried.
        steps: Of each.
    """

    start: float = 0.0
    learning_rate: Positive = 0.2
    momentum: Momentum = 0.9
    weak: Momentum = 0.5
    momenta: Annotated[int, Field(ge=2, le=10_000)] = 100
    steps: Steps = 3000


class Saddle(Section):
    """Descents of the toy network from beside the line that leads into its saddle.

    Attributes:
        start: On that line.
        perturbations: How far along (1, 1) the start is moved, per coordinate; 0 stays on the line.
        learning_rate: Of all.
        momentum: Of those with momentum.
        steps: Of each.
        reached: The loss below which a descent is to stay.
    """

    start: Point = (0.5, -0.5)
    perturbations: Several[Annotated[float, Field(ge=0, le=1)]] = (0.0, 1e-9, 1e-6, 1e-3)
    learning_rate: Positive = 0.1
    momentum: Momentum = 0.9
    steps: Steps = 300
    reached: Positive = 1e-3


class Ends(Section):
    """Trainings of one network with several momenta, at one learning rate and at one effective rate.

    Attributes:
        momenta: Each; 0 must be among them, the others are compared with it.
        learning_rate: Of all at one learning rate; ``learning_rate / (1 - momentum)`` of all at one effective rate.
        batch_size: Examples of a step.
        epochs: Of each training.
        target: Training loss at which networks are also compared, at the end of the first epoch that is below.
        tolerance: Of the largest eigenvalue's residual, relative; the eigenvalue is off by about its square.
    """

    momenta: Annotated[Several[Momentum], AfterValidator(_with_none)] = (0.0, 0.5, 0.9, 0.99)
    learning_rate: Positive = 0.05
    batch_size: Count = 32
    epochs: Epochs = 40
    target: Positive = 0.1
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01


class MomentumStudy(Experiment):
    """What momentum is, what it passes, what it does not pass, and what it changes in a real network.

    Attributes:
        kind: ``momentum``.
        data: Of the real network; its first so many training examples.
        width: Units of each of its two hidden layers, tanh.
        seeds: Of its start, and of the order of examples.
        identity: The recursion, its closed form and torch's SGD.
        ball: The loss of one weight.
        saddle: The toy network.
        ends: Where a real network ends.
    """

    kind: Literal["momentum"] = "momentum"
    data: Data = Data(name="digits")
    width: Count = 32
    seeds: Several[Seed] = (0, 1, 2, 3, 4)
    identity: Identity | None = Identity()
    ball: Ball | None = Ball()
    saddle: Saddle | None = Saddle()
    ends: Ends | None = Ends()
