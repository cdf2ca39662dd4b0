"""The trainable parameters of a module as one flat vector, and back."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Names and shapes of parameters, in the order in which they lie in the flat vector.

    Tied parameters count once, as in :meth:`torch.nn.Module.named_parameters`.
    """

    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, model: nn.Module) -> "Layout":
        """Layout of the parameters of ``model`` that require gradients.

        Raises:
            ValueError: If there are none.
        """
        shapes = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
        if not shapes:
            raise ValueError("`model` has no trainable parameter: every `requires_grad` is False.")
        return cls(shapes)

    @property
    def size(self) -> int:
        """Number of entries of the flat vector."""
        return sum(shape.numel() for shape in self.shapes.values())

    def flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        """Join the named tensors to one vector (a copy)."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.shapes])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Views into ``vector``, one a parameter."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = torch.split(vector, sizes)
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
