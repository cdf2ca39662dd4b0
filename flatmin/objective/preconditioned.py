r"""An objective in the coordinates of an adaptive optimiser, whose steps are plain gradient descent there.

An optimiser that divides the gradient by :math:`P`, a number a weight, goes down :math:`f(P^{-1/2} u)` as a function of
:math:`u = P^{1/2} \theta`, whose Hessian is :math:`P^{-1/2} H P^{-1/2}`: its stability is a matter of that matrix's
eigenvalues, not of those of H. Cohen et al. (2022), Adaptive gradient methods at the edge of stability.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adagrad, Adam, AdamW, Optimizer, RMSprop

from flatmin.core.checks import an_objective
from flatmin.objective.optimized import in_order


class Preconditioned:
    r"""A function of :math:`u = P^{1/2} \theta`; examples, reading of BatchNorm and cautions are the objective's.

    Args:
        objective: Of :math:`\theta`.
        scales: The diagonal of P, (size,), positive.

    Raises:
        TypeError: If ``objective`` is none.
        ValueError: If ``scales`` has another shape than theta, or an entry that is not positive and finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = Preconditioned(QuadraticObjective([1.0, 400.0]), torch.tensor([1.0, 100.0]))
        >>> bowl.hvp(torch.ones(2)).tolist()
        [1.0, 4.0]
    """

    def __init__(self, objective: Any, scales: Tensor) -> None:
        self.whole = an_objective(objective)
        theta = self.whole.theta
        scales = torch.as_tensor(scales).detach()
        if scales.shape != theta.shape:
            raise ValueError(f"`scales` must have shape {tuple(theta.shape)}, got {tuple(scales.shape)}.")
        if bad := int((~(scales.isfinite() & (scales > 0))).sum()):
            raise ValueError(f"`scales` must be positive and finite, got {bad:,} entries that are not.")
        self.roots = scales.double().sqrt().to(theta)

    def __repr__(self) -> str:
        return f"{self.whole!r}, preconditioned"

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(self.whole.size)

    @property
    def theta(self) -> Tensor:
        r"""Where the model stands, :math:`P^{1/2} \theta`, (size,)."""
        return self.roots * self.whole.theta  # type: ignore[no-any-return]

    @property
    def batch_norm(self) -> str | None:
        """Reading of BatchNorm; ``None`` if the objective does not say."""
        return getattr(self.whole, "batch_norm", None)

    @property
    def has_batch_norm(self) -> bool:
        """Whether there is any."""
        return bool(getattr(self.whole, "has_batch_norm", False))

    @property
    def examples(self) -> int | None:
        """Number of examples; ``None`` if the objective does not say."""
        return getattr(self.whole, "examples", None)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the owner of a number should know."""
        return tuple(getattr(self.whole, "cautions", ()))

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar."""
        return self.whole.value(self._back(theta))  # type: ignore[no-any-return]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and gradient in these coordinates, (size,)."""
        value, gradient = self.whole.value_and_gradient(self._back(theta))
        return value, gradient / self.roots

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient in these coordinates, (size,)."""
        return self.value_and_gradient(theta)[1]

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        r""":math:`P^{-1/2} H P^{-1/2}` times ``vector``, (size,)."""
        along = torch.as_tensor(vector).to(self.roots) / self.roots
        return self.whole.hvp(along, self._back(theta)) / self.roots  # type: ignore[no-any-return]

    def _back(self, theta: Tensor | None) -> Tensor | None:
        return None if theta is None else theta.to(self.roots) / self.roots


def preconditioned(objective: Any, scales: Tensor) -> Preconditioned:
    r"""The objective in the coordinates :math:`P^{1/2} \theta`: every tool for curvature and sharpness takes it.

    Args:
        objective: Any.
        scales: The diagonal of P, (size,), from :func:`scales_of` say.

    Returns:
        The objective of the new coordinates.

    Raises:
        TypeError: If ``objective`` is none.
        ValueError: If ``scales`` do not fit.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> preconditioned(QuadraticObjective([1.0, 400.0]), torch.tensor([1.0, 100.0])).size
        2
    """
    return Preconditioned(objective, scales)


def scales_of(optimizer: Optimizer, objective: Any = None, *, model: nn.Module | None = None) -> Tensor:
    r"""What an adaptive optimiser divides the gradient by, a number a weight, as it stands.

    A step is :math:`-\eta P^{-1} m`, m being the gradient or its mean. P is, as torch computes it,
    :math:`(1 - \beta_1^t)(\sqrt{v / (1 - \beta_2^t)} + \epsilon)` for Adam and AdamW (with AMSGrad the largest v so
    far), :math:`\sqrt{v} + \epsilon` for RMSprop (centred: :math:`\sqrt{v - m^2}`), and the root of the sum of squares
    for Adagrad.

    Args:
        optimizer: ``torch.optim.Adam``, ``AdamW``, ``RMSprop`` or ``Adagrad``, after a step at least.
        objective: In whose order they are returned; ``None`` for the optimiser's own.
        model: The network that is optimised, where the optimiser has its parameters in another order.

    Returns:
        The diagonal of P, (size,), float64.

    Raises:
        TypeError: If it is another optimiser.
        ValueError: If it has taken no step, moves only some of the weights, or does not fit the objective.

    Example:
        >>> weights = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.RMSprop([weights], lr=0.1, alpha=0.0, eps=0.0)
        >>> weights.grad = torch.tensor([3.0, -4.0])
        >>> optimizer.step()
        >>> scales_of(optimizer).tolist()
        [3.0, 4.0]
    """
    ordered = in_order(optimizer, objective, model)
    if not isinstance(optimizer, Adam | AdamW | RMSprop | Adagrad):
        raise TypeError(f"`optimizer` must be Adam, AdamW, RMSprop or Adagrad, got {type(optimizer).__name__}.")
    group_of = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    found = []
    for parameter in ordered:
        state = optimizer.state.get(parameter, {})
        if id(parameter) not in group_of or not float(state.get("step", 0)):
            why = "has taken no step with all of the objective's weights; let it take one, or select= those it moves"
            raise ValueError(f"`optimizer` {why}.")
        found.append(_scale(optimizer, group_of[id(parameter)], state).reshape(-1))
    return torch.cat(found)


def _scale(optimizer: Optimizer, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    """What the gradient of one parameter is divided by."""
    if isinstance(optimizer, Adagrad):
        return state["sum"].double().sqrt() + group["eps"]  # type: ignore[no-any-return]
    if isinstance(optimizer, RMSprop):
        mean = state["grad_avg"].double() if group["centered"] else 0.0
        return (state["square_avg"].double() - mean**2).clamp(min=0).sqrt() + group["eps"]  # type: ignore[no-any-return]
    step, (first, second) = float(state["step"]), map(float, group["betas"])
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"].double()
    return (1 - first**step) * ((squares / (1 - second**step)).sqrt() + group["eps"])  # type: ignore[no-any-return]
