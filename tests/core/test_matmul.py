"""Products of large float32 matrices: as exact as float32 is, and nobody's settings are changed."""

import pytest
import torch
from torch import backends, nn
from torch.nn.functional import cross_entropy

from flatmin import Objective
from flatmin.core import matmul


def wide(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(300, 256), nn.ReLU(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10))


def test_a_product_of_a_large_network_is_as_near_to_float64_as_double_backward_in_float32():
    model, inputs, targets = wide(), torch.randn(400, 300), torch.randint(10, (400,))
    objective = Objective(model, cross_entropy, [(inputs, targets)])
    vector = torch.randn(objective.size)
    assert objective.size > matmul.LARGE

    def double_backward(model, inputs, vector):
        parameters = list(model.parameters())
        pieces = vector.split([p.numel() for p in parameters])
        outer = [piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True)]
        first = torch.autograd.grad(cross_entropy(model(inputs), targets), parameters, create_graph=True)
        return torch.cat([part.reshape(-1) for part in torch.autograd.grad(first, parameters, outer)])

    plain = double_backward(model, inputs, vector)
    exact = double_backward(model.double(), inputs.double(), vector.double())
    error, own = ((found.double() - exact).norm() / exact.norm() for found in (plain, objective.hvp(vector)))
    assert own < max(4 * error, 2e-6)


@pytest.mark.skipif(not hasattr(backends.mkldnn, "matmul"), reason="torch before 2.9 names no precision of a matmul")
def test_the_permission_ends_with_the_product_even_if_that_fails():
    before = backends.mkldnn.matmul.fp32_precision
    with pytest.raises(RuntimeError, match="stop"), matmul.fast_matmul(torch.zeros(matmul.LARGE)):
        raise RuntimeError("stop")
    assert backends.mkldnn.matmul.fp32_precision == before


@pytest.mark.skipif(not hasattr(backends.mkldnn, "matmul"), reason="torch before 2.9 names no precision of a matmul")
@pytest.mark.parametrize(
    ("exact", "size", "dtype"), [(False, 2**16, "float32"), (True, 9, "float32"), (True, 2**16, "float64")]
)
def test_no_permission_where_products_are_not_exact_or_small(monkeypatch, exact, size, dtype):
    monkeypatch.setattr(matmul, "_exact", lambda: exact)
    before = backends.mkldnn.matmul.fp32_precision
    with matmul.fast_matmul(torch.zeros(size, dtype=getattr(torch, dtype))):
        assert backends.mkldnn.matmul.fp32_precision == before


def test_rounding_to_bfloat16_is_seen(monkeypatch):
    if not hasattr(backends.mkldnn, "matmul"):
        pytest.skip("torch before 2.9 names no precision of a matmul")
    plain = torch.Tensor.__matmul__
    monkeypatch.setattr(
        torch.Tensor,
        "__matmul__",
        lambda a, b: plain(a.bfloat16(), b.bfloat16()) if a.dtype == torch.float32 else plain(a, b),
    )
    assert not matmul._exact.__wrapped__()
