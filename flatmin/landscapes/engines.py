"""Who evaluates a point: flatmin, or the package loss-landscapes."""

import math
from collections.abc import Callable

from torch import Tensor

from flatmin.core.checks import one_of
from flatmin.landscapes.grid import Function, Value

ENGINES = ("flatmin", "loss-landscapes")


def evaluator(objective: Function, engine: str) -> Callable[[Tensor], Value]:
    """Loss and accuracy as a function of the weights, by the named engine."""
    if one_of("engine", engine, ENGINES) == "loss-landscapes":
        from flatmin.landscapes import loss_landscapes_engine

        return loss_landscapes_engine.evaluator(objective)
    evaluate = getattr(objective, "evaluate", None)

    def at(theta: Tensor) -> Value:
        if evaluate is None:
            return float(objective.value(theta)), math.nan
        evaluation = evaluate(theta)
        more = getattr(evaluation, "metrics", {}).values()
        return (float(evaluation.loss), float(evaluation.accuracy), *more)

    return at
