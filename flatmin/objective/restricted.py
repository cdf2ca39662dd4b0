"""An objective as a function of some of its parameters, the others where they stand: for layers and adapters."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from flatmin.objective.parameters import chosen


class Restricted:
    """A function of the parameters that are selected; all others stay where the whole objective stands.

    Batches, reading of BatchNorm and cautions are those of the whole objective.

    Args:
        whole: An :class:`~flatmin.objective.objective.Objective`.
        select: Names of parameters or layers, ``*`` and ``?`` as in file names.

    Raises:
        ValueError: If a pattern names nothing.
    """

    def __init__(self, whole: Any, select: Sequence[str]) -> None:
        self.whole = whole
        names = chosen(select, list(whole.shapes))
        self._shapes = {name: shape for name, shape in whole.shapes.items() if name in names}
        mask = [torch.full((shape.numel(),), name in names) for name, shape in whole.shapes.items()]
        self._places = torch.cat(mask).nonzero()[:, 0].to(whole.theta.device)
        self._theta: Tensor = whole.theta

    def __repr__(self) -> str:
        lines = repr(self.whole).splitlines()
        return "\n".join([f"{self.size:,} of the weights ({', '.join(self._shapes)}) of the {lines[0]}", *lines[1:]])

    @property
    def batch_norm(self) -> str:
        """Reading of BatchNorm."""
        return str(self.whole.batch_norm)

    @property
    def has_batch_norm(self) -> bool:
        """Whether there is any."""
        return bool(self.whole.has_batch_norm)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.whole.examples)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the owner of a number should know."""
        return tuple(self.whole.cautions)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is counted beside loss and accuracy."""
        return tuple(self.whole.metrics)

    @property
    def transposed(self) -> dict[str, int]:
        """Groups of the weights whose filters lie along their second axis."""
        return {name: groups for name, groups in self.whole.transposed.items() if name in self._shapes}

    def restricted(self, select: Sequence[str]) -> "Restricted":
        """This as a function of fewer parameters."""
        return Restricted(self, select)

    @property
    def size(self) -> int:
        """Number of weights."""
        return len(self._places)

    @property
    def theta(self) -> Tensor:
        """Where the selected weights stand, (size,)."""
        return self._theta[self._places]

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Shapes of the selected parameters by name."""
        return dict(self._shapes)

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views into a flat vector, one a parameter."""
        parts = torch.split(theta, [shape.numel() for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss, a float64 scalar."""
        return self.whole.value(self._full(theta))  # type: ignore[no-any-return]

    def values(self, thetas: Tensor) -> Tensor:
        """Mean losses at the rows of ``thetas``, float64."""
        return torch.stack([self.value(theta) for theta in thetas])

    def evaluate(self, theta: Tensor | None = None) -> Any:
        """Mean loss, accuracy and metrics."""
        return self.whole.evaluate(self._full(theta))

    def each(self, function: Callable[..., Tensor], theta: Tensor | None = None) -> Tensor:
        """One number an example."""
        return self.whole.each(function, self._full(theta))  # type: ignore[no-any-return]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and gradient, (size,)."""
        value, gradient = self.whole.value_and_gradient(self._full(theta))
        return value, gradient[self._places]

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient of the mean loss, (size,)."""
        return self.value_and_gradient(theta)[1]

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the block of the Hessian with ``vector``, (size,)."""
        wide = torch.zeros_like(self._theta)
        wide[self._places] = torch.as_tensor(vector).to(wide)
        return self.whole.hvp(wide, self._full(theta))[self._places]  # type: ignore[no-any-return]

    def _full(self, theta: Tensor | None) -> Tensor:
        """The whole vector.

        Raises:
            ValueError: If ``theta`` does not fit.
        """
        full = self._theta.clone()
        if theta is not None:
            if theta.shape != (self.size,):
                raise ValueError(f"`theta` must have shape ({self.size},), got {tuple(theta.shape)}.")
            full[self._places] = theta.detach().to(full)
        return full
