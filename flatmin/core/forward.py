"""Loss, gradient and Hessian products of a module at given parameters, batch by batch.

The module is a private copy: nothing here can reach the user's. Memory is that of one batch's activations; sums
across batches are float64.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp

from flatmin.core.batch_norm import Moments, Normalization, Recorded, pooled

Parameters = dict[str, Tensor]
Statistics = list[tuple[Tensor, Tensor]]


class Batch(NamedTuple):
    """One batch on the device, its share of all examples and their number."""

    inputs: Any
    targets: Any
    share: float
    examples: int


class Score(NamedTuple):
    """Mean loss over all batches (float64) and share of right answers (NaN where outputs are not class scores)."""

    loss: Tensor
    accuracy: float


class Forward:
    """Mean loss of ``module`` over ``batches`` as a function of its named parameters."""

    def __init__(self, module: nn.Module, loss: Callable[[Any, Any], Tensor], batches: list[Batch]) -> None:
        self.module = module
        self.loss = loss
        self.batches = batches

    def score(self, parameters: Parameters) -> Score:
        """Loss and accuracy in one pass over the data."""
        total, _ = zeros(parameters)
        correct: float | Tensor = 0.0
        with torch.no_grad():
            self._prepare(parameters)
            for batch in self.batches:
                outputs = self._outputs(parameters, batch)
                total = total + self._loss(outputs, batch).double() * batch.share
                correct = correct + accuracy(outputs, batch.targets) * batch.share
        return Score(total, min(float(correct), 1.0))  # the shares of batches sum to one but for rounding

    def each(self, function: Callable[[Any, Any], Tensor], parameters: Parameters) -> Tensor:
        """One number an example, float64.

        Raises:
            ValueError: If ``function`` does not give one number an example.
        """
        found = []
        with torch.no_grad():
            self._prepare(parameters)
            for batch in self.batches:
                numbers = function(self._outputs(parameters, batch), batch.targets)
                if numbers.shape != (batch.examples,):
                    expected, got = (batch.examples,), tuple(numbers.shape)
                    raise ValueError(f"`function` must give one number an example, shape {expected}, got {got}.")
                found.append(numbers.double())
        return torch.cat(found)

    def gradient(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Loss and its flat gradient, both float64."""
        total, gradient = zeros(parameters)
        with torch.enable_grad():
            for batch in self.batches:
                leaves = as_leaves(parameters)
                loss = self._loss(self._outputs(leaves, batch), batch)
                parts = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
                total = total + loss.detach().double() * batch.share
                gradient = gradient + joined(parts).double() * batch.share
        return total, gradient

    def hvp(self, parameters: Parameters, vector: Parameters) -> Tensor:
        """Flat product of the Hessian with ``vector``, by double backward."""
        _, product = zeros(parameters)
        directions = list(vector.values())
        with torch.enable_grad():
            for batch in self.batches:
                leaves = as_leaves(parameters)
                loss = self._loss(self._outputs(leaves, batch), batch)
                first = torch.autograd.grad(loss, list(leaves.values()), create_graph=True, materialize_grads=True)
                second = pulled_back(first, directions, list(leaves.values()))
                product = product + joined(second).double() * batch.share
        return product

    def _prepare(self, parameters: Parameters) -> None:
        """Whatever must be known about all the data before the loss of one batch."""

    def _outputs(self, parameters: Parameters, batch: Batch) -> Any:
        inputs = batch.inputs
        if isinstance(inputs, Mapping):
            return functional_call(self.module, parameters, (), dict(inputs))
        return functional_call(self.module, parameters, inputs if isinstance(inputs, tuple) else (inputs,))

    def _loss(self, outputs: Any, batch: Batch) -> Tensor:
        loss = self.loss(outputs, batch.targets)
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"`loss` must return the mean over the batch as a scalar tensor, got {got}.")
        return loss


class ReestimatedForward(Forward):
    r"""The same with the BatchNorm statistics of the whole data set, found anew at every point.

    The statistics :math:`s_1, \ldots, s_L` of the layers are found in the order of the layers, each with all earlier
    ones in place: :math:`s_k = S_k(\theta, s_1, \ldots, s_{k-1})`. The gradient goes through them: the
    cotangent of :math:`s_k` is carried back in the opposite order, one pass over the data a layer.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        batches: list[Batch],
        layers: list[Normalization],
    ) -> None:
        super().__init__(module, loss, batches)
        self.layers = layers
        self.order: list[Normalization] | None = None

    def gradient(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Loss and its flat gradient, through the statistics."""
        total, gradient = zeros(parameters)
        with torch.no_grad():
            found = self._statistics(parameters)
            given = [(s.mean, s.variance) for s in found]
            cotangents = [(torch.zeros_like(mean), torch.zeros_like(variance)) for mean, variance in given]
            for batch in self.batches:
                loss, pull = _linearized(partial(self._batch_loss, batch), parameters, given)
                parts, onward = pull(torch.ones_like(loss) * batch.share)
                total = total + loss.double() * batch.share
                gradient = gradient + joined(parts).double()
                cotangents = _added(cotangents, onward)
            for k in reversed(range(len(found))):
                d_mean, d_variance = cotangents[k]
                for batch in self.batches:
                    own, pull = _linearized(partial(self._moments, batch), parameters, given[:k])
                    share = own.size / found[k].size
                    through_mean = share * (d_mean + 2 * d_variance * (own.mean - found[k].mean))
                    outer = through_mean.to(own.mean.dtype), (share * d_variance).to(own.mean.dtype)
                    parts, onward = pull(Moments(*outer, torch.zeros_like(own.size)))
                    gradient = gradient + joined(parts).double()
                    cotangents = _added(cotangents, onward)
            self._give([])
        return total, gradient

    def hvp(self, parameters: Parameters, vector: Parameters) -> Tensor:
        """Flat product of the Hessian with ``vector``: the gradient's derivative along it (forward over reverse)."""
        with warnings.catch_warnings():  # torch uses its own deprecated parts when the first tangent is made
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            product: Tensor = jvp(lambda p: self.gradient(p)[1], (parameters,), (vector,))[1]
        return product

    def _prepare(self, parameters: Parameters) -> None:
        self._give([(s.mean, s.variance) for s in self._statistics(parameters)])

    def _statistics(self, parameters: Parameters) -> list[Moments]:
        """Moments of all the data at each layer, in the order in which a forward pass meets them."""
        if self.order is None:
            self.order = self._call_order(parameters)
        found: list[Moments] = []
        for _ in self.order:
            given = [(s.mean, s.variance) for s in found]
            found.append(pooled([self._moments(batch, parameters, given) for batch in self.batches]))
        return found

    def _batch_loss(self, batch: Batch, parameters: Parameters, given: Statistics) -> Tensor:
        self._give(given)
        return self._loss(self._outputs(parameters, batch), batch)

    def _moments(self, batch: Batch, parameters: Parameters, given: Statistics) -> Moments:
        """Moments of one batch at the layer after those whose statistics are given.

        Raises:
            RuntimeError: If the batch does not pass through that layer.
        """
        order = self._give(given)
        layer = order[len(given)]
        layer.recording = True
        try:
            self._outputs(parameters, batch)
        except Recorded as recorded:
            return recorded.moments
        finally:
            layer.recording = False
        raise RuntimeError("a BatchNorm layer was used for one batch and not for another; use batch_norm='batch'.")

    def _give(self, statistics: Statistics) -> list[Normalization]:
        """Set the statistics of the first layers, take back those of the others, and return the layers in order."""
        assert self.order is not None
        dtype = next(self.module.parameters()).dtype
        for layer, pair in zip_longest(self.order, statistics):
            layer.given = None if pair is None else (pair[0].to(dtype), pair[1].to(dtype))
        return self.order

    def _call_order(self, parameters: Parameters) -> list[Normalization]:
        """The BatchNorm layers in the order in which a forward pass meets them.

        Raises:
            ValueError: If a layer is used more than once.
        """
        calls: list[Normalization] = []
        for layer in self.layers:
            layer.calls = calls
        try:
            with torch.no_grad():
                self._outputs(parameters, self.batches[0])
        finally:
            for layer in self.layers:
                layer.calls = None
        if len({id(layer) for layer in calls}) < len(calls):
            raise ValueError(
                "batch_norm='reestimate' needs every BatchNorm layer to be used once in a forward pass; "
                "this model uses one twice. Use batch_norm='batch'."
            )
        return calls


def accuracy(outputs: Any, targets: Any) -> float | Tensor:
    """Share of examples whose largest output (along dimension 1) is the target; NaN where that has no meaning."""
    classes = (
        isinstance(outputs, Tensor)
        and isinstance(targets, Tensor)
        and not targets.is_floating_point()
        and outputs.ndim == targets.ndim + 1
        and outputs.shape[:1] + outputs.shape[2:] == targets.shape
    )
    return (outputs.argmax(dim=1) == targets).double().mean() if classes else float("nan")


def as_leaves(parameters: Parameters) -> Parameters:
    """The same tensors as leaves of a new graph."""
    return {name: p.detach().requires_grad_() for name, p in parameters.items()}


def joined(parts: Parameters | Sequence[Tensor]) -> Tensor:
    """One flat vector."""
    tensors = parts.values() if isinstance(parts, Mapping) else parts
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def zeros(parameters: Parameters) -> tuple[Tensor, Tensor]:
    """A scalar and a flat vector as long as the parameters, both float64, to sum losses and gradients in."""
    size = sum(p.numel() for p in parameters.values())
    some = next(iter(parameters.values()))
    return some.new_zeros((), dtype=torch.float64), some.new_zeros(size, dtype=torch.float64)


def pulled_back(outputs: Sequence[Tensor], outer: Sequence[Tensor], sources: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Product of ``outer`` with the Jacobian of ``outputs``; zero where these do not depend on ``sources``."""
    live = [(output, weight) for output, weight in zip(outputs, outer, strict=True) if output.requires_grad]
    if not live:
        return tuple(torch.zeros_like(source) for source in sources)
    ends, weights = zip(*live, strict=True)
    return torch.autograd.grad(ends, sources, weights, materialize_grads=True)


def _linearized(
    function: Callable[[Parameters, Statistics], Any], parameters: Parameters, given: Statistics
) -> tuple[Any, Callable[[Any], tuple[Parameters, Statistics]]]:
    """The value of ``function``, and what carries a cotangent of it back to its two arguments, once."""
    value, pull = vjp(function, parameters, given)  # type: ignore[misc]
    return value, partial(pull, retain_graph=False)


def _added(totals: Statistics, parts: Statistics) -> Statistics:
    grown = [(t[0] + p[0], t[1] + p[1]) for t, p in zip(totals, parts, strict=False)]
    return grown + totals[len(parts) :]
