"""The preconditioned sharpness against eigenvalues of matrices written out."""

import numpy as np
import pytest
import torch
from torch import nn

from flatmin import load, preconditioned_sharpness
from flatmin.core.functions import QuadraticObjective

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 7.0]])


def after_a_step(kind, **options):
    weights = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = kind([weights], lr=0.1, **options)
    weights.grad = torch.tensor([0.5, -4.0, 100.0], dtype=torch.float64)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(
    ("optimizer", "scales", "threshold"),
    [
        (after_a_step(torch.optim.SGD, momentum=0.5), np.ones(3), 30),
        (after_a_step(torch.optim.Adagrad, eps=0.0), [0.5, 4, 100], 20),
        (after_a_step(torch.optim.Adam, eps=0.0), 0.1 * np.array([0.5, 4, 100]), 380),
    ],
    ids=["sgd", "adagrad", "adam"],
)
def test_it_is_the_largest_eigenvalue_of_the_preconditioned_hessian(optimizer, scales, threshold, tmp_path):
    found = preconditioned_sharpness(QuadraticObjective(torch.tensor(MATRIX)), optimizer, tolerance=1e-9)
    root = np.sqrt(scales)
    assert found.value == pytest.approx(np.linalg.eigvalsh(MATRIX / np.outer(root, root))[-1], rel=1e-9)
    assert found.threshold == pytest.approx(threshold) and found.converged
    assert f"{found.optimizer} stands {found.threshold:.4g}" in " ".join(repr(found).split())
    assert load(found.save(tmp_path / "it.npz")).vector.shape == (3,) and "vector" not in found.to_record()


def test_a_start_from_the_last_vector_saves_products():
    generator = torch.Generator().manual_seed(0)
    values = torch.cat([torch.rand(300, generator=generator, dtype=torch.float64), torch.tensor([1.05, 1.1]).double()])
    bowl, weights = QuadraticObjective(values), nn.Parameter(torch.zeros(302, dtype=torch.float64))
    optimizer = torch.optim.SGD([weights], lr=0.1)
    cold = preconditioned_sharpness(bowl, optimizer)
    warm = preconditioned_sharpness(bowl, optimizer, start=cold.warm_start)
    assert warm.products < cold.products and warm.value == pytest.approx(1.1, rel=1e-5)


def test_an_optimiser_without_steps_is_refused():
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(3))])
    with pytest.raises(ValueError, match="`optimizer` has taken no step"):
        preconditioned_sharpness(QuadraticObjective(torch.tensor(MATRIX)), optimizer)
