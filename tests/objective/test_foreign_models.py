"""Models of many makes: they work, or one line says at construction why not and what to do."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flatmin import average_case_sharpness, effort, epsilon_sharpness, filter_normalized, slice_1d, slice_2d
from flatmin.objective.objective import Objective

INPUTS = torch.rand(32, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(3, (32,), generator=torch.Generator().manual_seed(1))
WORDS = torch.randint(9, (32, 5), generator=torch.Generator().manual_seed(2))


def normalizing() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


class Locked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 3)
        self.lock = threading.Lock()


class Kernel(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        out, _, _ = torch.native_batch_norm(super().forward(inputs), None, None, None, None, True, 0.1, 1e-5)
        return out


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: nn.Linear(4, 3, dtype=torch.complex64), {}, ValueError, "parameter 'weight' of `model` is complex"),
        (lambda: nn.Linear(4, 3, device="meta"), {}, ValueError, "'weight' of `model` is on the meta device"),
        (lambda: nn.LazyLinear(3), {}, ValueError, "'weight' of `model` has no shape yet; run the network once"),
        (
            lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear}),
            {},
            ValueError,
            r"no trainable parameter: it has none of floating point \(is it quantised\?\)",
        ),
        (Locked, {}, TypeError, "`model` cannot be copied, .*lock"),
        (
            lambda: torch.jit.script(normalizing()),
            {"batch_norm": "batch"},
            ValueError,
            "`model` is TorchScript, which reads BatchNorm one way only",
        ),
        (lambda: Kernel(4, 3), {"batch_norm": "batch"}, ValueError, "torch's 'native_batch_norm'"),
    ],
    ids=["complex", "meta", "lazy", "quantised", "lock", "script", "kernel"],
)
def test_what_cannot_be_done_is_said_at_once(
    make: Callable[[], nn.Module], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        Objective(make(), F.cross_entropy, [(INPUTS, TARGETS)], **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        epsilon_sharpness,
        average_case_sharpness,
        effort,
        filter_normalized,
        lambda model: slice_1d(model, torch.ones(15), [0.0]),
        lambda model: slice_2d(model, (torch.ones(15), torch.ones(15)), ([0.0], [0.0])),
    ],
)
def test_a_model_is_no_objective(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"`objective` must be an objective, got Linear; make one: Objective\(model,"):
        function(nn.Linear(4, 3))


class Sparse(nn.Module):
    def __init__(self, layer: bool) -> None:
        super().__init__()
        self.words, self.out, self.layer = nn.Embedding(9, 6, sparse=True), nn.Linear(30, 3), layer

    def forward(self, words: Tensor) -> Tensor:
        found = self.words(words) if self.layer else F.embedding(words, self.words.weight, sparse=True)
        return self.out(found.flatten(1))


class Energy(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        energy = super().forward(inputs.requires_grad_()).tanh()
        (force,) = torch.autograd.grad(energy.sum(), inputs, create_graph=True)
        return super().forward(inputs + force)


class Reentrant(nn.Sequential):
    def forward(self, inputs: Tensor) -> Tensor:
        return checkpoint(super().forward, inputs.requires_grad_(), use_reentrant=True)  # type: ignore[no-any-return]


def tanh_layers() -> list[nn.Module]:
    return [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)]


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: nn.DataParallel(nn.Sequential(*tanh_layers())), INPUTS),
        (lambda: torch.jit.script(nn.Sequential(*tanh_layers())), INPUTS),
        (lambda: torch.jit.trace(nn.Sequential(*tanh_layers()), INPUTS), INPUTS),
        (lambda: Sparse(layer=True), WORDS),
        (lambda: Sparse(layer=False), WORDS),
        (lambda: Energy(4, 3), INPUTS),
        (lambda: Reentrant(*tanh_layers()), INPUTS),
        (lambda: nn.Sequential(*tanh_layers()).half(), INPUTS),
    ],
    ids=["DataParallel", "script", "trace", "sparse layer", "sparse function", "energy", "reentrant", "half"],
)
def test_what_can_be_done_is_right(make: Callable[[], nn.Module], inputs: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = make()
    products = "finite_difference" if isinstance(model, Reentrant) else "exact"
    objective = Objective(model, F.cross_entropy, [(inputs, TARGETS)], dtype=torch.float64, hvp=products)
    vector = torch.randn(objective.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = 1e-5 * vector
    slope = float(objective.value(objective.theta + step) - objective.value(objective.theta - step)) / 2e-5
    assert float(objective.gradient() @ vector) == pytest.approx(slope, rel=1e-5)
    change = (objective.gradient(objective.theta + step) - objective.gradient(objective.theta - step)) / 2e-5
    torch.testing.assert_close(objective.hvp(vector), change, rtol=1e-4, atol=1e-6)
    assert not any(".module" in name or name.startswith("module.") for name in objective.shapes)


def test_half_precision_is_computed_in_float32_and_said() -> None:
    objective = Objective(nn.Linear(4, 3).bfloat16(), F.cross_entropy, [(INPUTS, TARGETS)])
    assert objective.dtype == torch.float32
    assert objective.cautions == ("weights in half precision are computed in float32",)
    assert objective.cautions[0] in repr(objective)
    assert epsilon_sharpness(objective).cautions == objective.cautions
    assert slice_1d(objective, objective.theta, [0.0]).cautions == objective.cautions


def test_complex_buffers_keep_both_parts() -> None:
    class Rotated(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 3)
            self.register_buffer("turn", torch.polar(torch.ones(3), torch.arange(3.0)))

        def forward(self, inputs: Tensor) -> Tensor:
            return (super().forward(inputs) * self.turn).real  # type: ignore[no-any-return]

    model = Rotated()
    expected = float(F.cross_entropy(model(INPUTS), TARGETS).detach())
    for dtype in (torch.float32, torch.float64):
        objective = Objective(model, F.cross_entropy, [(INPUTS, TARGETS)], dtype=dtype)
        assert float(objective.value()) == pytest.approx(expected, rel=1e-6)
