"""Objectives whose Hessian is another matrix: Gauss and Newton's, or Fisher's of the data."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from flatmin.objective.restricted import Restricted


class View:
    """An objective in all but its products with the Hessian.

    Args:
        objective: What it is a view of.
        product: Gives ``(vector, theta)`` for the products.
        words: What the matrix is.
        again: Makes the same view of another objective, of a part of the examples.
    """

    def __init__(
        self,
        objective: Any,
        product: Callable[[Tensor, Tensor | None], Tensor],
        words: str,
        again: Callable[[Any], Any],
    ) -> None:
        self._objective, self._product, self._words, self._again = objective, product, words, again

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._objective, name)

    def __repr__(self) -> str:
        return f"{self._words} of {self._objective!r}"

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the matrix at ``theta`` with ``vector``, (size,)."""
        return self._product(vector, theta)

    def restricted(self, select: Sequence[str]) -> Restricted:
        """The block of the matrix that belongs to some of the parameters."""
        return Restricted(self, select)

    def parts(self, size: int) -> list[Any]:
        """The same view of disjoint parts of the examples."""
        return [self._again(part) for part in self._objective.parts(size)]


def gauss_newton(objective: Any) -> View | Restricted:
    r"""The objective with the Gauss-Newton matrix in the place of its Hessian, for every tool that takes products.

    .. math:: G = \sum_b \frac{w_b}{w} J_b^\top B_b J_b

    with J the Jacobian of the outputs and B the Hessian of the loss as a function of the outputs. G is positive
    semi-definite where the loss is convex in the outputs, and for cross-entropy on logits and the squared error
    proportional to Fisher's information under the network's own distribution (Martens, 2020).

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective` whose network gives its outputs as a tensor, or
            some layers of one, ``objective.restricted([...])``.

    Returns:
        What :func:`~flatmin.curvature.eigenvalues.top_eigenvalues`, :func:`~flatmin.curvature.traces.trace` and the
        others take.

    Raises:
        TypeError: If the objective has no outputs.

    Example:
        >>> import torch
        >>> from flatmin import Objective, top_eigenvalues
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> batch = (torch.eye(2).double(), torch.zeros(2, 1).double())
        >>> objective = Objective(model, torch.nn.functional.mse_loss, [batch])
        >>> round(float(top_eigenvalues(gauss_newton(objective))), 9)  # of x'x
        1.0
    """
    if isinstance(objective, Restricted):
        return gauss_newton(objective.whole).restricted(list(objective.shapes))
    if not hasattr(objective, "gauss_newton"):
        kind = type(objective).__name__
        raise TypeError(f"`objective` must be an Objective, whose network has outputs, got {kind}.")
    return View(objective, objective.gauss_newton, "Gauss-Newton matrix", gauss_newton)


def empirical_fisher(objective: Any, each: Callable[..., Tensor]) -> View | Restricted:
    r"""The objective with the empirical Fisher matrix in the place of its Hessian.

    .. math:: F = \frac{1}{N} \sum_i g_i g_i^\top

    with :math:`g_i` the gradient of the loss of example i at its own target. It is no second derivative of the loss,
    and far from Fisher's information where the network does not fit its targets (Kunstner et al., 2019).

    Args:
        objective: An :class:`~flatmin.objective.objective.Objective`, or some layers of one.
        each: The loss of each example, ``each(outputs, targets)``, such as ``partial(cross_entropy,
            reduction="none")``.

    Returns:
        As :func:`gauss_newton`.

    Raises:
        TypeError: If the objective knows no single examples, or ``each`` is not callable.
    """
    if isinstance(objective, Restricted):
        return empirical_fisher(objective.whole, each).restricted(list(objective.shapes))
    if not hasattr(objective, "each_along"):
        raise TypeError(f"`objective` must be an Objective, which has examples, got {type(objective).__name__}.")
    if not callable(each):
        raise TypeError(f"`each` must be callable as each(outputs, targets), got {type(each).__name__}.")

    def product(vector: Tensor, theta: Tensor | None) -> Tensor:
        _, slopes = objective.each_along(each, vector, theta)
        return objective.each_pulled(each, slopes / len(slopes), theta)  # type: ignore[no-any-return]

    return View(objective, product, "Empirical Fisher matrix", lambda part: empirical_fisher(part, each))


def linear_operator(objective: Any, theta: Tensor | None = None) -> Any:
    """The Hessian as a SciPy ``LinearOperator``, for ``scipy.sparse.linalg`` and whatever takes one.

    Args:
        objective: ``theta``, ``size`` and ``hvp``; :func:`gauss_newton` of one for that matrix.
        theta: Where; the point at which the objective stands by default.

    Returns:
        An operator of shape (size, size) in float64.

    Raises:
        TypeError: If the objective has no products.

    Example:
        >>> from scipy.sparse.linalg import eigsh
        >>> from flatmin.core.functions import QuadraticObjective
        >>> operator = linear_operator(QuadraticObjective([1.0, 5.0, -3.0]))
        >>> [round(float(value), 6) for value in eigsh(operator, k=1, which="LA", return_eigenvectors=False)]
        [5.0]
    """
    from scipy.sparse.linalg import LinearOperator

    from flatmin.curvature.protocols import curved, point_of, product_of

    at = point_of(curved(objective), theta)
    times = product_of(objective, at)

    def product(vector: Any) -> Any:
        return times(torch.as_tensor(vector).reshape(-1).to(at)).double().cpu().numpy()

    return LinearOperator((at.numel(),) * 2, matvec=product, rmatvec=product, dtype="float64")
