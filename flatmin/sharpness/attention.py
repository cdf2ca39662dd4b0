r"""Where pairs of matrices stand in the weights of which a network uses the product alone: the heads of its attention.

Scores are :math:`x^\top G H^\top x` with G and H the query and key matrices of a head (biases are a row more), outputs
:math:`H G^\top x` with its value and output matrices; so :math:`(G A^{-1}, H A^\top)` is the same network for every
invertible A. Of queries and keys it is not, where something is done in between: rotary positions, or a norm.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Pair(NamedTuple):
    """Two matrices of as many columns, by where each of their entries stands in the weight vector.

    Attributes:
        first: Of G, (n, h) whole numbers.
        second: Of H, (m, h).
    """

    first: Tensor
    second: Tensor


def attention_pairs(objective: Any) -> list[Pair]:
    """The pairs of every :class:`torch.nn.MultiheadAttention` in the network of an objective, two a head.

    Layers whose keys or values have a width of their own are left out.

    Args:
        objective: Has ``shapes`` and ``heads``, as an :class:`~flatmin.objective.objective.Objective`.

    Returns:
        The pairs, none where there is no such layer.

    Example:
        >>> from types import SimpleNamespace as Object
        >>> shapes = {"in_proj_weight": (18, 6), "in_proj_bias": (18,), "out_proj.weight": (6, 6)}
        >>> pairs = attention_pairs(Object(shapes=shapes, heads={"": 2}))
        >>> len(pairs), [tuple(matrix.shape) for matrix in (*pairs[0], *pairs[1])]
        (4, [(7, 3), (7, 3), (7, 3), (6, 3)])
    """
    places, first = dict[str, Tensor](), 0
    for name, shape in objective.shapes.items():
        count = torch.Size(shape).numel()
        places[name] = torch.arange(first, first + count).reshape(shape)
        first += count
    return [pair for name, heads in objective.heads.items() for pair in _of_layer(places, name, heads)]


def _of_layer(places: dict[str, Tensor], layer: str, heads: int) -> Iterator[Pair]:
    prefix = f"{layer}." if layer else ""
    weight, output = places.get(f"{prefix}in_proj_weight"), places.get(f"{prefix}out_proj.weight")
    if weight is None or output is None:
        return
    bias = places.get(f"{prefix}in_proj_bias")
    rows = weight if bias is None else torch.cat([weight, bias[:, None]], dim=1)
    queries, keys, values = (part.chunk(heads) for part in rows.chunk(3))
    for query, key, value, out in zip(queries, keys, values, output.chunk(heads, dim=1), strict=True):
        yield Pair(query.T, key.T)
        yield Pair(value.T, out)
