"""What the caller has switched on neither reaches the objective nor is lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flatmin.objective.objective import Objective


@contextmanager
def legacy(precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def per_backend(precision: str) -> Iterator[None]:
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("torch before 2.9 has one setting")
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = precision
    try:
        yield
        assert torch.backends.cuda.matmul.fp32_precision == precision
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def reduced() -> bool:
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@contextmanager
def autocast() -> Iterator[None]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield
        assert reduced()


SETTINGS = [lambda: legacy("medium"), lambda: legacy("high"), lambda: per_backend("tf32"), autocast]


@pytest.fixture
def parts() -> tuple[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 4))
        return model, [(torch.randn(64, 32), torch.randint(4, (64,)))]


@pytest.mark.parametrize("setting", SETTINGS, ids=["medium", "high", "tf32", "autocast"])
def test_reduced_precision_stays_outside(setting: Callable, parts: tuple) -> None:
    model, batches = parts
    seen: list[tuple[torch.dtype, bool]] = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append((outputs.dtype, reduced()))
        return F.cross_entropy(outputs, targets)

    objective = Objective(model, loss, batches)
    vector = torch.ones(objective.size)
    plain = objective.value(), objective.gradient(), objective.hvp(vector)
    with setting():
        inside = objective.value(), objective.gradient(), objective.hvp(vector)
    assert all(torch.equal(a, b) for a, b in zip(plain, inside, strict=True))
    assert set(seen) == {(torch.float32, False)}


@pytest.mark.parametrize("setting", SETTINGS, ids=["medium", "high", "tf32", "autocast"])
def test_settings_come_back_after_an_error(setting: Callable, parts: tuple) -> None:
    failing = False

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if failing:
            raise KeyError("mine")
        return F.cross_entropy(outputs, targets)

    objective = Objective(parts[0], loss, parts[1])
    failing = True
    with setting(), pytest.raises(KeyError, match="mine"):
        objective.value()


def test_autocast_would_have_mattered(parts: tuple) -> None:
    model, batches = parts
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = F.cross_entropy(model(batches[0][0]), batches[0][1])
    assert abs(float(reduced) - float(Objective(model, F.cross_entropy, batches).value())) > 1e-5
