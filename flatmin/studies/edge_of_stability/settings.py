"""The edge of stability as written in a YAML file: which optimisers train a small network, and how often one looks."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flatmin.core.fields import Count, Epochs, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

OptimizerName = Literal["descent", "heavy_ball", "nesterov", "adam"]


class Way(Section):
    """One way of training.

    Attributes:
        optimizer: ``descent`` is gradient descent; ``heavy_ball`` and ``nesterov`` have momentum; ``adam``.
        learning_rate: Of it.
        momentum: Of ``heavy_ball`` and ``nesterov``; beta1 of ``adam``.
        batch_size: Examples of a step, drawn anew each epoch; ``null`` takes all, without chance.
    """

    optimizer: OptimizerName = "descent"
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_size: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_momentum(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("optimizer", "descent") == "descent":
            if value.get("momentum", 0.0):
                raise ValueError("must have no momentum with 'descent'; take heavy_ball or nesterov")
            return value | {"momentum": 0.0}
        return value


WAYS = (
    Way(learning_rate=0.05),
    Way(learning_rate=0.1),
    Way(learning_rate=0.1, batch_size=16),
)


class EdgeOfStability(Experiment):
    """The largest eigenvalue of the Hessian along full-batch training, against what the optimiser stands.

    Attributes:
        kind: ``edge_of_stability``.
        data: Its first so many training examples, inputs less their mean.
        width: Units of each of the two hidden layers, tanh.
        loss: ``squared_error``, half of the squared distance of the outputs to the class as a unit vector, or
            ``cross_entropy``.
        ways: The trainings, each from the same start.
        seeds: Of the start, and of the order of examples.
        steps: Of each training.
        every: Steps from one measurement to the next.
        tolerance: Of the residual of an eigenvalue, relative; the eigenvalue is off by about its square.
    """

    kind: Literal["edge_of_stability"] = "edge_of_stability"
    data: Data
    width: Count = 100
    loss: Literal["squared_error", "cross_entropy"] = "squared_error"
    ways: Several[Way] = WAYS
    seeds: Several[Seed] = (0,)
    steps: Epochs = 2000
    every: Count = 40
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.03
