"""Loss, gradient and Hessian products of a module at given parameters, batch by batch.

The module is a private copy: nothing here can reach the user's. Memory is that of one batch's activations; sums
across batches are float64.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from flatmin.core.batch_norm import Moments, Normalization, Recorded, pooled

Parameters = dict[str, Tensor]


class Batch(NamedTuple):
    """One batch on the device and its share of all examples."""

    inputs: Any
    targets: Any
    share: float


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
        total, correct = 0.0, 0.0
        with torch.no_grad():
            self._prepare(parameters)
            for batch in self.batches:
                outputs = self._outputs(parameters, batch)
                total = total + self._loss(outputs, batch).double() * batch.share
                correct = correct + accuracy(outputs, batch.targets) * batch.share
        assert isinstance(total, Tensor)
        return Score(total, float(correct))

    def gradient(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Loss and its flat gradient, both float64."""
        total, gradient = 0.0, 0.0
        with torch.enable_grad():
            for batch in self.batches:
                leaves = as_leaves(parameters)
                loss = self._loss(self._outputs(leaves, batch), batch)
                parts = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
                total = total + loss.detach().double() * batch.share
                gradient = gradient + joined(parts).double() * batch.share
        assert isinstance(total, Tensor) and isinstance(gradient, Tensor)
        return total, gradient

    def hvp(self, parameters: Parameters, vector: Parameters) -> Tensor:
        """Flat product of the Hessian with ``vector``, by double backward."""
        product = 0.0
        directions = list(vector.values())
        with torch.enable_grad():
            for batch in self.batches:
                leaves = as_leaves(parameters)
                loss = self._loss(self._outputs(leaves, batch), batch)
                first = torch.autograd.grad(loss, list(leaves.values()), create_graph=True, materialize_grads=True)
                slope = sum((g * v).sum() for g, v in zip(first, directions, strict=True))
                if not isinstance(slope, Tensor) or slope.grad_fn is None:
                    second: tuple[Tensor, ...] = tuple(torch.zeros_like(v) for v in directions)
                else:
                    second = torch.autograd.grad(slope, list(leaves.values()), materialize_grads=True)
                product = product + joined(second).double() * batch.share
        assert isinstance(product, Tensor)
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
        with torch.no_grad():
            statistics = self._statistics(parameters)
        order = self._call_order(parameters)
        total, gradient = 0.0, 0.0
        cotangents = [(torch.zeros_like(s.mean), torch.zeros_like(s.variance)) for s in statistics]
        with torch.enable_grad():
            for batch in self.batches:
                leaves = as_leaves(parameters)
                given = [(_leaf(s.mean), _leaf(s.variance)) for s in statistics]
                self._give(order, given)
                loss = self._loss(self._outputs(leaves, batch), batch)
                parts, onward = _pull_back([loss], leaves, given, [torch.ones_like(loss)])
                total = total + loss.detach().double() * batch.share
                gradient = gradient + joined(parts).double() * batch.share
                cotangents = _added(cotangents, onward, batch.share)
            for k in reversed(range(len(order))):
                for batch in self.batches:
                    leaves = as_leaves(parameters)
                    given = [(_leaf(s.mean), _leaf(s.variance)) for s in statistics[:k]]
                    own = self._moments(leaves, order, given, batch)
                    share = own.count / statistics[k].count
                    d_mean, d_variance = cotangents[k]
                    shift = own.mean - statistics[k].mean
                    outer = [share * (d_mean + 2 * d_variance * shift), share * d_variance]
                    outer = [o.to(own.mean.dtype) for o in outer]
                    parts, onward = _pull_back([own.mean, own.variance], leaves, given, outer)
                    gradient = gradient + joined(parts).double()
                    cotangents = _added(cotangents, onward, 1.0)
        self._give(order, [])
        assert isinstance(total, Tensor) and isinstance(gradient, Tensor)
        return total, gradient

    def hvp(self, parameters: Parameters, vector: Parameters) -> Tensor:
        """Flat product of the Hessian with ``vector``: the gradient's derivative along it (forward over reverse)."""
        with forward_ad.dual_level():
            moving = {name: forward_ad.make_dual(p, vector[name]) for name, p in parameters.items()}
            _, gradient = self.gradient(moving)
            tangent = forward_ad.unpack_dual(gradient).tangent
            return torch.zeros_like(gradient) if tangent is None else tangent.detach().clone()

    def _prepare(self, parameters: Parameters) -> None:
        self._give(self._call_order(parameters), [(s.mean, s.variance) for s in self._statistics(parameters)])

    def _statistics(self, parameters: Parameters) -> list[Moments]:
        order = self._call_order(parameters)
        found: list[Moments] = []
        for _ in order:
            given = [(s.mean, s.variance) for s in found]
            found.append(pooled([self._moments(parameters, order, given, batch) for batch in self.batches]))
        return found

    def _moments(
        self, parameters: Parameters, order: list[Normalization], given: list[tuple[Tensor, Tensor]], batch: Batch
    ) -> Moments:
        """Moments of one batch at the layer after those whose statistics are given."""
        self._give(order, given)
        layer = order[len(given)]
        layer.recording = True
        try:
            self._outputs(parameters, batch)
        except Recorded as recorded:
            return recorded.moments
        finally:
            layer.recording = False
        raise RuntimeError("a BatchNorm layer was used for one batch and not for another; use batch_norm='batch'.")

    def _give(self, order: list[Normalization], statistics: list[tuple[Tensor, Tensor]]) -> None:
        for layer in order:
            layer.given = None
        for layer, (mean, variance) in zip(order, statistics, strict=False):
            dtype = next(self.module.parameters()).dtype
            layer.given = (mean.to(dtype), variance.to(dtype))

    def _call_order(self, parameters: Parameters) -> list[Normalization]:
        """The BatchNorm layers in the order in which a forward pass meets them (found once)."""
        if self.order is None:
            calls: list[Normalization] = []
            for layer in self.layers:
                layer.calls, layer.given = calls, None
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
            self.order = calls
        return self.order


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
    """The same tensors as leaves of a new graph (tangents of forward mode are kept)."""
    return {name: _leaf(p) for name, p in parameters.items()}


def joined(parts: tuple[Tensor, ...]) -> Tensor:
    """One flat vector."""
    return torch.cat([part.reshape(-1) for part in parts])


def _leaf(tensor: Tensor) -> Tensor:
    if forward_ad._current_level < 0:
        return tensor.detach().requires_grad_()
    primal, tangent = forward_ad.unpack_dual(tensor)
    leaf = primal.detach().requires_grad_()
    return leaf if tangent is None else forward_ad.make_dual(leaf, tangent.detach())


def _pull_back(
    outputs: list[Tensor], leaves: Parameters, given: list[tuple[Tensor, Tensor]], outer: list[Tensor]
) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, Tensor]]]:
    """Vector-Jacobian product, split into the part for the parameters and that for the given statistics."""
    statistics = [tensor for pair in given for tensor in pair]
    grads = torch.autograd.grad(outputs, [*leaves.values(), *statistics], outer, materialize_grads=True)
    rest = grads[len(leaves) :]
    return grads[: len(leaves)], list(zip(rest[::2], rest[1::2], strict=True))


def _added(
    totals: list[tuple[Tensor, Tensor]], parts: list[tuple[Tensor, Tensor]], share: float
) -> list[tuple[Tensor, Tensor]]:
    grown = [(t[0] + share * p[0], t[1] + share * p[1]) for t, p in zip(totals, parts, strict=False)]
    return grown + totals[len(parts) :]
