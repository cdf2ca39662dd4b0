"""What a batch weighs and what its loss is: torch's own losses are understood, any other is a mean over examples."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.objective.batches import TARGETS, Batch, Weights, mapped, shared, tensors
from flatmin.objective.copying import converted, moved
from flatmin.objective.normalized_logits import LogitNormalized

_CLASSES = (F.cross_entropy, F.nll_loss)
_NUMBERS = (
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.poisson_nll_loss,
    F.kl_div,
    F.soft_margin_loss,
)
_MODULES: dict[type, Callable[..., Any]] = {
    nn.CrossEntropyLoss: F.cross_entropy,
    nn.NLLLoss: F.nll_loss,
    nn.MSELoss: F.mse_loss,
    nn.L1Loss: F.l1_loss,
    nn.SmoothL1Loss: F.smooth_l1_loss,
    nn.HuberLoss: F.huber_loss,
    nn.BCELoss: F.binary_cross_entropy,
    nn.BCEWithLogitsLoss: F.binary_cross_entropy_with_logits,
    nn.PoissonNLLLoss: F.poisson_nll_loss,
    nn.KLDivLoss: F.kl_div,
    nn.SoftMarginLoss: F.soft_margin_loss,
}


class Reduction(NamedTuple):
    """One of torch's losses and how it brings the entries of a batch to one number.

    Attributes:
        function: The function of :mod:`torch.nn.functional`.
        kind: ``"mean"``, ``"sum"``, ``"none"`` or ``"batchmean"``.
        ignore_index: Target that does not count.
        class_weights: What a target of each class counts; ``None`` for one each.
    """

    function: Callable[..., Any]
    kind: str
    ignore_index: int
    class_weights: Tensor | None

    @property
    def of_numbers(self) -> bool:
        """Whether outputs and targets are compared entry by entry."""
        return self.function in _NUMBERS

    def weight(self, batch: Batch) -> float:
        """What the mean over the batch was divided by, or should be."""
        targets = batch.parts[1]
        if not isinstance(targets, Tensor) or self.kind == "batchmean":
            return batch.examples
        if self.function in _NUMBERS:
            return targets.numel()
        if targets.is_floating_point():
            return targets.numel() // targets.shape[1] if targets.ndim > 1 else targets.numel()
        counted = targets[targets != self.ignore_index]
        if self.class_weights is None:
            return counted.numel()
        return float(self.class_weights.to(counted.device, torch.float64)[counted].sum())


def reduction_of(loss: Callable[..., Any]) -> Reduction | None:
    """How one of torch's own losses reduces; ``None`` for any other.

    Raises:
        ValueError: If it normalises logits, and is none of classes.
    """
    if isinstance(loss, LogitNormalized):
        inner = reduction_of(loss.loss)
        if inner is not None and inner.of_numbers:
            raise ValueError(f"logits are normalised for a loss of classes, got {inner.function.__name__}.")
        return inner
    settings: dict[str, Any] = {}
    function = loss
    while isinstance(function, partial) and not function.args:
        settings, function = function.keywords | settings, function.func
    if type(function) in _MODULES:
        module, function = function, _MODULES[type(function)]
        settings = {"weight": getattr(module, "weight", None)} | vars(module) | settings
    if function not in _CLASSES and function not in _NUMBERS:
        return None
    defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    given = defaults | settings
    if given.get("size_average") is not None or given.get("reduce") is not None:
        return None
    weights = given.get("weight") if function in _CLASSES else None
    return Reduction(function, given["reduction"], given.get("ignore_index", -100), weights)


class Scored(NamedTuple):
    """What a network gives for a batch: its outputs (``None`` if unknown) and the mean loss."""

    outputs: Any
    loss: Tensor


class Supervised:
    """``loss(outputs, targets)`` of a network that takes the inputs.

    Args:
        loss: As the user gave it.
        device: Where it computes.
        dtype: In what arithmetic.
    """

    def __init__(self, loss: Callable[..., Any], device: torch.device, dtype: torch.dtype) -> None:
        self.given = _in_place(loss, device, dtype)
        self.reduction = reduction_of(self.given)

    def __call__(self, module: nn.Module, batch: Batch) -> Scored:
        """Outputs and mean loss of a batch.

        Raises:
            ValueError: If the loss is no scalar.
        """
        inputs, *rest = batch.fresh()
        outputs = forward(module, inputs)
        return Scored(outputs, self.of(outputs, tuple(rest), batch))

    def of(self, outputs: Any, rest: tuple[Any, ...], batch: Batch) -> Tensor:
        """Mean loss of outputs that are known.

        Raises:
            TypeError: If one of torch's own losses would get something else than a tensor.
        """
        if self.reduction is None:
            return scalar(self.given(outputs, *rest))
        scores = scores_of(outputs)
        if not isinstance(scores, Tensor):
            kind = type(scores).__name__
            raise TypeError(
                f"`loss` takes the tensor that the network gives, and `model` gives a {kind}; take what is compared "
                "out of it: loss=lambda outputs, targets: ..."
            )
        loss = self.given(scores, *rest)
        if self.reduction.kind == "none":
            loss = loss.sum()
        if self.reduction.kind in ("sum", "none"):
            loss = loss / self.reduction.weight(batch)
        return scalar(loss)

    @staticmethod
    def targets(batch: Batch) -> Any:
        """What the outputs of a batch are compared with."""
        return batch.parts[1]

    @staticmethod
    def rest(batch: Batch) -> tuple[Any, ...]:
        """What a metric gets beside the outputs."""
        return batch.parts[1:]

    def counts(self, batch: Batch) -> bool:
        """Whether anything in a batch counts: not where all targets are ignored."""
        return self.reduction is None or self.reduction.weight(batch) > 0

    def shares(self, batches: list[Batch], weights: Weights) -> list[Batch]:
        """The batches with their shares of the mean."""
        if weights is None and self.reduction is not None:
            return shared(batches, [self.reduction.weight(batch) for batch in batches])
        return _weighed(batches, weights)


class OwnStep:
    """``step(model, batch)`` of the user's own, which gives the loss itself."""

    reduction = None

    def __init__(self, step: Callable[[nn.Module, Any], Any], device: torch.device, dtype: torch.dtype) -> None:
        self.given = _in_place(step, device, dtype)

    def __call__(self, module: nn.Module, batch: Batch) -> Scored:
        """The loss of a batch.

        Raises:
            ValueError: If it is no scalar.
        """
        found = self.given(module, batch.fresh()[0])
        if isinstance(found, Mapping):
            return Scored(found.get("logits"), scalar(found.get("loss")))
        if not isinstance(found, Tensor) and hasattr(found, "loss"):
            return Scored(getattr(found, "logits", None), scalar(found.loss))
        return Scored(None, scalar(found))

    @staticmethod
    def targets(batch: Batch) -> Any:
        """What the outputs of a batch are compared with, if it is a mapping that names them."""
        part = batch.parts[0]
        return next((part[key] for key in TARGETS if key in part), None) if isinstance(part, Mapping) else None

    @classmethod
    def rest(cls, batch: Batch) -> tuple[Any, ...]:
        """What a metric gets beside the outputs."""
        return (cls.targets(batch),)

    @staticmethod
    def counts(batch: Batch) -> bool:
        """Whether anything in a batch counts."""
        return batch.examples > 0

    def shares(self, batches: list[Batch], weights: Weights) -> list[Batch]:
        """The batches with their shares of the mean."""
        return _weighed(batches, weights)


Problem = Supervised | OwnStep


def forward(module: nn.Module, inputs: Any) -> Any:
    """Outputs of a network: a tuple of inputs is passed in order, a mapping by name."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    if type(inputs) is tuple:
        return module(*inputs)
    return module(inputs)


def scores_of(outputs: Any) -> Any:
    """The scores in an output of the Hugging Face kind, else the outputs themselves."""
    if isinstance(outputs, Mapping) and "logits" in outputs:
        return outputs["logits"]
    if not isinstance(outputs, Tensor) and isinstance(getattr(outputs, "logits", None), Tensor):
        return outputs.logits
    return outputs


def scalar(loss: Any) -> Tensor:
    """A loss that is one number.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"`loss` must return the mean over the batch as a scalar tensor, got {got}.")
    return loss


def _weighed(batches: list[Batch], weights: Weights) -> list[Batch]:
    if weights is None:
        return shared(batches, [batch.examples for batch in batches])
    if callable(weights):
        return shared(batches, [float(weights(*batch.fresh()[:2])) for batch in batches])
    return shared(batches, [float(weight) for weight in weights])


def _in_place(loss: Callable[..., Any], device: torch.device, dtype: torch.dtype) -> Callable[..., Any]:
    """A loss with its own tensors (class weights, say) where and in what the network computes."""
    if isinstance(loss, nn.Module):
        return moved(loss, device, dtype).eval()
    if isinstance(loss, partial) and tensors((loss.args, loss.keywords)):
        args, keywords = mapped(lambda t: converted(t.detach(), device, dtype), (loss.args, loss.keywords))
        return partial(loss.func, *args, **keywords)
    return loss
