"""What an objective finds out about a network by trying it: numbers that would be wrong are said to be, or refused."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from flatmin.networks import C1, F1
from flatmin.objective.findings import EVERY
from flatmin.objective.objective import Objective

INPUTS = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(3, (32,), generator=torch.Generator().manual_seed(1))
WORDS = torch.randint(9, (32, 5), generator=torch.Generator().manual_seed(2))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def objective(make: Callable[[], nn.Module], loss: Any = F.cross_entropy, **options: Any) -> Objective:
    return Objective(seeded(make), loss, [(INPUTS, TARGETS)], **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (plain, (6,)),
        (lambda: nn.Sequential(nn.Linear(6, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 3)), (6,)),
        (lambda: nn.Sequential(nn.Linear(6, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Linear(50, 3)), (6,)),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)),
            (1, 8, 8),
        ),
        (lambda: F1(), (1, 28, 28)),
        (lambda: C1(variant="paper"), (3, 32, 32)),
    ],
    ids=["tanh", "relu", "batch norm", "pooling", "F1", "C1"],
)
def test_an_honest_network_is_not_doubted(make: Callable[[], nn.Module], shape: Any, dtype: torch.dtype) -> None:
    inputs = torch.randn(20, *shape, generator=torch.Generator().manual_seed(0))
    for reading in ("running", "batch"):
        model = seeded(make).to(dtype)
        found = Objective(model, F.cross_entropy, [(inputs, TARGETS[:20])], batch_norm=reading)
        assert found.cautions == ()
        found.hvp(torch.randn(found.size, generator=torch.Generator().manual_seed(0)))


class Stopped(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.last, self.how = nn.Linear(6, 8), nn.Linear(8, 3), how

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs).tanh()
        if self.how == "detach":
            hidden = hidden.detach()
        elif self.how == "no_grad":
            with torch.no_grad():
                hidden = self.first(inputs).tanh()
        elif self.how == "numpy":
            hidden = torch.from_numpy(hidden.detach().numpy())
        elif self.how == "norm":
            hidden = hidden * hidden.norm().item()
        elif self.how == "reentrant":
            hidden = checkpoint(lambda z: self.first(z).tanh(), inputs, use_reentrant=True)
        return self.last(hidden)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:.*requires_grad.*")
@pytest.mark.parametrize("how", ["detach", "no_grad", "numpy", "norm", "reentrant"])
def test_weights_that_get_no_gradient_are_noticed(how: str) -> None:
    assert any("the gradient is not the slope" in said for said in objective(lambda: Stopped(how)).cautions)


def test_a_loss_that_goes_in_steps_is_noticed() -> None:
    class Rounding(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            weight = self.weight + ((self.weight * 8).round() / 8 - self.weight).detach()
            bias = self.bias + ((self.bias * 8).round() / 8 - self.bias).detach()
            return F.linear(inputs, weight, bias)

    assert any("the gradient is not the slope" in said for said in objective(lambda: Rounding(6, 3)).cautions)


class ByHand(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        mean, var = (x.mean(0), x.var(0, unbiased=False)) if self.training else (self.running_mean, self.running_var)
        return (x - mean) / (var + self.eps).sqrt()  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("batch_norm", ["batch", "reestimate"])
@pytest.mark.parametrize("layer", [ByHand(8), nn.InstanceNorm1d(8, track_running_stats=True)])
def test_averages_that_a_layer_reads_by_itself_cannot_be_replaced(layer: nn.Module, batch_norm: str) -> None:
    def make() -> nn.Module:
        wide = nn.Unflatten(1, (8, 1)) if isinstance(layer, nn.InstanceNorm1d) else nn.Identity()
        return nn.Sequential(nn.Linear(6, 8), wide, layer, nn.Flatten(), nn.Linear(8, 3))

    assert objective(make).value().isfinite()
    with pytest.raises(ValueError, match="layer '2' keeps running averages and reads them by itself"):
        objective(make, batch_norm=batch_norm)


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return outer[0] * 3 * ctx.saved_tensors[0].detach() ** 2


class Applied(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        return Cubed.apply(super().forward(inputs))  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_second_derivative_that_leaves_a_part_out_is_refused(dtype: torch.dtype) -> None:
    found = objective(lambda: Applied(6, 3), dtype=dtype)
    vector = torch.randn(found.size, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match="the second derivative of this network is wrong"):
        found.hvp(vector)
    differences = objective(lambda: Applied(6, 3), dtype=dtype, hvp="finite_difference")
    assert differences.hvp(vector).isfinite().all() and differences.hvp_error < 1e-2


def test_a_loss_of_another_network_is_refused() -> None:
    model = seeded(plain)
    averaged, twin = AveragedModel(model), copy.deepcopy(model)
    for other in (averaged, twin):
        with pytest.raises(ValueError, match="moving the weights does not move the loss"):
            Objective.of(model, lambda m, batch, o=other: F.cross_entropy(o(batch[0]), batch[1]), [(INPUTS, TARGETS)])
    idle = Objective(seeded(Spare), F.cross_entropy, [(INPUTS, TARGETS)], select=["spare"])
    assert any("does not move the loss" in caution for caution in idle.cautions)


class Spare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spare, self.used = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.used(inputs)  # type: ignore[no-any-return]


def test_parameters_that_take_no_part_are_named() -> None:
    assert objective(Spare).cautions == ("2 of 4 parameters take no part in the loss: 'spare.weight', 'spare.bias'",)


class Shared(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        if how == "buffer":
            self.register_buffer("kept", self.layer.weight.detach())
        elif how == "list":
            self.kept = list(self.layer.weight.detach())
        else:
            self.kept = self.layer.weight.data if how == "data" else self.layer.weight.detach().t()
        self.how = how

    def forward(self, inputs: Tensor) -> Tensor:
        kept = torch.stack(self.kept) if self.how == "list" else self.kept
        return self.layer(inputs) + inputs @ (kept if self.how == "transposed" else kept.t())  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("how", ["data", "transposed", "list", "buffer"])
def test_views_of_the_weights_move_with_them(how: str, dtype: torch.dtype) -> None:
    model = seeded(lambda: Shared(how))
    found = Objective(model, F.cross_entropy, [(INPUTS, TARGETS)], dtype=dtype)
    theta = found.theta + 0.3
    with torch.no_grad():
        value = float(found.value(theta))
        for parameter in model.parameters():
            parameter.add_(0.3)
        assert value == pytest.approx(float(F.cross_entropy(model(INPUTS), TARGETS)), rel=1e-6)


def test_hooks_and_functions_that_hold_the_module_hold_its_copy() -> None:
    class Hooked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.feat = nn.Linear(6, 8), nn.Linear(8, 3), {}
            self.first.register_forward_hook(lambda module, args, out: self.feat.__setitem__("h", out))
            self.scale = lambda x: x * self.first.bias.sum()

        def forward(self, inputs: Tensor) -> Tensor:
            self.first(inputs)
            return self.scale(self.last(self.feat["h"].tanh()))  # type: ignore[no-any-return]

    model = seeded(Hooked)
    model(INPUTS)
    kept = model.feat["h"]
    found = Objective(model, F.cross_entropy, [(INPUTS, TARGETS)])
    theta = found.theta + 0.2
    value = float(found.value(theta))
    assert model.feat["h"] is kept
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2)
        assert value == pytest.approx(float(F.cross_entropy(model(INPUTS), TARGETS)), rel=1e-6)


def test_a_copy_that_is_none_is_refused() -> None:
    class Single(nn.Linear):
        def __deepcopy__(self, memo: Any) -> "Single":
            return self

    with pytest.raises(TypeError, match="its deepcopy shares weights with it"):
        Objective(Single(6, 3), F.cross_entropy, [(INPUTS, TARGETS)])


def test_adapters_that_merge_in_evaluation_mode_stay_adapters() -> None:
    class Merging(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.a, self.b = nn.Linear(6, 3), nn.Parameter(torch.rand(2, 6)), nn.Parameter(torch.rand(3, 2))
            self.merged = False

        def train(self, mode: bool = True) -> "Merging":
            if self.merged == mode:
                self.layer.weight.data += (-1 if mode else 1) * (self.b @ self.a).detach()
                self.merged = not mode
            return super().train(mode)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.layer(inputs) + (0 if self.merged else inputs @ self.a.t() @ self.b.t())  # type: ignore[no-any-return]

    found = objective(Merging, select=["a", "b"])
    assert found.cautions == () and float(found.value(found.theta * 2)) != float(found.value())


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Embedding(9, 4, padding_idx=2), nn.Flatten(), nn.Linear(20, 3)),
        lambda: nn.Sequential(nn.Embedding(9, 4, scale_grad_by_freq=True), nn.Flatten(), nn.Linear(20, 3)),
        lambda: nn.Sequential(nn.EmbeddingBag(9, 4, mode="sum", scale_grad_by_freq=True), nn.Linear(4, 3)),
    ],
)
def test_embeddings_have_the_gradient_of_the_loss(make: Callable[[], nn.Module]) -> None:
    found = Objective(seeded(make), F.cross_entropy, [(WORDS, TARGETS)], dtype=torch.float64)
    assert found.cautions == ()
    vector = torch.randn(found.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ahead, behind = found.value(found.theta + 1e-5 * vector), found.value(found.theta - 1e-5 * vector)
    assert float(found.gradient() @ vector) == pytest.approx(float(ahead - behind) / 2e-5, rel=1e-5)


def test_a_network_that_changes_late_is_found_out() -> None:
    calls = [0]

    class Late(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            calls[0] += 1
            return super().forward(inputs) * (1.0 if calls[0] < 100 else 1.2)

    found = objective(lambda: Late(6, 3))
    with pytest.raises(RuntimeError, match=r"no function of the weights: after \d+ evaluations the same examples have"):
        for _ in range(100 + EVERY):
            found.value()


def test_batches_that_change_hands_or_contents_do_not_change_the_function() -> None:
    held = np.zeros((8, 6), dtype=np.float32)

    class Refilled:
        def __iter__(self) -> Any:
            for k in range(4):
                held[:] = INPUTS[8 * k : 8 * k + 8]
                yield torch.from_numpy(held), TARGETS[8 * k : 8 * k + 8]

    model = seeded(plain)
    expected = float(F.cross_entropy(model(INPUTS), TARGETS).detach())
    found = Objective(model, F.cross_entropy, Refilled())
    held[:] = 7
    assert float(found.value()) == pytest.approx(expected, rel=1e-6)
    arrays = Objective(model, F.cross_entropy, [(INPUTS.numpy(), TARGETS.numpy())])
    assert float(arrays.value()) == pytest.approx(expected, rel=1e-6)
    mine = INPUTS.clone()
    written = Objective(model, F.cross_entropy, [(mine, TARGETS)])
    mine.zero_()
    with pytest.raises(RuntimeError, match="`batches` were written into after the objective was made"):
        written.value()


def test_threads_do_not_meet_on_one_objective() -> None:
    found = objective(plain)
    points = [found.theta * scale for scale in (1.0, 1.5, 2.0, 3.0)]
    expected = [float(found.value(point)) for point in points]
    wrong: list[float] = []

    def work(index: int) -> None:
        wrong.extend(v for _ in range(30) if (v := float(found.value(points[index]))) != expected[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_surrounds_an_objective_stays_as_it_is() -> None:
    class Setter(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            torch.set_default_dtype(torch.float64)
            self.weight.requires_grad_(False)
            return super().forward(inputs)

    state = torch.get_rng_state()
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=5)
    found = Objective(seeded(lambda: Setter(6, 3)), F.cross_entropy, loader)
    found.gradient()
    assert torch.equal(state, torch.get_rng_state()) and torch.get_default_dtype() == torch.float32
    shuffled = Objective(seeded(plain), F.cross_entropy, DataLoader(TensorDataset(INPUTS, TARGETS), 5, shuffle=True))
    assert any("shuffles" in caution for caution in shuffled.cautions)


@pytest.mark.parametrize(
    ("loss", "batches", "error", "message"),
    [
        (
            nn.CrossEntropyLoss,
            [(INPUTS, TARGETS)],
            TypeError,
            r"`loss` must be .* got the class; write CrossEntropyLoss\(\)",
        ),
        (F.cross_entropy, (INPUTS, TARGETS), ValueError, r"got the two tensors of one; write \[\(inputs, targets\)\]"),
        (F.cross_entropy, [INPUTS, TARGETS], ValueError, r"got the two tensors of one; write \[\(inputs, targets\)\]"),
    ],
)
def test_common_slips_are_told(loss: Any, batches: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Objective(seeded(plain), loss, batches)


def test_outputs_that_torchs_losses_cannot_take_are_told() -> None:
    class Two(nn.Linear):
        def forward(self, inputs: Tensor) -> Any:
            return super().forward(inputs), inputs

    with pytest.raises(TypeError, match="`loss` takes the tensor that the network gives, and `model` gives a tuple"):
        objective(lambda: Two(6, 3))


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_outputs_and_targets_that_torch_would_spread_are_noticed() -> None:
    found = Objective(seeded(lambda: nn.Linear(6, 1)), F.l1_loss, [(INPUTS, INPUTS[:, 0])])
    assert any("the loss compares each with each" in caution for caution in found.cautions)


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
@pytest.mark.parametrize("how", ["rebound", "in a dict", "buffer", "none", "clamped", "spectral norm"])
def test_what_a_forward_keeps_of_a_weight_does_not_hold_the_weight_back(how: str) -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)
            self.kept: Any = {"w": self.layer.weight.detach()} if how == "in a dict" else self.layer.weight.detach()
            if how == "buffer":
                self.register_buffer("held", self.layer.weight.detach())

        def forward(self, inputs: Tensor) -> Tensor:
            if how == "rebound":
                self.kept = self.layer.weight.detach()
            elif how == "in a dict":
                self.kept["w"] = self.layer.weight.detach()
            elif how == "buffer":
                self.held = self.layer.weight.detach()
            elif how == "none":
                self.kept = None
            elif how == "clamped":
                self.kept.clamp_(-0.3, 0.3)
            return self.layer(inputs)  # type: ignore[no-any-return]

    def make() -> nn.Module:
        if how != "spectral norm":
            return Keeping()
        normed = nn.utils.spectral_norm
        return nn.Sequential(normed(nn.Linear(6, 8)), nn.LeakyReLU(0.2), normed(nn.Linear(8, 3)))

    model = seeded(make)
    found = Objective(model, F.cross_entropy, [(INPUTS, TARGETS)])
    moved = seeded(make)
    moved.eval()
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(0.3)
        assert float(found.value(found.theta + 0.3)) == pytest.approx(
            float(F.cross_entropy(moved(INPUTS), TARGETS)), rel=1e-5
        )


def test_another_moment_has_its_frozen_weights_and_buffers_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
            self.register_buffer("scale", torch.ones(()))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.last(self.norm(self.first(inputs)).tanh()) * self.scale  # type: ignore[no-any-return]

    model, later = seeded(Scaled).eval(), seeded(Scaled).eval()
    with torch.no_grad():
        for parameter in later.parameters():
            parameter.mul_(1.4)
        later.scale.fill_(3.0)
        later.norm.running_mean.add_(0.5)
    for select in (None, ["first"], ["last"]):
        found = Objective(model, F.cross_entropy, [(INPUTS, TARGETS)], select=select)
        start, moved = float(found.value()), found.at(later)
        expected = float(F.cross_entropy(later(INPUTS), TARGETS).detach())
        assert float(moved.value()) == pytest.approx(expected, rel=1e-6)
        assert float(moved.with_statistics(moved.statistics).value()) == pytest.approx(expected, rel=1e-6)
        assert float(found.value()) == start


def test_a_restriction_stays_one() -> None:
    part = objective(plain).restricted(["0", "2.bias"])
    assert not hasattr(part, "at") and not hasattr(part, "with_statistics")
    assert list(part.restricted(["2"]).shapes) == ["2.bias"]
    assert "59 of the weights (0.weight, 0.bias, 2.bias)" in repr(part)


def test_what_is_asked_of_batches_gets_copies_of_them() -> None:
    inputs, targets = INPUTS.clone(), TARGETS.clone()

    def weight(x: Tensor, y: Tensor) -> float:
        x.zero_(), y.zero_()
        return 1.0

    found = Objective(
        seeded(plain),
        F.cross_entropy,
        [(inputs, targets)],
        metrics={"wipe": lambda out, y: y.zero_().double().mean()},
        weights=weight,
    )
    found.evaluate()
    found.each(lambda out, y: y.zero_().double() + out[:, 0])
    found.value()
    assert torch.equal(inputs, INPUTS) and torch.equal(targets, TARGETS)


def test_kinks_are_no_reason_to_doubt() -> None:
    blank = torch.cat([INPUTS[:16], torch.zeros(16, 6)])
    for seed in range(12):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3))
        for layer in model[::2]:
            nn.init.zeros_(layer.bias)
        found = Objective(model, F.cross_entropy, [(blank, TARGETS)])
        assert found.cautions == ()
        found.hvp(torch.randn(found.size))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert Objective(model, F.cross_entropy, [(blank, TARGETS)]).hvp(torch.randn(found.size)).isfinite().all()
