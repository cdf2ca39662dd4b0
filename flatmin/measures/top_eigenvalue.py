"""The largest eigenvalue of the Hessian as a measure of an experiment.

Its table has the value, the length of its residual (an eigenvalue lies within so much of it), and whether it converged.
"""

from typing import Annotated

from pydantic import Field

from flatmin.core.fields import Positive
from flatmin.measures.by_function import by_function
from flatmin.measures.measure import AlongTraining


class TopEigenvalueSettings(AlongTraining):
    """The largest eigenvalue of the Hessian of the loss, by Lanczos' process.

    Attributes:
        tolerance: Of the residual, relative to the value.
        products: Products with the Hessian at most.
    """

    tolerance: Positive = 1e-3
    products: Annotated[int, Field(ge=1, le=100_000)] = 500


MEASURE = by_function(
    "flatmin.curvature.eigenvalues:top_eigenvalues",
    name="top_eigenvalue",
    words="Largest eigenvalue of the Hessian",
    noun="largest eigenvalues",
    settings=TopEigenvalueSettings,
    passes=lambda settings: 6.0 * 20,
    columns=("value", "residual", "converged", "products"),
    row=lambda found: {
        "value": float(found),
        "residual": float(found.residuals[0]),
        "converged": found.converged,
        "products": found.products,
    },
    needs=("value", "hvp"),
    unchanged_by=("logit_shift", "partition", "permutation"),
)
