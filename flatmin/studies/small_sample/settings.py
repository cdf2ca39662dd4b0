"""Batches of a small sample as written in a YAML file."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Epochs, Positive, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.studies.toy.settings import Point

Loader = Annotated[tuple[Count, Count], Field(strict=False)]


class SmallSample(Experiment):
    """Linear regression with two weights on a few examples, by batches of several sizes at one learning rate.

    Targets are x . (1, 1) and noise; the first input has unit spread, the second ``spread``.

    Attributes:
        kind: ``small_sample``.
        examples: How many.
        batch_sizes: Of the descents; the largest and the smallest are compared.
        seeds: Of the examples, and of their order.
        start: Where all begin.
        learning_rate: Of all.
        epochs: Compared after; who makes fewer updates goes on until all have made as many.
        spread: Of the second input; the smaller, the longer the valley.
        noise: Standard deviation of the targets' noise.
        loaders: Numbers of examples and batch sizes, whose batches are counted.
    """

    kind: Literal["small_sample"] = "small_sample"
    examples: Annotated[int, Field(ge=3, le=10_000)] = 20
    batch_sizes: Several[Count] = (20, 1)
    seeds: Several[Seed] = tuple(range(10))
    start: Point = (-1.0, 2.5)
    learning_rate: Positive = 0.1
    epochs: Epochs = 10
    spread: Positive = 0.5
    noise: Annotated[float, Field(ge=0)] = 0.3
    loaders: Several[Loader] = ((20, 20), (20, 1), (20, 19), (60_000, 1), (60_000, 1_000), (60_000, 60_000))
