"""The largest, smallest or longest eigenvalues of the Hessian, by products with it alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import one_of, positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.curvature.basis import Basis
from flatmin.curvature.lanczos import Lanczos, Pairs
from flatmin.curvature.protocols import Curved, curved
from flatmin.objective import memory

WHICH = ("largest", "smallest", "magnitude")
SMALL = 5000
"""Below so many weights further copies of an eigenvalue are looked for without being asked."""
MIXED = 0.1
"""What of a warm start is random, so that an eigenvalue that has overtaken the others is found."""
SPARE = 20


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Eigenvalues(Measured):
    r"""Some eigenvalues of the Hessian; ``float()`` gives the first.

    Attributes:
        values: (k,), float64: descending for ``"largest"``, ascending for ``"smallest"``, by length for ``"magnitude"``.
        vectors: Unit eigenvectors, (k, size).
        residuals: :math:`\|H v - \lambda v\|`, (k,), float64: an eigenvalue of H lies within so much of each value.
        converged: Whether every residual is at most ``tolerance`` of its value, or of the size of rounding.
        products: Products with the Hessian.
        which: Which ones.
        tolerance: What was asked.
        copies: Whether further copies of a multiple eigenvalue were looked for; without, each may stand for several.
    """

    vectors_: Any = None
    values_: Any = None
