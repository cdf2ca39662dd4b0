"""The toy network of Hung-yi Lee's chapter 3.1 as written in a YAML file."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Epochs, Positive, Several
from flatmin.experiments.config import Experiment

Point = Annotated[tuple[float, float], Field(strict=False)]


class Toy(Experiment):
    """Two linear neurons, y = w1 w2 x, one example x = 1 with target 1.

    Attributes:
        kind: ``toy``.
        points: Where the loss is asked for its gradient and Hessian; each is (w1, w2).
        escapes: Lengths of the steps from the saddle at the origin along (1, 1), as multiples of that vector's unit.
        starts: Where the descents begin.
        methods: ``descent`` is plain gradient descent; ``momentum`` adds a share of the last step.
        learning_rate: Of both.
        momentum: The share.
        steps: Of each descent.
        reached: The loss that counts as arrived.
    """

    kind: Literal["toy"] = "toy"
    points: Several[Point] = ((0.0, 0.0), (1.0, 1.0), (-1.0, -1.0), (0.5, 2.0), (2.0, 0.5))
    escapes: Several[Positive] = (0.1, 0.5, 1.0)
    starts: Several[Point] = ((0.01, 0.01), (0.5, -0.5))
    methods: Several[Literal["descent", "momentum"]] = ("descent", "momentum")
    learning_rate: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    steps: Epochs = 300
    reached: Positive = 1e-3
