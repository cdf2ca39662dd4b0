import math

import numpy as np
import pytest
import torch

from flatmin.core.vectors import cosine, dot, norm


def test_ten_million_float32_entries_are_summed_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 10_000_000, generator=generator)
    wide = first.numpy().astype(np.float64), second.numpy().astype(np.float64)
    assert norm(first) == pytest.approx(math.sqrt(np.sum(wide[0] ** 2)), rel=1e-12)
    assert dot(first, first) == pytest.approx(np.sum(wide[0] ** 2), rel=1e-9)
    assert dot(first, second) == pytest.approx(np.sum(wide[0] * wide[1]), rel=1e-9)


def test_small_cases_by_hand() -> None:
    assert norm(torch.tensor([3.0, -4.0])) == 5.0
    assert dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0])) == -5.0
    assert cosine(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])) == pytest.approx(-math.sqrt(0.5))
    assert cosine(torch.zeros(2), torch.ones(2)) == 0.0
    assert norm(torch.full((4,), 1e30)) == pytest.approx(2e30, rel=1e-6)
