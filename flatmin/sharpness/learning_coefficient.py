r"""The local learning coefficient: how fast the volume of the weights that are nearly as good shrinks with the loss.

At a minimum whose Hessian has full rank it is half the number of weights; where the minimum is degenerate it is less,
:math:`\sum_i 1 / (2 p_i)` for :math:`\sum_i w_i^{2 p_i}`. Watanabe (2009); Lau et al. (2023), arXiv 2308.12108.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatmin.core.checks import an_objective, positive, seed_of, whole
from flatmin.core.errors import NotFinite
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import norm
from flatmin.sharpness.langevin import Posterior, Visited, agreement, visited

STABLE = 0.1
"""The step, times the largest curvature of the posterior: its variance in that direction is then 2.5 per cent off."""
AGREE = 1.1
EQUAL = 0.1
ITERATIONS = 8


@dataclass(frozen=True, repr=False, kw_only=True)
class LearningCoefficient(Measured):
    r"""What :func:`local_learning_coefficient` found.

    Attributes:
        value: :math:`\hat\lambda`; infinite where a loss was not finite.
        standard_error: Of it, from the spread of the chains; NaN for one.
        converged: Whether the chains say the same, are where they stay, and took small enough steps:
            ``agreement`` at most 1.1 and ``equipartition`` within 0.1 of 1.
        agreement: Split R-hat of the losses (Gelman et al., 2013): 1 where chains agree and do not drift.
        equipartition: Mean of :math:`(w - \theta) \cdot \nabla U(w)` over the number of weights, U the exponent of the
            posterior. In equilibrium it is 1, whatever U: less while chains spread, more where steps are too long.
        diverged: Chains in which a loss was not finite.
        base_loss: :math:`L(\theta)`.
        beta: The inverse temperature.
        gamma: The pull towards theta.
        step: Of the chains.
        population: n.
        batch_size: Examples behind a step; ``None`` for all.
        chains: Number of chains.
        draws: Losses of each chain that count.
        burn_in: Steps of each chain before these.
        evaluations: Losses computed, with their gradients; of a part of the examples where there are batches.
        seed: Of chains and batches.
    """

    value: float
    standard_error: float
    converged: bool
    agreement: float
    equipartition: float
    diverged: int
    base_loss: float
    beta: float
    gamma: float
    step: float
    population: int
    batch_size: int | None
    chains: int
    draws: int
    burn_in: int
    evaluations: int
    seed: int

    def __float__(self) -> float:
        return self.value

    def words(self) -> Iterator[str]:
        """The coefficient with its error, whether it is to be trusted, what it rests on."""
        yield f"learning coefficient {self.value:.4g} ± {self.standard_error:.2g}"
        if self.diverged:
            yield f"DIVERGED: in {self.diverged} of {self.chains} chains a loss was not finite; take a smaller step"
        elif not self.converged:
            told = f"split R-hat {self.agreement:.3g}, equipartition {self.equipartition:.3g}, both 1 in equilibrium"
            yield f"NOT CONVERGED: {told}"
        if self.value < 0:
            yield "NEGATIVE: the chains found lower losses, theta is no minimum"
        of = "" if self.batch_size is None else f" of {self.batch_size:,} examples"
        yield f"{self.chains} chains, {self.draws:,} steps{of} after {self.burn_in:,}, step {self.step:.3g}"
        yield f"n {self.population:,}, beta {self.beta:.4g}, gamma {self.gamma:g}, loss {self.base_loss:.4g}"
        yield from self.grounds()


def local_learning_coefficient(
    objective: Any,
    *,
    gamma: float = 100.0,
    beta: float | None = None,
    population: int | None = None,
    step: float | None = None,
    draws: int = 300,
    burn_in: int = 300,
    chains: int = 4,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> LearningCoefficient:
    r"""The local learning coefficient, by Langevin chains that are held near theta.

    .. math:: \hat\lambda = n \beta \left( E_w[L(w)] - L(\theta) \right), \quad
        w \sim p(w) \propto \exp\left(-n \beta L(w) - \tfrac{\gamma}{2} |w - \theta|^2\right), \quad
        \beta = \frac{1}{\ln n}.

    Lau et al. (2023). Each step is :math:`w \leftarrow w - \tfrac{s}{2} \nabla U(w) + N(0, s)`, with U the negative
    exponent.

    *What it is off by.* The pull keeps flat directions from counting in full: at a quadratic minimum with curvatures
    :math:`h_i` the expectation is :math:`\tfrac12 \sum_i n \beta h_i / (n \beta h_i + \gamma)` and not half their
    number, and a coefficient with multiplicity m comes down by :math:`(m - 1) / \ln(n \beta)` or so. The steps add a
    share of :math:`s a / 4` in a direction of curvature a of U. Batches act like a higher temperature. The estimate
    changes when layers are rescaled, though the coefficient does not.

    Args:
        objective: ``theta``, ``value`` and ``value_and_gradient``; ``parts`` for batches.
        gamma: The pull towards theta.
        beta: Inverse temperature; 1 / ln n by default.
        population: n; the examples of the objective by default.
        step: s; by default a tenth of the inverse of the largest curvature of U that a few gradients about theta show.
        draws: Steps of each chain that count.
        burn_in: Steps before these.
        chains: Independent chains, all from theta.
        batch_size: Examples behind each step, one of the objective's ``parts`` drawn at random; all by default.
        seed: Of chains and batches, the same on every device.
        progress: Show a bar in the terminal.

    Returns:
        The coefficient, with its standard error and what the chains say of themselves.

    Raises:
        TypeError: If a number is of the wrong kind, or the objective has no ``parts`` for batches.
        ValueError: If a number is out of range, or nobody says what n is.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = QuadraticObjective([1.0, 4.0, 0.0])  # a flat direction counts nothing
        >>> found = local_learning_coefficient(bowl, population=1000, gamma=1.0, draws=2000, seed=1)
        >>> abs(found.value - 1) < 4 * found.standard_error < 0.5
        True
    """
    positive("gamma", gamma)
    whole("draws", draws, minimum=4)
    whole("burn_in", burn_in)
    whole("chains", chains, minimum=1)
    seed_of("seed", seed)
    for name, value in (("beta", beta), ("step", step)):
        if value is not None:
            positive(name, value)
    theta = an_objective(objective).theta
    n = _population(objective, population)
    posterior = Posterior(objective, (beta or 1 / math.log(n)) * n, gamma, batch_size)
    if not math.isfinite(posterior.base):
        raise NotFinite(f"the loss at theta must be finite, got {posterior.base}.")
    size = step or STABLE / _curvature(posterior, theta, seed)
    found = list[Visited]()
    with steps_shown("Langevin chains", chains * (burn_in + draws), shown=progress) as advance:
        for chain in range(chains):
            generator = torch.Generator().manual_seed((seed * 1_000_003 + chain) % 2**32)
            found.append(visited(posterior, size, burn_in, draws, generator, advance))
    diverged = sum(one.diverged for one in found)
    rises = torch.stack([one.rises for one in found])
    means = posterior.scale * rises.mean(1)
    equipartition = float(torch.stack([one.virials for one in found]).mean()) / len(theta)
    agreed = agreement(rises)
    return LearningCoefficient(
        value=math.inf if diverged else float(means.mean()),
        standard_error=float(means.std()) / math.sqrt(chains) if chains > 1 and not diverged else math.nan,
        converged=not diverged and agreed <= AGREE and abs(equipartition - 1) <= EQUAL,
        agreement=agreed,
        equipartition=equipartition,
        diverged=diverged,
        base_loss=posterior.base,
        beta=posterior.scale / n,
        gamma=float(gamma),
        step=float(size),
        population=n,
        batch_size=batch_size,
        chains=chains,
        draws=draws,
        burn_in=burn_in,
        evaluations=posterior.evaluations,
        **Measured.ground(objective),
        seed=seed,
    )


def _population(objective: Any, population: int | None) -> int:
    """N.

    Raises:
        ValueError: If nobody says it.
    """
    known = getattr(objective, "examples", None) if population is None else population
    if known is None:
        raise ValueError("`population` must be given for an objective that does not say how many examples it has.")
    return whole("population", known, minimum=2)


def _curvature(posterior: Posterior, theta: Tensor, seed: int) -> float:
    """The largest curvature of U about theta that power iteration with differences of gradients sees."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.randn(theta.shape, generator=generator, dtype=torch.float64).to(theta)
    largest, reach = 0.0, 1 / math.sqrt(posterior.gamma)
    start = posterior.whole_gradient(theta)
    for _ in range(ITERATIONS):
        if not norm(along) > 0:
            break
        along = along / norm(along)
        along = (posterior.whole_gradient(theta + reach * along) - start) / reach
        bend = norm(along)
        largest = max(largest, bend) if math.isfinite(bend) else largest
        reach = 1 / math.sqrt(posterior.scale * largest + posterior.gamma)
    return posterior.scale * largest + posterior.gamma
