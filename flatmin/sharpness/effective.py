"""Effective sharpness: the largest eigenvalue of the Hessian as an optimiser feels it, beside what that one stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from flatmin.core.result import Measured
from flatmin.curvature.eigenvalues import top_eigenvalues
from flatmin.objective.preconditioned import preconditioned, scales_of
from flatmin.sharpness.stability import threshold_of


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PreconditionedSharpness(Measured):
    """What :func:`preconditioned_sharpness` found.

    Attributes:
        value: The largest eigenvalue of the preconditioned Hessian.
        threshold: The eigenvalue that the optimiser stands.
        residual: An eigenvalue lies within so much of the value.
        converged: Whether the residual is as small as asked for.
        products: Products with the Hessian.
        optimizer: Its kind.
        vector: The eigenvector in the preconditioned coordinates, (size,).
    """

    long = ("vector",)

    value: float
    threshold: float
    residual: float
    converged: bool
    products: int
    optimizer: str
    vector: Tensor

    def __float__(self) -> float:
        return self.value

    @property
    def warm_start(self) -> Tensor:
        """Where the next search may start."""
        return self.vector

    def words(self) -> Iterator[str]:
        """The value beside the threshold, whether it is to be trusted, what it rests on."""
        yield f"preconditioned sharpness {self.value:.4g}, {self.optimizer} stands {self.threshold:.4g}"
        if not self.converged:
            yield f"NOT CONVERGED: residual {self.residual:.2g}"
        yield f"{self.products:,} products with the Hessian"
        yield from self.grounds()


def preconditioned_sharpness(
    objective: Any,
    optimizer: Optimizer,
    *,
    model: nn.Module | None = None,
    learning_rate: float | None = None,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
) -> PreconditionedSharpness:
    r"""The largest eigenvalue of :math:`P^{-1/2} H P^{-1/2}`, P being what the optimiser divides the gradient by.

    What :math:`\lambda_{\max}(H)` is to gradient descent this is to Adam, RMSprop and Adagrad: full-batch training
    raises it to the optimiser's threshold (Cohen et al., 2022; :func:`~flatmin.sharpness.stability.threshold_of`).
    With SGD P is the identity.

    Args:
        objective: ``theta``, ``size``, ``value`` and ``hvp``.
        optimizer: ``SGD``, or ``Adam``, ``AdamW``, ``RMSprop`` or ``Adagrad`` after a step at least.
        model: The network that is optimised, where the optimiser has its parameters in another order.
        learning_rate: The one that the threshold is for, where groups have several.
        tolerance: Of the residual, relative.
        start: The ``vector`` of an earlier result, which saves products.
        seed: Of the random vector.

    Returns:
        The eigenvalue beside the threshold.

    Raises:
        TypeError: If it is another optimiser, or an argument of the wrong kind.
        ValueError: If the optimiser has taken no step, or does not fit the objective.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import QuadraticObjective
        >>> weights = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
        >>> optimizer = torch.optim.RMSprop([weights], lr=0.1, alpha=0.0, eps=0.0)
        >>> weights.grad = torch.tensor([4.0, 100.0], dtype=torch.float64)
        >>> optimizer.step()
        >>> found = preconditioned_sharpness(QuadraticObjective([8.0, 100.0]), optimizer)
        >>> round(float(found), 6), found.threshold  # 8 / 4 and 100 / 100; 2 / 0.1
        (2.0, 20.0)
    """
    threshold = threshold_of(optimizer, learning_rate=learning_rate)
    felt = objective
    if not isinstance(optimizer, SGD):
        felt = preconditioned(objective, scales_of(optimizer, objective, model=model))
    found = top_eigenvalues(felt, tolerance=tolerance, start=start, seed=seed, copies=False)
    return PreconditionedSharpness(
        value=float(found),
        threshold=threshold,
        residual=float(found.residuals[0]),
        converged=found.converged,
        products=found.products,
        optimizer=type(optimizer).__name__,
        vector=found.vectors[0],
        **Measured.ground(objective),
    )
