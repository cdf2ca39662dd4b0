"""The spectral density of the Hessian by stochastic Lanczos quadrature."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.checks import positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import steps_shown
from flatmin.core.result import Measured
from flatmin.curvature.lanczos import Lanczos
from flatmin.curvature.protocols import Curved, asymmetry_of, curved, ground_of, point_of, product_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Density(Measured):
    r"""A spectral density as a sum of points, one set for each probe.

    The share of eigenvalues up to t is the mean over the probes of the weights of their nodes up to t.

    Attributes:
        nodes: Ritz values of each probe, ascending, (probes, steps), float64.
        weights: Squares of the first components of their vectors, (probes, steps); they sum to 1 for each probe. A
            probe that needed fewer steps ends with nodes of weight 0.
        size: Number of weights of the network.
        products: Products with the Hessian.
    """

    nodes: Tensor
    weights: Tensor
    size: int
    products: int

    @property
    def moments(self) -> tuple[float, float]:
        """The mean of the eigenvalues over all probes and its standard error (NaN for one probe): trace over size."""
        means = (self.nodes * self.weights).sum(1)
        return float(means.mean()), float(means.std()) / math.sqrt(len(means)) if len(means) > 1 else math.nan

    def share(self, low: float, high: float) -> tuple[float, float]:
        """The share of eigenvalues in an interval and its standard error over the probes (NaN for one probe)."""
        inside = (self.nodes >= low) & (self.nodes <= high)
        shares = (self.weights * inside).sum(1)
        return float(shares.mean()), float(shares.std()) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan

    def smoothed(self, at: Tensor, width: float) -> tuple[Tensor, Tensor]:
        r"""The density with each point widened to a Gaussian, and its standard error over the probes (NaN for one).

        Args:
            at: Where, (points,).
            width: Standard deviation of the Gaussians, in units of the eigenvalues.

        Returns:
            Mean and standard error, (points,) each, float64.
        """
        positive("width", width)
        apart = (torch.as_tensor(at, dtype=torch.float64).reshape(-1, 1, 1) - self.nodes) / width
        curves = (self.weights * torch.exp(-apart.square() / 2)).sum(2) / (width * math.sqrt(2 * math.pi))
        mean = curves.mean(1)
        error = curves.std(1) / math.sqrt(curves.shape[1]) if curves.shape[1] > 1 else torch.full_like(mean, math.nan)
        return mean, error

    def rows(self) -> dict[str, Any]:
        """One row a node."""
        probes = torch.arange(len(self.nodes)).repeat_interleave(self.nodes.shape[1])
        return {
            "probe": probes.tolist(),
            "node": self.nodes.flatten().tolist(),
            "weight": self.weights.flatten().tolist(),
        }

    def words(self) -> Iterator[str]:
        """The ends, the mean, what it rests on."""
        mean, error = self.moments
        yield f"eigenvalues {float(self.nodes.min()):.4g} to {float(self.nodes.max()):.4g}"
        yield f"mean {mean:.4g} ± {error:.2g}"
        negative, its_error = self.share(-math.inf, 0.0)
        yield f"{negative:.3g} ± {its_error:.2g} of them at most 0"
        yield f"{len(self.nodes)} probe{'s' * (len(self.nodes) > 1)}, {self.products:,} products, {self.size:,} weights"
        if len(self.nodes) == 1:
            yield "ONE PROBE: how far another would differ is not known"
        yield from self.grounds()

    def plot(self, *, width: float | None = None, ax: "Axes | None" = None, label: str | None = None) -> "Axes":
        """Draw the density, in a band of its standard error over the probes.

        Args:
            width: Standard deviation to which each point is widened; a 150th of the range by default.
            ax: Axes to draw on; new ones by default.
            label: For a legend.

        Returns:
            The axes.
        """
        from flatmin.figures.spectra import spectrum_drawn

        return spectrum_drawn(self.to_frame(), None if width is None else positive("width", width), ax, label)


def spectral_density(
    objective: Curved,
    probes: int = 1,
    steps: int = 50,
    seed: int = 0,
    *,
    theta: Tensor | None = None,
    progress: bool = False,
) -> Density:
    r"""The spectral density of the Hessian by stochastic Lanczos quadrature.

    For a random unit vector v, :math:`v^\top g(H) v` is on average :math:`\mathrm{tr}\, g(H) / n`; Lanczos' process
    from v gives the Gauss rule for it: the eigenvalues of its tridiagonal matrix as nodes, the squares of the first
    components of its eigenvectors as weights, exact for polynomials up to degree 2 ``steps`` - 1 (Golub and Meurant;
    Ghorbani et al., 2019). Every vector is made orthogonal to all before, so that no node is a copy.

    Args:
        objective: ``theta``, ``size`` and ``hvp``.
        probes: Random vectors; the density of one has no known error.
        steps: Products for each.
        seed: Of the vectors, the same on every device.
        theta: Where; the point at which the objective stands by default.
        progress: Show a bar in the terminal.

    Returns:
        Nodes and weights, (probes, steps) each.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range.
        NotFinite: If a product is not finite.

    Example:
        >>> from flatmin.core.functions import QuadraticObjective
        >>> found = spectral_density(QuadraticObjective([1.0, 1.0, 5.0]), probes=3, steps=2)
        >>> [round(node, 6) for node in found.nodes[0].tolist()], round(float(found.weights[0].sum()), 9)
        ([1.0, 5.0], 1.0)
    """
    size = curved(objective).theta.numel()
    whole("probes", probes, minimum=1)
    steps = min(whole("steps", steps, minimum=1), size)
    generator = torch.Generator().manual_seed(seed_of("seed", seed))
    at = point_of(objective, theta)
    nodes, weights = torch.zeros(probes, steps, dtype=torch.float64), torch.zeros(probes, steps, dtype=torch.float64)
    products, asymmetry = 0, 0.0
    with full_precision(at.device), steps_shown("spectral density", probes * steps, shown=progress) as advance:
        for probe in range(probes):
            drawn = torch.randn(size, generator=generator, dtype=torch.float64).to(at)
            lanczos = Lanczos(product_of(objective, at), drawn, generator)
            while lanczos.count < steps:
                lanczos.step()
                advance()
                if lanczos.beta == 0:
                    break
            products += lanczos.products
            asymmetry = max(asymmetry, asymmetry_of(lanczos.matrix))
            pairs = lanczos.pairs()
            nodes[probe] = pairs.values[-1]
            nodes[probe, : lanczos.count] = pairs.values
            weights[probe, : lanczos.count] = pairs.vectors[0].square()
    return Density(nodes=nodes, weights=weights, size=size, products=products, **ground_of(objective, asymmetry))
