"""Critical points of small networks as written in a YAML file."""

from typing import Annotated, Literal

from pydantic import Field

from flatmin.core.fields import Count, Positive, Section, Seed, Several
from flatmin.experiments.config import Experiment
from flatmin.experiments.setups import Data

Updates = Annotated[int, Field(ge=0, le=1_000_000)]


class Plane(Section):
    """The loss around one of the points, in the plane of the eigenvectors of its smallest and largest eigenvalue.

    Attributes:
        seed: Of the network.
        updates: Of its training.
        method: Of its search.
        reach: How far the plane goes to each side, in units of the weights.
        points: Along each axis.
    """

    seed: Seed = 0
    updates: Updates = 0
    method: Literal["gradient_norm", "levenberg_marquardt", "saddle_free_newton"] = "gradient_norm"
    reach: Positive = 1.0
    points: Annotated[int, Field(ge=3, le=1001)] = 41


class SearchSteps(Section):
    """Steps of a search at most; a step of the last two writes the Hessian out.

    Attributes:
        gradient_norm: Of L-BFGS on the length of the gradient.
        levenberg_marquardt: Of Levenberg-Marquardt.
        saddle_free_newton: Of saddle-free Newton.
    """

    gradient_norm: Count = 2000
    levenberg_marquardt: Count = 150
    saddle_free_newton: Count = 150


class CriticalPoints(Experiment):
    """Networks of one hidden layer, trained for a while and then led to where the gradient vanishes.

    Attributes:
        kind: ``critical_points``.
        data: The data set, images or vectors; its first examples.
        pool: Images are averaged over squares of so many pixels a side.
        hidden: Units of the hidden layer.
        activation: Of the hidden layer.
        loss: ``squared_error`` of the outputs to the classes as unit vectors, which has minima, or ``cross_entropy``,
            which has none where the classes can be told apart.
        seeds: One network each.
        updates: Full-batch updates of Adam before the search; each is a network of its own.
        learning_rate: Of Adam.
        methods: Of the search, see :func:`flatmin.find_critical_point`.
        steps: Of a search at most, by method.
        gradient: Length of the gradient at which a search ends.
        near: Length of the gradient up to which a network counts as being near a critical point.
        tolerances: What share of the longest eigenvalue counts as zero; the first one is judged by.
        plane: The loss around one of them; ``null`` for none.
    """

    kind: Literal["critical_points"] = "critical_points"
    data: Data = Data(name="mnist", examples=500)
    pool: Count = 7
    hidden: Count = 10
    activation: Literal["tanh", "relu"] = "tanh"
    loss: Literal["squared_error", "cross_entropy"] = "squared_error"
    seeds: Several[Seed] = tuple(range(20))
    updates: Several[Updates] = (0, 30, 300)
    learning_rate: Positive = 0.01
    methods: Several[Literal["gradient_norm", "levenberg_marquardt", "saddle_free_newton"]] = (
        "gradient_norm",
        "saddle_free_newton",
    )
    steps: SearchSteps = SearchSteps()
    gradient: Positive = 1e-8
    near: Positive = 1e-3
    tolerances: Several[Positive] = (1e-6, 1e-4, 1e-8)
    plane: Plane | None = None
