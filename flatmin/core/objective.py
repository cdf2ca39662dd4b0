"""The loss of a network over fixed data as a function of its flat weight vector."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from flatmin.core.batch_norm import MODES, batch_norm_layers, replace_batch_norm
from flatmin.core.channels import channels_last, is_convolutional
from flatmin.core.checks import one_of, reiterable
from flatmin.core.compilation import uncompiled
from flatmin.core.forward import Batch, Forward, ReestimatedForward
from flatmin.core.parameters import Layout
from flatmin.core.precision import full_precision


class Evaluation(NamedTuple):
    """Mean loss and share of right answers; the accuracy is NaN where outputs are not class scores."""

    loss: float
    accuracy: float


class Objective:
    r"""Mean loss over fixed batches as a function :math:`f(\theta)` of the flat weight vector.

    .. math:: f(\theta) = \frac{1}{M} \sum_{b} M_b \, \ell(\mathrm{model}_\theta(x_b), y_b)

    with :math:`M_b` examples in batch b, so a short last batch counts by its examples. The model given is never
    touched: a copy in evaluation mode (no dropout) is evaluated. Every measure and slice is a function of an objective.

    Args:
        model: Any module whose ``forward`` takes the inputs of a batch (a tensor; a tuple is passed as positional
            and a mapping as keyword arguments). The vector holds its parameters that require gradients. What
            :func:`torch.compile` made of it is taken back: compiled code has no second derivative.
        loss: ``loss(outputs, targets)``, the mean over the batch as a scalar tensor.
        batches: Re-iterable ``(inputs, targets)`` pairs, read once and kept on the device in this order.
        batch_norm: Statistics of BatchNorm layers: ``"running"``, ``"batch"`` or ``"reestimate"``
            (see :mod:`flatmin.core.batch_norm`).
        dtype: Arithmetic of the network, ``torch.float32`` or ``torch.float64``. Sums across batches are float64.
        device: Where to compute; the model's own device by default.

    Raises:
        TypeError: If ``model`` is no module, ``loss`` not callable or ``batches`` not re-iterable.
        ValueError: If there is no batch, no trainable parameter or an unknown ``batch_norm``, or if that is
            ``"running"`` and a layer keeps no running averages.

    Example:
        >>> import torch
        >>> from torch.nn.functional import mse_loss
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> batch = (torch.ones(3, 1), torch.zeros(3, 1))
        >>> objective = Objective(model, mse_loss, [batch])
        >>> float(objective.value(torch.tensor([2.0])))
        4.0
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        batches: Iterable[tuple[Any, Any]],
        *,
        batch_norm: str = "running",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}.")
        if not callable(loss):
            raise TypeError(f"`loss` must be callable as loss(outputs, targets), got {type(loss).__name__}.")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"`dtype` must be torch.float32 or torch.float64, got {dtype}.")
        self.batch_norm = one_of("batch_norm", batch_norm, MODES)
        self.dtype = dtype
        self._module = uncompiled(copy.deepcopy(model))
        self._layout = Layout.of(self._module)
        self.device = torch.device(device) if device is not None else next(model.parameters()).device
        self._module.to(device=self.device, dtype=dtype).eval()
        self._theta = self._layout.flatten(dict(self._module.named_parameters()))
        images = is_convolutional(self._module)
        self._batches = _fixed(reiterable("batches", batches), self.device, dtype, images=images)
        self.has_batch_norm = bool(batch_norm_layers(self._module))
        self._forward = self._evaluator(loss)

    def _evaluator(self, loss: Callable[[Any, Any], Tensor]) -> Forward:
        if self.batch_norm == "running" or not self.has_batch_norm:
            _check_running(self._module)
            return Forward(self._module, loss, self._batches)
        self._module, layers = replace_batch_norm(self._module)
        if self.batch_norm == "batch":
            return Forward(self._module, loss, self._batches)
        return ReestimatedForward(self._module, loss, self._batches, layers)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self._layout.size

    @property
    def theta(self) -> Tensor:
        """Where the model stands: a copy of its weights, shape (size,)."""
        return self._theta.clone()

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Shapes of the parameters by name, in the order of the vector."""
        return dict(self._layout.shapes)

    @property
    def batches(self) -> list[tuple[Any, Any]]:
        """The fixed ``(inputs, targets)`` pairs."""
        return [(batch.inputs, batch.targets) for batch in self._batches]

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views into a flat vector, one a parameter."""
        return self._layout.unflatten(self._point("theta", theta))

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss at ``theta`` (where the model stands by default), a float64 scalar."""
        with full_precision(self.device):
            return self._forward.score(self._parameters(theta)).loss

    def evaluate(self, theta: Tensor | None = None) -> Evaluation:
        """Mean loss and accuracy at ``theta`` in one pass over the data."""
        with full_precision(self.device):
            score = self._forward.score(self._parameters(theta))
        return Evaluation(float(score.loss), score.accuracy)

    def each(self, function: Callable[[Any, Any], Tensor], theta: Tensor | None = None) -> Tensor:
        """What ``function(outputs, targets)`` gives for each example at ``theta``, in their order, float64.

        Raises:
            ValueError: If it does not give one number an example.
        """
        with full_precision(self.device):
            return self._forward.each(function, self._parameters(theta))

    def values(self, thetas: Tensor) -> Tensor:
        """Mean losses at many points: ``thetas`` of shape (k, size) give (k,), float64.

        Raises:
            ValueError: If ``thetas`` has another shape.
        """
        if thetas.ndim != 2 or thetas.shape[1] != self.size:
            raise ValueError(f"`thetas` must have shape (k, {self.size}), got {tuple(thetas.shape)}.")
        losses = [self.value(theta) for theta in thetas]
        return torch.stack(losses) if losses else torch.zeros(0, dtype=torch.float64, device=self.device)

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient of the mean loss, shape (size,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss (float64 scalar) and gradient, shape (size,), in one pass."""
        with full_precision(self.device):
            value, gradient = self._forward.gradient(self._parameters(theta))
            return value, gradient.to(self.dtype)

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the Hessian at ``theta`` with ``vector``, both of shape (size,)."""
        with full_precision(self.device):
            direction = self._layout.unflatten(self._point("vector", vector))
            return self._forward.hvp(self._parameters(theta), direction).to(self.dtype)

    def module_at(self, theta: Tensor | None = None) -> nn.Module:
        """A copy of the network in evaluation mode with the weights ``theta`` and this objective's BatchNorm.

        Raises:
            ValueError: If ``batch_norm`` is ``"reestimate"``: its statistics belong to data, not to a module.
        """
        if self.has_batch_norm and self.batch_norm == "reestimate":
            raise ValueError("batch_norm='reestimate' has no module of its own; use 'batch' or 'running'.")
        module = copy.deepcopy(self._module)
        module.load_state_dict(self._parameters(theta), strict=False)
        return module

    @property
    def statistics(self) -> Tensor:
        """Running means and variances of all BatchNorm layers in one vector (empty without such layers)."""
        buffers = _running(self._module)
        return torch.cat([b.reshape(-1) for b in buffers]) if buffers else self._theta.new_zeros(0)

    @torch.inference_mode(False)
    def with_statistics(self, statistics: Tensor) -> "Objective":
        """The same objective with other running means and variances, laid out as :attr:`statistics`.

        Raises:
            ValueError: If ``statistics`` has another shape than :attr:`statistics`.
        """
        other = copy.copy(self)
        other._module = copy.deepcopy(self._module)
        buffers = _running(other._module)
        expected = sum(b.numel() for b in buffers)
        if statistics.shape != (expected,):
            raise ValueError(f"`statistics` must have shape ({expected},), got {tuple(statistics.shape)}.")
        if not buffers:
            return self
        for buffer, part in zip(buffers, torch.split(statistics, [b.numel() for b in buffers]), strict=True):
            buffer.copy_(part.detach().view_as(buffer))
        other._forward = Forward(other._module, self._forward.loss, self._batches)
        return other

    def _parameters(self, theta: Tensor | None) -> dict[str, Tensor]:
        return self._layout.unflatten(self._theta if theta is None else self._point("theta", theta))

    def _point(self, name: str, vector: Tensor) -> Tensor:
        vector = _plain(torch.as_tensor(vector)).to(device=self.device, dtype=self.dtype)
        if vector.shape != (self.size,):
            raise ValueError(f"`{name}` must have shape ({self.size},), got {tuple(vector.shape)}.")
        return vector


def _check_running(module: nn.Module) -> None:
    for name, layer in batch_norm_layers(module).items():
        if layer.running_mean is None:
            raise ValueError(
                f"batch_norm='running' needs running averages, but layer {name!r} keeps none "
                "(track_running_stats=False); use 'batch' or 'reestimate'."
            )


def _plain(tensor: Tensor) -> Tensor:
    """Without a graph, and open to autograd even if it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _running(module: nn.Module) -> list[Tensor]:
    layers = batch_norm_layers(module).values()
    pairs = [(layer.running_mean, layer.running_var) for layer in layers]
    return [buffer for pair in pairs for buffer in pair if buffer is not None]


def _fixed(
    batches: Iterable[tuple[Any, Any]], device: torch.device, dtype: torch.dtype, *, images: bool
) -> list[Batch]:
    pairs = []
    for pair in batches:
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise TypeError(f"`batches` must hold (inputs, targets) pairs, got {type(pair).__name__}.")
        inputs = _moved(pair[0], device, dtype)
        inputs = channels_last(inputs) if images and isinstance(inputs, Tensor) else inputs
        pairs.append((inputs, _moved(pair[1], device, dtype)))
    counts = [_examples(*pair) for pair in pairs]
    if not sum(counts):
        raise ValueError("`batches` must hold at least one example, got none.")
    return [Batch(*pair, count / sum(counts), count) for pair, count in zip(pairs, counts, strict=True) if count]


def _moved(item: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(item, Tensor):
        return _plain(item).to(device=device, dtype=dtype if item.is_floating_point() else item.dtype)
    if isinstance(item, Mapping):
        return {key: _moved(value, device, dtype) for key, value in item.items()}
    if isinstance(item, tuple | list):
        return tuple(_moved(value, device, dtype) for value in item)
    return item


def _examples(inputs: Any, targets: Any) -> int:
    for item in (targets, inputs):
        if isinstance(item, Tensor) and item.ndim:
            return len(item)
        if isinstance(item, Mapping):
            item = tuple(item.values())
        if isinstance(item, tuple) and item and isinstance(item[0], Tensor) and item[0].ndim:
            return len(item[0])
    raise TypeError("cannot count the examples of a batch: neither targets nor inputs hold a tensor.")
