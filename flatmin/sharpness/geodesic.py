r"""The geodesic sharpness of a transformer: the adaptive one, made blind to the symmetries of attention as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from flatmin.core.checks import an_objective, positive
from flatmin.sharpness.attention import Pair, attention_pairs
from flatmin.sharpness.geodesics import Geodesics
from flatmin.sharpness.highest_rises import highest_rises
from flatmin.sharpness.worst_case import WorstCase


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Geodesic(WorstCase):
    """What :func:`geodesic_sharpness` found; a :class:`WorstCase` that says of how many pairs.

    Attributes:
        pairs: Of matrices whose product alone counts; without one it is the adaptive worst case in l2.
    """

    pairs: int

    def words(self) -> Iterator[str]:
        """Those of a worst case, and the pairs."""
        yield from super().words()
        yield f"geodesics of {self.pairs:,} pairs of matrices" if self.pairs else "NO ATTENTION: no geodesic is curved"


def geodesic_sharpness(
    objective: Any,
    *,
    rho: float,
    pairs: Sequence[Pair | tuple[Tensor, Tensor]] | None = None,
    per: int | None = None,
    steps: int = 20,
    restarts: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> Geodesic:
    r"""How far the loss can rise within a geodesic ball of radius rho, which no symmetry of attention changes.

    .. math:: E_S \max_{\|\xi\| \le \rho} f_S(\gamma_\xi(1)) - f_S(\theta), \quad \xi \text{ horizontal}.

    Da Silva, Dangel and Oore (2025, arXiv:2505.05409), equation 4, with their invariant metric (9) and geodesics to
    second order (5), see :mod:`flatmin.sharpness.geodesics`. From the adaptive worst case it differs to first order in
    rho in what a velocity of an attention matrix costs; without attention the two are one. A matrix without independent
    columns has no metric: they add a small multiple of the identity, here it is an error.

    Args:
        objective: The loss to probe: ``theta`` and ``value_and_gradient``; without ``pairs`` also ``shapes`` and
            ``heads``, as an :class:`~flatmin.objective.objective.Objective`.
        rho: Radius.
        pairs: Matrices of which the loss knows the product G H' alone: for each pair two matrices of the places of
            their entries in the weight vector. ``None`` takes the heads of every :class:`torch.nn.MultiheadAttention`,
            see :func:`~flatmin.sharpness.attention.attention_pairs`.
        per: Examples a part, as of :func:`~flatmin.sharpness.worst_case.worst_case_sharpness`.
        steps: Of each climb by Auto-PGD.
        restarts: Further climbs from random points.
        seed: Of these.
        progress: Show a bar in the terminal.

    Returns:
        The rise, where it was found, what it cost and how far it can be trusted.

    Raises:
        TypeError: If ``objective`` is none, or has no names of weights and ``pairs`` is left out; if a number is of the
            wrong kind.
        ValueError: If a number is out of range, a pair is none or a matrix has dependent columns.
        NotFinite: If the loss at theta is not finite.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import FunctionObjective
        >>> product = FunctionObjective(lambda t: t[0] * t[1], torch.tensor([2.0, 3.0], dtype=torch.float64))
        >>> one = (torch.tensor([[0]]), torch.tensor([[1]]))
        >>> b = 0.1 / 2**0.5  # both factors grow by exp(b), to second order
        >>> expected = 6 * (1 + b + b**2 / 2) ** 2 - 6
        >>> abs(float(geodesic_sharpness(product, rho=0.1, pairs=[one])) - expected) < 1e-9
        True
    """
    positive("rho", rho)
    theta = an_objective(objective).theta
    if pairs is None:
        if not (hasattr(objective, "heads") and hasattr(objective, "shapes")):
            raise TypeError(f"`pairs` must be given: a {type(objective).__name__} does not know its attention layers.")
        pairs = attention_pairs(objective)
    paths = Geodesics(theta, [Pair(*pair) for pair in pairs])
    found = highest_rises(
        objective, paths, rho=float(rho), norm="l2", per=per, search="auto_pgd", steps=steps, restarts=restarts,
        seed=seed, progress=progress,
    )  # fmt: skip
    return Geodesic(**found, adaptive=True, pairs=len(pairs))
