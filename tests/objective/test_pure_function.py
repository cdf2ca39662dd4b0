"""Networks that are no plain function: one value at one point, its own derivatives, and nothing of the caller's moves.

Each kind of network stands beside what it is: the same function written plainly, or a law.
"""

import copy
import pickle
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flatmin.objective import memory
from flatmin.objective.objective import Objective

INPUTS = torch.rand(32, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = torch.randint(3, (32,), generator=torch.Generator().manual_seed(1))
WORDS = torch.randint(9, (32, 5), generator=torch.Generator().manual_seed(2))

READINGS = pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def batches(inputs: Tensor = INPUTS, *edges: int) -> list[tuple[Tensor, Tensor]]:
    ends = [0, *edges, 32]
    return [(inputs[a:b].clone(), TARGETS[a:b].clone()) for a, b in pairwise(ends)]


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


class Normalized(nn.Linear):
    def __init__(self, write: Callable[[Tensor], Tensor]) -> None:
        super().__init__(4, 3)
        self.write = write

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(self.write(inputs))


class Clamped(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        self.weight.data.clamp_(-0.3, 0.3)
        return super().forward(inputs)


class Renormed(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            self.weight.mul_(0.5)
        return super().forward(inputs)


class Counter(nn.Linear):
    def __init__(self, kind: str) -> None:
        super().__init__(4, 3)
        self.kind = kind
        self.register_buffer("n", torch.zeros(()))
        self.plain = torch.zeros(())
        self.number = 0
        self.log: list[float] = []
        self.counts = {"calls": torch.zeros(())}
        self.generator = torch.Generator().manual_seed(4)
        self.numpy = np.random.default_rng(5)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.kind == "buffer":
            self.n += 1
        elif self.kind == "buffer data":
            self.n.data += 1
        elif self.kind == "rebound buffer":
            self.n = self.n + 1
        elif self.kind == "tensor attribute":
            self.plain = self.plain * 0.9 + inputs.detach().mean().to(self.plain)
        elif self.kind == "number":
            self.number += 1
        elif self.kind == "list":
            self.log.append(1.0)
        elif self.kind == "tensor in a dict":
            self.counts["calls"] += 1
        elif self.kind == "new attribute":
            self.extra = getattr(self, "extra", 0) + 1
        elif self.kind == "own generator":
            self.number = float(torch.rand((), generator=self.generator))
        elif self.kind == "numpy generator":
            self.number = float(self.numpy.random())
        known = self.n + self.plain + self.number + len(self.log) + self.counts["calls"] + getattr(self, "extra", 0)
        return super().forward(inputs) * (1 + 0.3 * known)


class Noisy(nn.Linear):
    def __init__(self, kind: str) -> None:
        super().__init__(4, 3)
        self.kind = kind

    def forward(self, inputs: Tensor) -> Tensor:
        out = super().forward(inputs)
        if self.kind == "dropout":
            return F.dropout(out)
        if self.kind == "noise":
            return out + torch.randn_like(out)
        if self.kind == "gumbel":
            return F.gumbel_softmax(out)
        if self.kind == "numpy":
            return out * (1 + np.random.rand())
        return out * (1 + random.random())


COUNTERS = [
    "buffer", "buffer data", "rebound buffer", "tensor attribute", "number", "list", "tensor in a dict",
    "new attribute", "own generator", "numpy generator",
]  # fmt: skip
DRAWS = ["dropout", "noise", "gumbel", "numpy", "python"]

IMPURE: dict[str, Callable[[], nn.Module]] = {
    "input in place": lambda: Normalized(lambda x: x.sub_(0.5).div_(0.25)),
    "input data": lambda: Normalized(lambda x: (x.data.sub_(0.5), x)[1]),
    "input for some batches": lambda: Normalized(lambda x: x.mul_(2) if len(x) < 10 else x),
    "weights clamped": lambda: Clamped(4, 3),
    "weights scaled": lambda: Renormed(4, 3),
    **{f"state: {kind}": (lambda kind=kind: Counter(kind)) for kind in COUNTERS},
    **{f"draws: {kind}": (lambda kind=kind: Noisy(kind)) for kind in DRAWS},
}


def snapshot(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@DTYPES
@pytest.mark.parametrize("kind", IMPURE)
def test_one_value_at_one_point_and_nothing_of_the_callers_moves(kind: str, dtype: torch.dtype) -> None:
    model, data = seeded(IMPURE[kind]), batches(INPUTS, 7, 20)
    held = [*model.parameters(), *model.buffers(), *(t for pair in data for t in pair)]
    before, state = snapshot(*held), torch.get_rng_state()
    numpy_state, python_state = np.random.get_state()[1].tolist(), random.getstate()
    objective = Objective(model, F.cross_entropy, data, dtype=dtype)
    point = objective.theta * 1.1
    mine = point.clone()
    first = float(objective.value(point))
    assert float(objective.value(point)) == first
    objective.value()
    objective.gradient(objective.theta * 2)
    assert float(objective.value(point)) == first
    value, gradient = objective.value_and_gradient(point)
    assert float(value) == pytest.approx(first, rel=1e-6)
    assert torch.equal(objective.gradient(point), gradient)
    assert torch.equal(point, mine)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(*held), strict=True))
    assert torch.equal(state, torch.get_rng_state())
    assert numpy_state == np.random.get_state()[1].tolist() and python_state == random.getstate()
    said = " ".join(objective.cautions)
    assert ("drawn" in said) == kind.startswith("draws")
    assert all(caution in repr(objective) for caution in objective.cautions)


@pytest.mark.parametrize("kind", [k for k in IMPURE if k != "weights clamped" and k != "weights scaled"])
def test_the_gradient_is_the_slope_of_that_value(kind: str) -> None:
    objective = Objective(seeded(IMPURE[kind]), F.cross_entropy, batches(INPUTS, 7, 20), dtype=torch.float64)
    point = objective.theta * 1.1
    step = 1e-6 * torch.eye(objective.size, dtype=torch.float64)
    slope = (objective.values(point + step) - objective.values(point - step)) / 2e-6
    torch.testing.assert_close(objective.gradient(point), slope, rtol=1e-5, atol=1e-8)


def test_different_seeds_are_different_draws() -> None:
    model = seeded(lambda: Noisy("dropout"))
    values = {float(Objective(model, F.cross_entropy, batches(), seed=seed).value()) for seed in range(4)}
    assert len(values) == 4
    several = Objective(model, lambda out, _: out.mean(), [(INPUTS, TARGETS)] * 2)
    assert float(several.value()) != float(Objective(model, lambda out, _: out.mean(), [(INPUTS, TARGETS)]).value())


def test_a_network_that_changes_in_a_place_nobody_can_put_back_is_refused() -> None:
    calls = [0]

    class Secret(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            calls[0] += 1
            return super().forward(inputs) * calls[0]

    with pytest.raises(
        ValueError, match=r"`model` or `loss` is no function of the weights: the same examples gave a loss of"
    ):
        Objective(Secret(4, 3), F.cross_entropy, batches())


class Checkpointed(nn.Sequential):
    def forward(self, inputs: Tensor) -> Tensor:
        return checkpoint(super().forward, inputs, use_reentrant=False)  # type: ignore[no-any-return]


def layers() -> list[nn.Module]:
    return [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)]


def assert_same_function(one: Objective, other: Objective, tolerance: float = 1e-12, products: float = 1e-10) -> None:
    for scale in (1.0, 1.5):
        theta = one.theta * scale
        vector = torch.linspace(-1, 1, one.size, dtype=theta.dtype)
        torch.testing.assert_close(one.value(theta), other.value(theta), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(one.gradient(theta), other.gradient(theta), rtol=tolerance, atol=tolerance)
        for _ in range(3):  # all but the first on a graph that was kept
            torch.testing.assert_close(one.hvp(vector, theta), other.hvp(vector, theta), rtol=products, atol=products)


@READINGS
def test_checkpointing_changes_nothing(batch_norm: str) -> None:
    plain = seeded(lambda: nn.Sequential(*layers()).double())
    objectives = [
        Objective(model, F.cross_entropy, batches(INPUTS, 12), batch_norm=batch_norm)
        for model in (Checkpointed(*copy.deepcopy(plain)), plain)
    ]
    assert_same_function(*objectives)


class InAList(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 3)
        self.regularised = [self.weight]
        self.named = {"bias": self.bias}

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        penalty = sum((w**2).sum() for w in [*self.regularised, *self.named.values()])
        return super().forward(inputs), penalty  # type: ignore[return-value]


def penalized(outputs: Any, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs[0], targets) + 0.1 * outputs[1]


def around(kind: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    model = seeded(lambda: InAList().double() if kind == "list" else nn.Linear(4, 3).double())

    def penalty() -> Tensor:
        return 0.1 * sum((w**2).sum() for w in model.parameters())  # type: ignore[return-value]

    if kind == "list":
        return model, penalized
    if kind == "hook":
        model.register_forward_hook(lambda module, args, out: (out, penalty() / 0.1))
        return model, penalized
    return model, lambda outputs, targets: F.cross_entropy(outputs, targets) + penalty()


@pytest.mark.parametrize("kind", ["list", "loss", "hook"])
def test_weights_that_are_reached_around_the_module_are_those_of_the_point(kind: str) -> None:
    model, loss = around(kind)

    def reference(theta: Tensor) -> Tensor:
        out = INPUTS @ theta[:12].view(3, 4).T + theta[12:]
        return F.cross_entropy(out, TARGETS) + 0.1 * (theta**2).sum()

    objective = Objective(model, loss, batches(INPUTS, 10), batch_norm="running", weights=[10, 22])
    before = snapshot(*model.parameters())
    theta = objective.theta * 3
    vector = torch.linspace(-1, 1, 15, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(reference, theta)
    torch.testing.assert_close(objective.value(theta), reference(theta))
    torch.testing.assert_close(objective.gradient(theta), torch.func.grad(reference)(theta))
    torch.testing.assert_close(objective.hvp(vector, theta), hessian @ vector)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(7)
    torch.testing.assert_close(objective.value(theta), reference(theta))
    with torch.no_grad():
        for parameter, old in zip(model.parameters(), before, strict=True):
            assert torch.equal(parameter, old * 7)


def test_a_view_of_the_weights_outside_of_the_module_is_refused() -> None:
    model = nn.Linear(4, 3).double()
    view = model.weight.data.view(-1)
    with pytest.raises(ValueError, match=r"reaches the memory of the network's own weights by another tensor"):
        Objective(model, lambda out, y: F.cross_entropy(out, y) + (view**2).sum(), batches())


class Active(nn.BatchNorm1d):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).relu()


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(8)), nn.Parameter(torch.rand(8))
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("var", torch.ones(8))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.batch_norm(inputs, self.mean, self.var, self.weight, self.bias).relu()


def hooked() -> nn.Module:
    layer = nn.BatchNorm1d(8)
    layer.register_forward_hook(lambda module, args, out: out.relu())
    return layer


def parametrized() -> nn.Module:
    layer = Active(8)
    nn.utils.parametrizations.weight_norm(layer, "weight", dim=None)  # type: ignore[arg-type]
    return layer


@DTYPES
@pytest.mark.parametrize("room", [2**40, 0], ids=["at once", "layer by layer"])
@pytest.mark.parametrize("batch_norm", ["batch", "reestimate"])
@pytest.mark.parametrize("make", [lambda: Active(8), Functional, hooked, parametrized])
def test_batch_norm_is_known_by_what_it_does(
    make: Callable[[], nn.Module], batch_norm: str, room: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda device: room)
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 8), make(), nn.Linear(8, 3))).to(dtype)
    names = dict(model.named_parameters())
    w = {name.rpartition(".")[2] if name.startswith("1") else name: p.detach() for name, p in names.items()}
    scale = w["weight"] if "weight" in w else w["original0"] * w["original1"] / w["original1"].norm()

    def plain(inputs: Tensor, targets: Tensor) -> Tensor:
        x = inputs.to(dtype) @ w["0.weight"].T + w["0.bias"]
        x = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() * scale + w["bias"]
        return F.cross_entropy(x.relu() @ w["2.weight"].T + w["2.bias"], targets)

    data = batches(INPUTS, 12)
    expected = plain(INPUTS, TARGETS) if batch_norm == "reestimate" else sum(len(y) * plain(x, y) for x, y in data) / 32
    objective = Objective(model, F.cross_entropy, data, batch_norm=batch_norm)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    assert objective.dtype == dtype
    torch.testing.assert_close(float(objective.value()), float(expected), rtol=tolerance, atol=0)
    along = objective.gradient() / objective.gradient().norm()
    step = 1e-2 if dtype == torch.float32 else 1e-6
    ahead, behind = objective.value(objective.theta + step * along), objective.value(objective.theta - step * along)
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float(objective.gradient().norm()), rel=2e-2)


def test_a_network_that_normalises_a_batch_by_itself_has_no_running_reading() -> None:
    class Own(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            return F.batch_norm(super().forward(inputs), None, None, training=True)

    with pytest.raises(ValueError, match="normalises a batch by its own statistics in evaluation mode too"):
        Objective(Own(4, 3), F.cross_entropy, batches())


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(8, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.encoder(self.words(words)).mean(1))


class Distances(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.rand(3, 5))

    def forward(self, words: Tensor) -> Tensor:
        return -torch.cdist(words.to(self.centres), self.centres)


class Bag(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 6, mode=mode, padding_idx=0, sparse=True)
        self.out = nn.Linear(6, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.bag(words).tanh())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm, self.norm = nn.Embedding(9, 4), nn.LSTM(4, 4, batch_first=True), nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.norm(self.lstm(self.words(words))[0][:, -1]))


def weight_normed(normed: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), normed(nn.Linear(20, 6)), nn.Tanh(), normed(nn.Linear(6, 3)))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@READINGS
@pytest.mark.parametrize(
    "make",
    [
        lambda: weight_normed(nn.utils.parametrizations.weight_norm),
        lambda: weight_normed(nn.utils.weight_norm),
        lambda: weight_normed(nn.utils.parametrizations.spectral_norm),
        lambda: weight_normed(nn.utils.parametrizations.orthogonal),
        Attention,
        Distances,
        lambda: Bag("mean"),
        lambda: Bag("sum"),
        Recurrent,
    ],
    ids=["weight_norm", "old weight_norm", "spectral_norm", "orthogonal", "attention", "cdist", "mean", "sum", "lstm"],
)
def test_second_derivatives_are_those_of_the_gradient(make: Callable[[], nn.Module], batch_norm: str) -> None:
    data = [(WORDS[:20], TARGETS[:20]), (WORDS[20:], TARGETS[20:])]
    objective = Objective(seeded(make), F.cross_entropy, data, batch_norm=batch_norm, dtype=torch.float64)
    theta = objective.theta + 0.01 * torch.randn(objective.size, generator=torch.Generator().manual_seed(0)).double()
    for seed in range(2):
        vector = torch.randn(objective.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        slope = (objective.gradient(theta + 1e-5 * vector) - objective.gradient(theta - 1e-5 * vector)) / 2e-5
        product = objective.hvp(vector, theta)
        torch.testing.assert_close(product, slope, rtol=1e-4, atol=1e-5 * float(slope.norm()))


def ctc(outputs: Tensor, targets: Tensor) -> Tensor:
    steps = outputs.view(len(outputs), 3, 5).log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(steps, targets[:, None] + 1, torch.full((len(outputs),), 3), torch.ones(len(outputs)).long())


def test_where_torch_has_no_second_derivative_the_way_out_is_named() -> None:
    model = seeded(lambda: nn.Linear(4, 15).double())
    exact = Objective(model, ctc, batches())
    vector = torch.randn(exact.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"no second derivative of 'ctc_loss_backward' .*hvp='finite_difference'"):
        exact.hvp(vector)
    objective = Objective(model, ctc, batches(), hvp="finite_difference")
    assert np.isnan(objective.hvp_error)
    product = objective.hvp(vector)
    assert 0 <= objective.hvp_error < 1e-4
    ahead, behind = (objective.gradient(objective.theta + step * vector) for step in (1e-4, -1e-4))
    slope = (ahead - behind) / 2e-4
    torch.testing.assert_close(product, slope, rtol=1e-3, atol=1e-6)
    assert any("differences of the gradient" in caution for caution in objective.cautions)


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x * 4).round() / 4

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return outer[0]


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function.apply(self.layer(inputs))  # type: ignore[no-any-return]


@DTYPES
def test_a_gradient_that_is_not_the_slope_is_said_so(dtype: torch.dtype) -> None:
    rounded = Objective(seeded(lambda: Applied(Rounded)).to(dtype), F.cross_entropy, batches())
    assert any("the gradient is not the slope of the loss" in caution for caution in rounded.cautions)
    for make in (lambda: nn.Linear(4, 3), lambda: nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3))):
        assert Objective(seeded(make).to(dtype), F.cross_entropy, batches()).cautions == ()


def test_a_loss_without_a_gradient_has_values_only() -> None:
    objective = Objective(nn.Linear(4, 3), lambda out, y: (out.argmax(1) != y).double().mean(), batches())
    assert 0 <= float(objective.value()) <= 1
    with pytest.raises(ValueError, match="the loss has no gradient"):
        objective.gradient()
    with pytest.raises(ValueError, match="the loss has no gradient"):
        objective.hvp(torch.ones(15))


@READINGS
def test_an_objective_is_its_own_deep_copy_after_any_use_and_is_not_pickled(batch_norm):
    class Holder(nn.Linear):
        objective: Objective

    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), Holder(5, 3))
    objective = Objective(network, F.cross_entropy, batches(INPUTS.float()), batch_norm=batch_norm)
    vector = torch.ones_like(objective.theta)
    value, product = float(objective.value()), objective.hvp(vector)
    twin = copy.deepcopy({"objective": objective})["objective"]
    assert float(twin.value()) == value and torch.equal(twin.hvp(vector), product)
    network[3].objective = objective
    again = Objective(network, F.cross_entropy, batches(INPUTS.float()), batch_norm=batch_norm)
    assert float(again.value()) == value
    with pytest.raises(TypeError, match="cannot be pickled: send network, loss and batches"):
        pickle.dumps(objective)
