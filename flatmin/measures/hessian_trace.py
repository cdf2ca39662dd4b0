"""The trace of the Hessian as a measure of an experiment.

Its table has the trace with its standard error, and the Frobenius norm of the Hessian with its own.
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Positive
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class HessianTraceSettings(AlongTraining):
    """The trace of the Hessian of the loss, by random probes.

    Attributes:
        relative_error: Standard error over trace at which to stop.
        products: Products with the Hessian at most.
    """

    relative_error: Positive = 0.02
    products: Annotated[int, Field(ge=2, le=100_000)] = 1000


MEASURE = by_function(
    "flatmin.curvature.traces:trace",
    name="hessian_trace",
    words="Trace of the Hessian",
    noun="traces of the Hessian",
    settings=HessianTraceSettings,
    passes=lambda settings: 6.0 * 40,
    columns=("value", "standard_error", "frobenius", "frobenius_error", "deflated", "probes", "products", "converged"),
    needs=("value", "hvp"),
    unchanged_by=("logit_shift", "partition", "permutation"),
)
