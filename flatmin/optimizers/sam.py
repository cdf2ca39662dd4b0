r"""SAM and ASAM: the step of any optimiser, with the gradient of the worst point nearby.

.. math::

    \min_w \max_{\lVert T_w^{-1} e \rVert \le \rho} L(w + e), \qquad
    e \approx \rho \frac{T_w^2 g}{\lVert T_w g \rVert}

with :math:`T_w` the identity for SAM, Foret et al. (2021), Sharpness-aware minimization for efficiently improving
generalization, equations 2 and 3; and for ASAM, Kwon et al. (2021), :math:`|w| + \eta` for weights of two dimensions
and more, 1 for biases and other vectors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from flatmin.optimizers.grouped import checked, norms
from flatmin.optimizers.running_averages import running_averages_kept

ETA = 0.01
"""Of ASAM: what a weight of 0 may be moved by."""
LIMITS = {"rho": {"gt": 0}, "eta": {"ge": 0}}


def perturbations(
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
    groups: Iterable[Mapping[str, Any]],
) -> list[Tensor]:
    r"""How far to move each tensor of weights to where the loss is worst to first order; one norm over all of them.

    Args:
        weights: Tensors of any shapes.
        slopes: The gradient in each.
        groups: For each the settings ``rho``, ``adaptive`` and ``eta``.

    Returns:
        :math:`\rho T_w^2 g / \lVert T_w g \rVert`, of the same shapes.

    Raises:
        RuntimeError: If a gradient is sparse.
    """
    if any(slope.is_sparse for slope in slopes):
        raise RuntimeError("SAM takes dense gradients, got sparse ones; take nn.Embedding(..., sparse=False).")
    groups = list(groups)
    widths = [
        weight.detach().abs() + group["eta"] if group["adaptive"] and weight.ndim > 1 else None
        for weight, group in zip(weights, groups, strict=True)
    ]
    felt = [slope if width is None else slope * width for slope, width in zip(slopes, widths, strict=True)]
    length = torch.linalg.vector_norm(norms(felt)) + 1e-12
    return [
        (slope if width is None else slope * width) * (group["rho"] / length)
        for slope, width, group in zip(felt, widths, groups, strict=True)
    ]


@contextmanager
def moved(weights: Sequence[Tensor], by: Sequence[Tensor]) -> Iterator[None]:
    """The weights stand elsewhere in here, and after it, whatever happened, bit for bit where they were."""
    start = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            torch._foreach_add_(list(weights), list(by))
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, start, strict=True):
                weight.copy_(before)


class SAM(Optimizer):
    """Sharpness-aware minimisation around any optimiser of torch's kind.

    ``step(closure)`` calls the closure twice, at the weights and at the worst point nearby, puts the weights back and
    lets the base optimiser take its step with the second gradient. That is all that Lightning's automatic optimisation
    needs: two forward passes a batch. There the closure of the loop clips the gradient too: by norm it does not change
    where the first pass leads to, by value it does; ``on_before_optimizer_step`` is called, and what
    ``training_step`` logs is heard, in both passes: means over an epoch are then over both. The implementation of
    ``pytorch_optimizer`` 4.1 makes one pass a batch there and follows old gradients, and davda54/sam expects gradients
    before ``step``.

    BatchNorm and InstanceNorm update their running averages in the first pass only; dropout draws anew in the second. A
    network made by ``torch.compile(network)`` has to be given as ``model``; without it a RuntimeError says so, as it
    does for a scripted network. Layers of one's own that keep averages have to see to it themselves.

    It needs to compute both gradients itself. Gradients that are there before ``step`` and that the closure adds to,
    as ``accumulate_grad_batches`` does, are refused: the second gradient would be of the last batch alone. A
    ``GradScaler`` (Lightning's ``16-mixed``) calls ``step`` without the closure, which is refused; ``bf16-mixed`` is
    right. ``flatmin.training.SharpnessAware`` does with all three, and takes SAM by sub-batches.

    Parameter groups and state are those of the base, so schedules and checkpoints know both.

    Args:
        params: Parameters, or groups of them (each can have a ``rho``, ``adaptive`` and ``eta`` of its own).
        base_optimizer_class: Such as ``torch.optim.SGD``; one that does with the gradients there are, not ``LBFGS``.
        rho: Radius, positive. 0.05 for SAM on CIFAR-10 (0.1 on CIFAR-100); for ASAM 0.5 (1.0).
        adaptive: ASAM: the radius is relative to each weight.
        eta: Of ASAM, at least 0; with 0 it is invariant to rescaling.
        model: The network, if it was compiled.
        base: Settings of the base, such as ``lr``.

    Raises:
        TypeError: If ``base_optimizer_class`` is no class of optimisers, or a number is none.
        ValueError: If a number is out of range, or the base needs a closure.

    Attributes:
        base: The base optimiser.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(1.0))
        >>> optimizer = SAM([weight], torch.optim.SGD, rho=0.5, lr=0.1)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = weight**2
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item(), round(weight.item(), 4)    # 1 - 0.1 * 2 * (1 + 0.5)
        (1.0, 0.7)
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer_class: type[Optimizer],
        rho: float = 0.05,
        adaptive: bool = False,
        *,
        eta: float = ETA,
        model: nn.Module | None = None,
        **base: Any,
    ) -> None:
        if not (isinstance(base_optimizer_class, type) and issubclass(base_optimizer_class, Optimizer)):
            got = type(base_optimizer_class).__name__
            raise TypeError(
                f"`base_optimizer_class` must be a class such as torch.optim.SGD, got {got}; its settings go by name."
            )
        if issubclass(base_optimizer_class, LBFGS | SAM):
            name = base_optimizer_class.__name__
            raise ValueError(f"`base_optimizer_class` must need no closure, {name} does; take torch.optim.SGD.")
        self.base = base_optimizer_class(params, **base)
        self.model = model
        groups, state = self.base.param_groups, self.base.state
        super().__init__(list(groups), {**self.base.defaults, "rho": rho, "adaptive": adaptive, "eta": eta})
        self.state = state

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of the base."""
        return self.base.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.base.param_groups = groups

    @property
    def state(self) -> Any:
        """That of the base; the first pass leaves nothing behind."""
        return self.base.state

    @state.setter
    def state(self, state: Any) -> None:
        self.base.state = state

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base, "model": self.model, "defaults": self.defaults}

    def __setstate__(self, state: dict[str, Any]) -> None:
        loaded: dict[str, Any] = {name: state[name] for name in ("state", "param_groups") if name in state}
        super().__setstate__({name: value for name, value in state.items() if name not in loaded})
        if loaded:
            self.base.__setstate__(loaded)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; those that are not given are the optimiser's.

        Raises:
            TypeError: If a number is none.
            ValueError: If it is out of range.
        """
        checked(LIMITS, {**self.defaults, **param_group})
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Both passes and the base's step.

        Args:
            closure: Computes the gradients and returns the loss, as the loop does for any optimiser.

        Returns:
            What the closure returned in the first pass: the loss at the weights.

        Raises:
            TypeError: If there is no closure.
            RuntimeError: If a gradient is sparse, gradients were there before and the closure adds to them, or a
                layer's running averages cannot be kept from the second pass.
        """
        if closure is None:
            raise TypeError(
                "`closure` must be given: SAM computes two gradients; call step(closure), without a GradScaler "
                "(Lightning's '16-mixed'; take 'bf16-mixed')."
            )
        loss = self._first(closure)
        found = [(w, group) for group in self.param_groups for w in group["params"] if w.grad is not None]
        if found:
            weights, groups = [weight for weight, _ in found], [group for _, group in found]
            with torch.no_grad():
                by = perturbations(weights, [weight.grad for weight in weights], groups)
            self.zero_grad()
            with moved(weights, by), running_averages_kept(self.model), torch.enable_grad():
                closure()
        self.base.step()
        for weight, _ in found:
            if weight.grad is not None:
                weight.grad.spent_at = weight.grad._version
        return loss

    def _first(self, closure: Callable[[], Any]) -> Any:
        """The first pass: from no gradient, whether the closure sees to that or not.

        Raises:
            RuntimeError: If the closure adds to a gradient that somebody else has computed.
        """
        before = []
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and getattr(weight.grad, "spent_at", None) == weight.grad._version:
                    weight.grad = None
                elif weight.grad is not None and weight.grad.any():
                    before.append((weight, weight.grad))
        with torch.enable_grad():
            loss = closure()
        if any(weight.grad is gradient for weight, gradient in before):
            raise RuntimeError(
                "SAM computes both gradients itself and adds to none that was there before: have the closure call "
                "zero_grad() and go over all of its batches (no accumulate_grad_batches)."
            )
        return loss
