"""What the optimisers of this room have in common: groups whose numbers are checked, weights that have a gradient."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from flatmin.core.checks import positive, within

Limits = Mapping[str, float]


class Grouped(Optimizer):
    """An optimiser whose groups are held to ``limits``, the ends of the interval of each number."""

    limits: ClassVar[Mapping[str, Limits]] = {}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; those that are not given are the optimiser's.

        Raises:
            TypeError: If a number is none.
            ValueError: If it is out of range.
        """
        checked(self.limits, {**self.defaults, **param_group})
        super().add_param_group(param_group)

    def moving(self, group: Mapping[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The weights of a group that have a gradient, and it.

        Raises:
            RuntimeError: If one of them is sparse or complex.
        """
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if weight.grad.is_sparse or weight.is_complex():
                kind = "sparse gradients" if weight.grad.is_sparse else "complex weights"
                raise RuntimeError(f"{type(self).__name__} takes dense, real tensors, got {kind}.")
        return weights, [weight.grad for weight in weights]


def checked(limits: Mapping[str, Limits], values: Mapping[str, Any]) -> None:
    """Hold numbers to their limits.

    Raises:
        TypeError: If one is no number.
        ValueError: If it is out of range.
    """
    for name, ends in limits.items():
        for number in values[name] if isinstance(values[name], tuple) else [values[name]]:
            positive(name, number) if ends == {"gt": 0} else within(name, number, **ends)


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """What a closure returns, called as torch's optimisers call it; ``None`` without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def norms(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of each tensor, (number of tensors,); in float32 of those in 16 bits, whose squares overflow."""
    wide = [tensor.float() if tensor.element_size() < 4 else tensor for tensor in tensors]
    return torch.stack(list(torch._foreach_norm(wide)))


def adapted(group: Mapping[str, Any], weights: list[Tensor]) -> list[int]:
    """Which of the weights get a rate of their own: all, or those of two dimensions and more."""
    return [i for i, weight in enumerate(weights) if group["adapt_vectors"] or weight.ndim > 1]


def in_portions(weights: list[Tensor], slopes: list[Tensor]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Weights and gradients that one kernel can take: all on an accelerator, one by one on a CPU, which has none such.

    There what is computed on the way stays in the cache, and takes the memory of one tensor.
    """
    if weights and weights[0].device.type != "cpu":
        yield weights, slopes
    else:
        yield from (([weight], [slope]) for weight, slope in zip(weights, slopes, strict=True))
