"""The step that an optimiser would take now, taken by a twin of it."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from torch.optim import Optimizer

from flatmin.core.random_states import undisturbed
from flatmin.objective.optimized import in_order

HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
Twins = dict[int, nn.Parameter]


@torch.inference_mode(False)
def update_of(optimizer: Optimizer, objective: Any = None, *, model: nn.Module | None = None) -> Tensor:
    r"""The step :math:`\theta_{t+1} - \theta_t` that an optimiser would take now, learning rate and state included.

    A twin of the optimiser takes it, on copies of parameters and state in float64 (float32 where the device has no
    other): weights, gradients, state, hooks, schedules and generators stay bit for bit as they are, and the step is
    free of the rounding of the weights. It takes the memory of those copies for as long as it runs.

    Args:
        optimizer: Of ``torch.optim``, or of its kind; one that takes a closure needs an objective.
        objective: The loss whose gradient, at the weights as they are, it follows, and in whose order the step is
            returned; ``None`` takes the gradients that the parameters hold, in the optimiser's order.
        model: The network that is optimised. Needed where the optimiser has its parameters in another order than the
            objective, or others.

    Returns:
        The step, (size,), in float64; 0 for what the optimiser leaves alone.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the parameters are not those of the objective, or there is neither an objective nor a gradient.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> weights = torch.nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))
        >>> optimizer = torch.optim.SGD([weights], lr=0.25)
        >>> update_of(optimizer, QuadraticObjective([1.0, 4.0])).tolist()
        [-0.25, -1.0]
        >>> weights.tolist()
        [1.0, 1.0]
    """
    ordered = in_order(optimizer, objective, model)
    optimized = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if objective is None and all(parameter.grad is None for parameter in optimized):
        raise ValueError("`optimizer` must have gradients, got none; call backward() first, or pass an objective.")
    with undisturbed():
        twin, twins = _twin(optimizer, [*ordered, *optimized])
        mine = [twins[id(parameter)] for parameter in ordered]
        before = parameters_to_vector(mine).detach().clone()
        if objective is None:
            twin.step()
        else:
            twin.step(lambda: _followed(objective, mine))  # type: ignore[arg-type, return-value]
        return parameters_to_vector(mine).detach() - before


def _followed(objective: Any, parameters: list[nn.Parameter]) -> Tensor:
    """The loss where the twin stands, whose gradient its parameters get."""
    value, gradient = objective.value_and_gradient(parameters_to_vector(parameters).detach())
    parts = torch.split(gradient.to(parameters[0]), [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter).clone()
    loss: Tensor = value
    return loss


def _twin(optimizer: Optimizer, parameters: list[Tensor]) -> tuple[Optimizer, Twins]:
    """An optimiser in the same state without hooks, and its parameters by the identity of those they stand for."""
    twins = {id(parameter): nn.Parameter(_wide(parameter.detach())) for parameter in parameters}
    for parameter in parameters:
        twins[id(parameter)].grad = None if parameter.grad is None else _wide(parameter.grad.detach())
    apart = {"step", "state", *HOOKS}  # a schedule puts a `step` of its own before that of the class
    memo: dict[int, Any] = dict(twins)
    twin: Optimizer = type(optimizer).__new__(type(optimizer))
    twin.__dict__ = copy.deepcopy({name: value for name, value in vars(optimizer).items() if name not in apart}, memo)
    twin.__dict__ |= {name: OrderedDict() for name in HOOKS}
    twin.state = copy.copy(optimizer.state)
    twin.state.clear()
    twin.state.update({memo.get(id(key), key): _widened(value) for key, value in optimizer.state.items()})
    return twin, twins


def _wide(tensor: Tensor) -> Tensor:
    """A copy in float64, where the device has it."""
    exact = tensor.is_floating_point() and tensor.device.type != "mps"
    return tensor.double().clone() if exact else tensor.clone()


def _widened(value: Any) -> Any:
    """A copy of what an optimiser remembers; its count of steps stays of its kind."""
    if isinstance(value, Tensor):
        return _wide(value.detach())
    if isinstance(value, dict):
        return {key: copy.deepcopy(item) if key == "step" else _widened(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_widened(item) for item in value)
    return copy.deepcopy(value)
