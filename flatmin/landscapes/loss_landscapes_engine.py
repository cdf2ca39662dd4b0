"""The same points evaluated by the package loss-landscapes 3.0.6, for comparison.

Its own drivers cannot be trusted with the points:

- ``linear_interpolation`` and ``random_line`` evaluate t = 1/steps ... 1, never the start;
- ``planar_interpolation`` and ``random_plane`` shift every other row: of 20 columns even rows hold 1 ... 20 and odd
  rows 0 ... 19, so neighbouring rows are one step apart, and the origin of a three-point plane is never evaluated;
- ``distance`` is inverted: a random plane spans ``||w|| / distance`` (2.0, 1.0, 0.5, 0.1 of ``||w||`` for 0.5, 1, 2,
  10);
- random directions are uniform on [0, 1], every entry positive: the cosine of two is 0.75;
- filter normalisation turns every entry of a bias or BatchNorm parameter into ``|w_i|``, leaving nothing random;
- the model passed in ends at the far end of the line with ``requires_grad=False`` throughout;
- BatchNorm keeps the running averages of the start: at the second of two trained networks, true loss 0.0017, it
  reports 6.24;
- ``LossGradient`` raises for every model.

So each point goes through its public ``point(model, metric)`` on a copy of the network that already stands there:
the package wraps it, runs it and applies the metric. Coordinates and directions come from the caller, and the
caller's model is not touched.
"""

from collections.abc import Callable
from typing import Any

import loss_landscapes
from torch import Tensor

from flatmin.landscapes.grid import Function, Value
from flatmin.objective.objective import Objective


def evaluator(objective: Function) -> Callable[[Tensor], Value]:
    """Loss and accuracy of ``objective`` at given weights, evaluated by loss-landscapes.

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective` whose batches hold one input tensor each.

    Returns:
        A function of the weights.

    Raises:
        TypeError: If the objective is not that of a network.
        ValueError: If it re-estimates BatchNorm statistics: the package evaluates a module, and they are not in it.
    """
    if not isinstance(objective, Objective):
        raise TypeError(
            f"engine 'loss-landscapes' needs an Objective of a network, got {type(objective).__name__}; "
            "use engine='flatmin'."
        )
    objective.module_at()
    metric = _metric(objective)
    return lambda theta: loss_landscapes.point(objective.module_at(theta), metric)


def _metric(objective: Objective) -> Callable[[Any], Value]:
    """Mean loss and accuracy over the objective's batches, by the objective's own weights of batches."""

    def metric(wrapper: Any) -> Value:
        evaluation = objective.evaluate_outputs(wrapper.forward)
        return evaluation.loss, evaluation.accuracy

    return metric
