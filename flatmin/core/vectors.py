"""Norms and dot products of weight-sized vectors, summed in float64.

``torch.linalg.vector_norm`` of a float32 vector of 100 million entries is off by one per cent, because the sum
of squares is kept in float32.
"""

import torch
from torch import Tensor


def norm(vector: Tensor) -> float:
    """Euclidean norm, summed in float64."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


def dot(first: Tensor, second: Tensor) -> float:
    """Dot product, summed in float64."""
    return float(torch.dot(first.double(), second.double()))


def cosine(first: Tensor, second: Tensor) -> float:
    """Cosine of the angle between two vectors; 0 where one of them is zero."""
    lengths = norm(first) * norm(second)
    return dot(first, second) / lengths if lengths else 0.0
