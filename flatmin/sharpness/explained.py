r"""How much of Keskar et al.'s sharpness the sharpest directions of the Hessian explain.

The worst point of the box is compared with what the eigenvectors of the largest eigenvalues lead to, one by one and
together, and with the quadratic model of the loss.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flatmin.core.checks import positive, seed_of, whole
from flatmin.core.precision import full_precision
from flatmin.core.progress import evaluations_shown
from flatmin.core.result import Measured
from flatmin.core.vectors import dot
from flatmin.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from flatmin.curvature.protocols import Graded, curved
from flatmin.sharpness.epsilon_sharpness import Sharpness, epsilon_sharpness
from flatmin.sharpness.quadratic import corners_of_spans, highest_in_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explained(Measured):
    r"""What :func:`explained` found; ``float()`` is the share of the rise that all its eigenvectors reach.

    d is the worst perturbation found, R its rise :math:`f(\theta + d) - f(\theta)`, :math:`P_k` the projection on the
    first k eigenvectors :math:`u_i`, w the half-widths of the box. Vectors have an entry for each eigenvector, float64.

    Attributes:
        epsilon: Relative half-width of the box.
        sharpness: :math:`\phi` by the strong search, in per cent.
        base_loss: :math:`f(\theta)`.
        worst_rise: R.
        eigenvalues: Descending; :math:`u_i` is turned uphill, :math:`g^\top u_i \ge 0`.
        lengths: Longest step s along :math:`u_i` in the box, the same both ways.
        uphill: :math:`f(\theta + s u_i) - f(\theta)`.
        uphill_model: :math:`s\, g^\top u_i + \tfrac12 s^2 \lambda_i`.
        downhill: :math:`f(\theta - s u_i) - f(\theta)`.
        downhill_model: :math:`-s\, g^\top u_i + \tfrac12 s^2 \lambda_i`.
        corner_rises: Rise at the corner of the box that the first k eigenvectors alone point to, or at its opposite,
            whichever is higher.
        corner_models: :math:`\tfrac12 \sum_{i \le k} \lambda_i (u_i^\top c)^2` at that corner c: the most that these
            eigenvalues promise in the box, for k = 1 exactly.
        shares: The highest of the first k ``corner_rises`` as a share of R; NaN where R is 0 or infinite.
        within: Rise at :math:`\theta + P_k d`, which may lie outside of the box.
        without: Rise at :math:`\theta + d - P_k d`: what is left when the sharpest directions are taken from d.
        length_shares: :math:`\|P_k d\|^2 / \|d\|^2`.
        curvature_shares: :math:`\sum_{i \le k} \lambda_i (u_i^\top d)^2 / d^\top H d`; NaN where that is not positive.
        linear: :math:`\sum_i w_i |g_i|`, the most that the gradient promises in the box.
        linear_rise: Rise at the corner :math:`w\, \mathrm{sign}\, g`.
        model_at_worst: :math:`g^\top d + \tfrac12 d^\top H d`.
        model_highest: The highest value of the quadratic model found in the box.
        converged: Whether the search and the eigenvectors are.
        evaluations: Losses computed, with or without gradient.
        products: Products with the Hessian.
        perturbation: d, (size,).
    """

    long = ("perturbation",)

    epsilon: float
    sharpness: float
    base_loss: float
    worst_rise: float
    eigenvalues: Tensor
    lengths: Tensor
    uphill: Tensor
    uphill_model: Tensor
    downhill: Tensor
    downhill_model: Tensor
    corner_rises: Tensor
    corner_models: Tensor
    shares: Tensor
    within: Tensor
    without: Tensor
    length_shares: Tensor
    curvature_shares: Tensor
    linear: float
    linear_rise: float
    model_at_worst: float
    model_highest: float
    converged: bool
    evaluations: int
    products: int
    perturbation: Tensor

    def __float__(self) -> float:
        return float(self.shares[-1])

    def rows(self) -> dict[str, Any]:
        """One row an eigenvector; what is said of several is of all up to it."""
        columns = {name: value.tolist() for name, value in self.contents.items() if name in SINGULAR}
        numbers = [float(number) for number in range(1, len(self.lengths) + 1)]
        return {"number": numbers} | {SINGULAR[name]: values for name, values in columns.items()}

    def words(self) -> Iterator[str]:
        """What is reached by one eigenvector and by all, what the model makes of the box, what it rests on."""
        count = len(self.lengths)
        yield f"the corner of the sharpest direction reaches {float(self.shares[0]):.3g} of the rise"
        if count > 1:
            yield f"those of the {count} sharpest {float(self.shares[-1]):.3g}"
        yield f"sharpness {self.sharpness:.4g} % at epsilon {self.epsilon:g}, a rise of {self.worst_rise:.4g}"
        yield f"the quadratic model says {self.model_at_worst:.3g} there and at most {self.model_highest:.3g} anywhere"
        yield f"without the {count} directions the same perturbation rises by {float(self.without[-1]):.4g}"
        if not self.converged:
            yield "NOT CONVERGED: the search or an eigenvector is not"
        yield f"{self.evaluations:,} evaluations, {self.products:,} products with the Hessian"
        yield from self.grounds()

    def plot(self, ax: "Axes | None" = None, *, title: str = "") -> "Axes":
        """Draw the rise along each eigenvector, as far as the box goes, beside that of the quadratic model.

        Args:
            ax: Where to draw; ``None`` makes a figure of pyplot.
            title: What stands above it.

        Returns:
            The axis.
        """
        from flatmin.figures.eigenvectors import rises_drawn

        return rises_drawn(self.to_frame(), ax, title)


SINGULAR = {
    **{"eigenvalues": "eigenvalue", "lengths": "length"},
    **{name: name for name in ("uphill", "uphill_model", "downhill", "downhill_model", "within", "without")},
    **{"corner_rises": "corner_rise", "corner_models": "corner_model"},
    **{"shares": "share", "length_shares": "length_share", "curvature_shares": "curvature_share"},
}
"""What a row of the table calls each vector."""


def explained(
    objective: Graded,
    *,
    epsilon: float = 1e-3,
    k: int = 20,
    tolerance: float = 1e-2,
    products: int = 500,
    eigenvalues: Eigenvalues | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Explained:
    r"""How much of the sharpness the eigenvectors of the largest eigenvalues explain.

    For a small box the sharpness is said to relate to the largest eigenvalue (Keskar et al., 2017, section 2.2.2).
    Three questions are asked of that: how high the loss is at the corner of the box where the model of the first k
    eigenvalues is highest (for k = 1 at :math:`w\, \mathrm{sign}\, u_1`), how much of the worst perturbation lies
    among the eigenvectors and what it does without them, and how high the quadratic model goes in the box at all.

    Memory: k vectors as long as the weights, beside those of the search for them.

    Args:
        objective: ``theta``, ``size``, ``value``, ``value_and_gradient`` and ``hvp``, such as an
            :class:`~flatmin.objective.objective.Objective`.
        epsilon: Relative half-width of the box, :math:`w_i = \epsilon (|\theta_i| + 1)`.
        k: Eigenvectors; all where there are fewer weights.
        tolerance: Of each eigenvector's residual, relative to its value.
        products: Products with the Hessian at most, in the search for eigenvectors.
        eigenvalues: The largest ones, found before at the same point; saves that search, and ``k``, ``tolerance`` and
            ``products`` do not count.
        seed: Of the searches, the same on every device.
        progress: Count the evaluations in the terminal.

    Returns:
        The shares, with what they rest on.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or ``eigenvalues`` are not the largest ones or of another size.
        NotFinite: If the loss, or a product, is not finite.

    Example:
        >>> import torch
        >>> from flatmin.core.functions import QuadraticObjective
        >>> bowl = QuadraticObjective(torch.tensor([[3.0, 1.0], [1.0, 3.0]]))  # 4 along (1, 1), 2 along (1, -1)
        >>> found = explained(bowl, epsilon=0.1, k=2)
        >>> round(found.shares[0].item(), 6), [round(rise, 6) for rise in found.uphill.tolist()]
        (1.0, [0.04, 0.02])
    """
    positive("epsilon", epsilon)
    seed_of("seed", seed)
    whole("k", k, minimum=1)
    at = curved(objective).theta
    shown = evaluations_shown(objective, "explained", None, shown=progress)
    with full_precision(at.device), shown as watched:
        known = eigenvalues or top_eigenvalues(
            objective, min(k, objective.size), tolerance=tolerance, products=products, seed=seed, copies=False
        )
        _fitting(known, objective.size)
        worst = epsilon_sharpness(watched, epsilon=epsilon, seed=seed)
        box = _Box(watched, at, worst, products=0 if eigenvalues else known.products)
        found = _compared(box, known, worst)
    return Explained(
        epsilon=worst.epsilon,
        sharpness=worst.sharpness,
        base_loss=worst.base_loss,
        converged=worst.converged and known.converged,
        evaluations=box.evaluations,
        products=box.products,
        perturbation=worst.perturbation,
        **found,
        **Measured.ground(objective),
    )


def _fitting(eigenvalues: Eigenvalues, size: int) -> None:
    if eigenvalues.which != "largest" or eigenvalues.vectors.shape[1:] != (size,):
        raise ValueError(
            f"`eigenvalues` must be the largest ones of {size} weights, got the {eigenvalues.which} of "
            f"{eigenvalues.vectors.shape[1]}; take top_eigenvalues(objective, k)."
        )


class _Box:
    """The loss around theta, with a count of what is asked of it."""

    def __init__(self, objective: Any, at: Tensor, worst: Sharpness, products: int) -> None:
        self._objective, self._at, self._base = objective, at, worst.base_loss
        self.evaluations, self.products = worst.evaluations + 1, products
        self.gradient: Tensor = objective.value_and_gradient(at)[1]
        self.half_width = (worst.epsilon * (at.abs() + 1)).to(at)

    def rise(self, step: Tensor) -> float:
        """How far the loss rises by a step."""
        self.evaluations += 1
        return float(self._objective.value(self._at + step)) - self._base

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector."""
        self.products += 1
        found: Tensor = self._objective.hvp(vector, self._at)
        return found


def _compared(box: _Box, known: Eigenvalues, worst: Sharpness) -> dict[str, Any]:
    d, gradient = worst.perturbation, box.gradient
    slopes = _vector(dot(gradient, u) for u in known.vectors)
    vectors = known.vectors.to(d) * torch.where(slopes < 0, -1.0, 1.0).to(d)[:, None]
    values = known.values.double().cpu()
    bent = box.product(d)
    curvature = dot(d, bent)
    steepest = box.half_width * torch.sign(gradient)
    corner, models, rises = _corners(box, values, vectors)
    ends = [highest_in_box(box.product, gradient, box.half_width, start) for start in (d, steepest, corner)]
    total = worst.worst_loss - worst.base_loss
    return {
        **{"worst_rise": total, "eigenvalues": values, "corner_models": models, "corner_rises": rises},
        **_along(box, values, slopes.abs(), vectors),
        "shares": rises.cummax(0).values / (total if 0 < total < math.inf else math.nan),
        **_projected(box, d, values, vectors, curvature),
        **{"linear": dot(box.half_width, gradient.abs()), "linear_rise": box.rise(steepest)},
        "model_at_worst": dot(gradient, d) + curvature / 2,
        "model_highest": max(end.value for end in ends),
    }


def _along(box: _Box, values: Tensor, slopes: Tensor, vectors: Tensor) -> dict[str, Tensor]:
    """Steps along each eigenvector, as far as the box goes."""
    lengths = _vector(float((box.half_width / u.abs()).min()) for u in vectors)
    bends, up = values * lengths.square() / 2, slopes * lengths
    return {
        **{"lengths": lengths, "uphill_model": bends + up, "downhill_model": bends - up},
        "uphill": _vector(box.rise(s * u) for s, u in zip(lengths.tolist(), vectors, strict=True)),
        "downhill": _vector(box.rise(-s * u) for s, u in zip(lengths.tolist(), vectors, strict=True)),
    }


def _corners(box: _Box, values: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The last corner that the first eigenvectors point to, and for each number of them its model and its rise."""
    models, rises, last = list[float](), list[float](), torch.zeros_like(box.half_width)
    for corner, model in corners_of_spans(values, vectors, box.half_width):
        moved = not rises or not torch.equal(corner, last)
        rises.append(max(box.rise(corner), box.rise(-corner)) if moved else rises[-1])
        models.append(model)
        last = corner
    return last, _vector(models), _vector(rises)


def _projected(box: _Box, d: Tensor, values: Tensor, vectors: Tensor, curvature: float) -> dict[str, Tensor]:
    """What of the worst perturbation lies among the first eigenvectors, and the loss with it alone and without it."""
    along = _vector(dot(u, d) for u in vectors)
    part, within, without = torch.zeros_like(d), list[float](), list[float]()
    for length, u in zip(along.tolist(), vectors, strict=True):
        part = torch.add(part, u, alpha=length)
        within.append(box.rise(part))
        without.append(box.rise(d - part))
    return {
        **{"within": _vector(within), "without": _vector(without)},
        "length_shares": along.square().cumsum(0) / (dot(d, d) or math.nan),
        "curvature_shares": (values * along.square()).cumsum(0) / (curvature if curvature > 0 else math.nan),
    }


def _vector(numbers: Iterable[float]) -> Tensor:
    return torch.tensor(list(numbers), dtype=torch.float64)
