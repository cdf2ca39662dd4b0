"""Langevin chains that are held near a point, and whether they are where they stay."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flatmin.core.vectors import dot
from flatmin.sharpness.noise import unit_noise


class Posterior:
    """exp(-U(w)), U = scale L(w) + gamma / 2 |w - theta|^2, of which the loss of all examples or of a batch is had.

    Args:
        objective: The loss.
        scale: What it is multiplied by.
        gamma: The pull towards theta.
        batch_size: Examples behind a loss; ``None`` for all.

    Raises:
        TypeError: If there are to be batches of an objective that has no parts.
    """

    def __init__(self, objective: Any, scale: float, gamma: float, batch_size: int | None) -> None:
        if batch_size is not None and not hasattr(objective, "parts"):
            raise TypeError("`batch_size` must be left out for an objective without `parts`.")
        self.objective, self.scale, self.gamma = objective, scale, gamma
        self.theta: Tensor = objective.theta
        self.base = float(objective.value(self.theta))
        self.parts = [objective] if batch_size is None else objective.parts(batch_size)
        sizes = [1] if batch_size is None else [part.examples for part in self.parts]
        self.chances = torch.tensor(sizes, dtype=torch.float64)
        self.bases = [self.base] if batch_size is None else [float(part.value(self.theta)) for part in self.parts]
        self.evaluations = 1 if batch_size is None else 1 + len(self.parts)

    def whole_gradient(self, theta: Tensor) -> Tensor:
        """Gradient of the loss of all examples."""
        self.evaluations += 1
        gradient: Tensor = self.objective.value_and_gradient(theta)[1]
        return gradient

    def rise_and_gradient(self, theta: Tensor, generator: torch.Generator) -> tuple[float, Tensor]:
        """How far the loss has risen from the start, and the gradient of U; of a batch at random."""
        self.evaluations += 1
        part = int(torch.multinomial(self.chances, 1, generator=generator)) if len(self.parts) > 1 else 0
        value, gradient = self.parts[part].value_and_gradient(theta)
        return float(value) - self.bases[part], self.scale * gradient + self.gamma * (theta - self.theta)


class Visited(NamedTuple):
    """What a chain met after it was warm.

    Attributes:
        rises: Of the loss at each step, (draws,).
        virials: Of (w - theta) . grad U, (draws,); the mean is the number of weights in equilibrium.
        diverged: Whether a loss was not finite; what follows it is NaN.
    """

    rises: Tensor
    virials: Tensor
    diverged: bool


def visited(
    posterior: Posterior,
    step: float,
    burn_in: int,
    draws: int,
    generator: torch.Generator,
    advance: Callable[[], object],
) -> Visited:
    """One chain from where the objective stands."""
    theta = posterior.theta.clone()
    rises, virials = (torch.full((draws,), math.nan, dtype=torch.float64) for _ in range(2))
    for k in range(-burn_in, draws):
        rise, slope = posterior.rise_and_gradient(theta, generator)
        if not math.isfinite(rise):
            return Visited(rises, virials, diverged=True)
        if k >= 0:
            rises[k], virials[k] = rise, dot(theta - posterior.theta, slope)
        theta = theta - step / 2 * slope + math.sqrt(step) * unit_noise(theta, generator)
        advance()
    return Visited(rises, virials, diverged=False)


def agreement(chains: Tensor) -> float:
    """Split R-hat of chains (k, draws): 1 where the halves of all chains have one mean; NaN where one is not finite.

    Example:
        >>> agreement(torch.tensor([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)) < 1
        True
        >>> agreement(torch.tensor([[0.0, 1.0, 10.0, 11.0]], dtype=torch.float64)) > 5
        True
    """
    half = chains.shape[1] // 2
    halves = torch.cat([chains[:, :half], chains[:, -half:]])
    within = float(halves.var(1).mean())
    if within == 0:
        return 1.0 if float(halves.mean(1).var()) == 0 else math.inf
    return math.sqrt((half - 1) / half + float(halves.mean(1).var()) / within)
