r"""Paths through the weights of a transformer that no symmetry of its attention bends (da Silva et al., 2025).

A pair (G, H) of which a network uses :math:`G H^\top` alone has the metric

.. math:: \|(\xi_G, \xi_H)\|^2 = \operatorname{tr}(G^\top G)^{-1} \xi_G^\top \xi_G
    + \operatorname{tr}(H^\top H)^{-1} \xi_H^\top \xi_H,

which is the same at every pair of that product (their equation 9). A velocity :math:`\xi` is horizontal if it has no
part along :math:`(G \Lambda, -H \Lambda^\top)`, where the product stays. Geodesics are taken to second order (5, 11):

.. math:: G + \xi_G + \tfrac12 \left( \xi_G (G^\top G)^{-1} (\xi_G^\top G + G^\top \xi_G)
    - G (G^\top G)^{-1} \xi_G^\top \xi_G \right),

and likewise of H. All other weights move straight, by shares of themselves: there it is the adaptive sharpness.

In :math:`u = \xi_G (G^\top G)^{-1/2}` the metric is Euclidean. Another pair of the same product turns these u and does
no more, so that a search among them is blind to the symmetry, as the sharpness is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flatmin.sharpness.attention import Pair
from flatmin.sharpness.ball import Norm


class Curved(NamedTuple):
    """A matrix of a pair, with what its metric needs.

    Attributes:
        place: Where its entries stand in the weight vector.
        matrix: G, (n, h).
        root: The square root of G'G.
        inverse: The inverse of G'G.
    """

    place: Tensor
    matrix: Tensor
    root: Tensor
    inverse: Tensor

    @classmethod
    def at(cls, theta: Tensor, place: Tensor) -> "Curved":
        """The one that stands there.

        Raises:
            ValueError: If its columns are not independent: there is no metric.
        """
        matrix = theta[place]
        _, sizes, axes = torch.linalg.svd(matrix.double(), full_matrices=False)
        if len(sizes) < matrix.shape[1] or sizes[-1] <= torch.finfo(theta.dtype).eps * sizes[0]:
            shape = tuple(matrix.shape)
            raise ValueError(f"`pairs` must hold matrices of independent columns, one of shape {shape} has others.")
        root, inverse = (axes.T @ (power[:, None] * axes) for power in (sizes, sizes**-2))
        return cls(place, matrix, root.to(theta), inverse.to(theta))

    def moved(self, u: Tensor) -> Tensor:
        """What the geodesic of a velocity adds to the matrix, to second order."""
        velocity = u[self.place] @ self.root
        along = velocity.T @ self.matrix
        bend = velocity @ self.inverse @ (along + along.T) - self.matrix @ self.inverse @ (velocity.T @ velocity)
        return velocity + bend / 2


class Geodesics:
    """Geodesics of pairs, straight lines of all other weights.

    Args:
        theta: Where they begin.
        pairs: The pairs, no two with an entry in common.

    Raises:
        ValueError: If a matrix has dependent columns, the two of a pair different ones, or two an entry in common.
    """

    def __init__(self, theta: Tensor, pairs: Sequence[Pair]) -> None:
        _check(pairs, len(theta))
        self.pairs = [tuple(Curved.at(theta, place.to(theta.device)) for place in pair) for pair in pairs]
        self.scale = theta.abs()
        for pair in pairs:
            for place in pair:
                self.scale[place] = 0

    def perturbation(self, u: Tensor) -> Tensor:
        """Where the geodesics of a velocity end, from theta."""
        ends = self.scale * u
        for curved in (curved for pair in self.pairs for curved in pair):
            ends = ends.index_put((curved.place,), curved.moved(u))
        return ends

    def pulled(self, u: Tensor, gradient: Tensor) -> Tensor:
        """The gradient in u, its horizontal part."""
        leaf = u.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.perturbation(leaf), leaf, gradient)
        return self.admissible(slope)

    def admissible(self, u: Tensor) -> Tensor:
        """The horizontal part: without what leaves the product as it is."""
        horizontal = u.clone()
        for first, second in self.pairs:
            shift, back = _vertical(first, second, u)
            horizontal[first.place] -= shift
            horizontal[second.place] -= back
        return horizontal

    def reach(self, norm: Norm) -> float:
        """That of the norm, or the largest singular value of a matrix."""
        roots = [float(torch.linalg.matrix_norm(curved.root, ord=2)) for pair in self.pairs for curved in pair]
        return max(norm.reach(self.scale), *roots, 0.0)


def _vertical(first: Curved, second: Curved, u: Tensor) -> tuple[Tensor, Tensor]:
    r"""The part of u along :math:`(G \Lambda, -H \Lambda^\top)`, both in the coordinates of u.

    Its normal equations are :math:`M \Lambda + \Lambda M = H^\top H\, G^\top \xi_G - \xi_H^\top H\, G^\top G` with
    :math:`M = H^\top H\, G^\top G`, solved in the eigenvectors of :math:`S M S^{-1} = S H^\top H S`, with S the root of
    :math:`G^\top G`.
    """
    root, other = first.root.double(), second.root.double()
    inverse, back = torch.linalg.inv(root), torch.linalg.inv(other)
    matrix, partner = first.matrix.double(), second.matrix.double()
    left, right = u[first.place].double() @ root, u[second.place].double() @ other
    squares, others = root @ root, other @ other
    wanted = others @ matrix.T @ left - right.T @ partner @ squares
    sizes, axes = torch.linalg.eigh(root @ others @ root)
    turned = axes.T @ root @ wanted @ inverse @ axes
    mixing = inverse @ axes @ (turned / (sizes[:, None] + sizes)) @ axes.T @ root
    return (matrix @ mixing @ inverse).to(u), (-partner @ mixing.T @ back).to(u)


def _check(pairs: Sequence[Pair], size: int) -> None:
    """Refuse pairs that are none.

    Raises:
        ValueError: If the two of a pair have different columns, or an entry is taken twice or does not exist.
    """
    taken = torch.zeros(size, dtype=torch.bool)
    for number, pair in enumerate(pairs):
        first, second = pair
        if not first.ndim == second.ndim == 2 or first.shape[1] != second.shape[1]:
            shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
            raise ValueError(f"pair {number} must be two matrices of as many columns, got {shapes}.")
        entries = torch.cat([first.flatten(), second.flatten()]).cpu()
        if entries.min() < 0 or entries.max() >= size:
            raise ValueError(f"pair {number} must hold places in the {size} weights.")
        if taken[entries].any() or len(set(entries.tolist())) < len(entries):
            raise ValueError(f"pair {number} has an entry that stands in a pair already.")
        taken[entries] = True
