"""The selected parameters of a module as one flat vector, and back."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Names and shapes of parameters, in the order in which they lie in the flat vector.

    Tied parameters count once, as in :meth:`torch.nn.Module.named_parameters`.
    """

    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, model: nn.Module, select: Sequence[str] | None = None) -> "Layout":
        """Layout of the parameters of ``model`` that require gradients, or of those that are selected.

        Args:
            model: The network.
            select: Names of parameters or of layers, ``*`` and ``?`` as in file names.

        Returns:
            The layout.

        Raises:
            ValueError: If there are none.
        """
        named = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
        if select is None:
            shapes = {name: p.shape for name, p in named.items() if p.requires_grad}
            if not shapes:
                why = "every `requires_grad` is False" if named else "it has none of floating point (is it quantised?)"
                raise ValueError(f"`model` has no trainable parameter: {why}.")
            return cls(shapes)
        wanted = chosen(select, list(named))
        return cls({name: p.shape for name, p in named.items() if name in wanted})

    @property
    def size(self) -> int:
        """Number of entries of the flat vector."""
        return sum(shape.numel() for shape in self.shapes.values())

    def flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        """Join the named tensors to one vector (a copy)."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.shapes])

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views into ``vector``, one a parameter."""
        parts = torch.split(vector, [shape.numel() for shape in self.shapes.values()])
        return [part.view(shape) for part, shape in zip(parts, self.shapes.values(), strict=True)]

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Views into ``vector`` by the names of the parameters."""
        return dict(zip(self.shapes, self.split(vector), strict=True))


def transposed_filters(module: nn.Module) -> dict[str, int]:
    """Groups of the weights whose first axis is what comes in: transposed convolutions, and GPT-2's ``Conv1D``."""
    found = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            groups = layer.groups
        elif type(layer).__name__ == "Conv1D" and hasattr(layer, "nf"):
            groups = 1
        else:
            continue
        prefix = f"{name}." if name else ""
        for key, parameter in layer.named_parameters():
            if parameter.ndim > 1 and parameter.shape[0] == getattr(layer, "in_channels", parameter.shape[0]):
                found[prefix + key] = groups
    return found


def chosen(select: Sequence[str], names: Sequence[str]) -> set[str]:
    """The parameters that patterns name, by themselves or by a layer they lie in.

    Raises:
        TypeError: If ``select`` is no list of strings.
        ValueError: If a pattern names nothing, or there is none.
    """
    if isinstance(select, str) or not all(isinstance(pattern, str) for pattern in select):
        raise TypeError(f"`select` must be a list of names or patterns, got {select!r}.")
    wanted: set[str] = set()
    for pattern in select:
        fitting = {name for name in names if _fits(name, pattern)}
        if not fitting:
            raise ValueError(f"`select` names nothing in `model` by {pattern!r}; {_near(pattern, names)}.")
        wanted |= fitting
    if not wanted:
        raise ValueError("`select` must name at least one parameter or layer, got none.")
    return wanted


def _fits(name: str, pattern: str) -> bool:
    """Whether a parameter is named by a pattern, or lies in a layer that is."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:k]), pattern) for k in range(1, len(parts) + 1))


def _near(pattern: str, names: Sequence[str]) -> str:
    layers = {name.rpartition(".")[0] for name in names} - {""}
    close = difflib.get_close_matches(pattern, [*names, *layers], n=3)
    shown = close or list(names[:3])
    return f"{'near it are' if close else 'its parameters are'} {', '.join(map(repr, shown))}" + (
        "" if close or len(names) <= 3 else f" and {len(names) - 3} more"
    )
