"""The objective without BatchNorm's own questions: brute force, laws, and what it must leave alone."""

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.nn import functional as F

from flatmin.objective.objective import Objective

Data = tuple[Tensor, Tensor]


def cut(inputs: Tensor, targets: Tensor, *edges: int) -> list[Data]:
    ends = [0, *edges, len(targets)]
    return [(inputs[a:b], targets[a:b]) for a, b in pairwise(ends)]


def flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def double(model: nn.Module, data: Data, *edges: int, **options: Any) -> Objective:
    return Objective(model, F.cross_entropy, cut(*data, *edges), dtype=torch.float64, **options)


@pytest.fixture
def point(network: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return flat(network) + 0.3 * torch.randn(83, generator=generator, dtype=torch.float64)


def test_value_gradient_and_hessian_products_equal_dense_autograd(
    network: nn.Module, data: Data, by_hand: Callable[..., Tensor], point: Tensor
) -> None:
    objective = double(network, data, 4, 8)

    def reference(theta: Tensor) -> Tensor:
        return by_hand(theta, *data, True)

    vector = torch.linspace(-1, 1, 83, dtype=torch.float64)
    torch.testing.assert_close(objective.value(point), reference(point), rtol=1e-13, atol=0)
    torch.testing.assert_close(objective.gradient(point), torch.func.grad(reference)(point), rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(objective.hvp(vector, point), hessian(reference, point) @ vector, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(objective.value(), reference(flat(network)), rtol=1e-13, atol=0)
    torch.testing.assert_close(
        objective.hvp(vector), hessian(reference, flat(network)) @ vector, rtol=1e-10, atol=1e-12
    )
    torch.testing.assert_close(objective.theta, flat(network), rtol=0, atol=0)


def test_the_gradient_is_the_slope_of_the_value(network: nn.Module, data: Data, point: Tensor) -> None:
    objective = double(network, data, 4, 8)
    step = 1e-5 * torch.eye(83, dtype=torch.float64)
    slope = (objective.values(point + step) - objective.values(point - step)) / 2e-5
    torch.testing.assert_close(objective.gradient(point), slope, rtol=1e-6, atol=1e-8)
    value, gradient = objective.value_and_gradient(point)
    assert value == objective.value(point) and torch.equal(gradient, objective.gradient(point))


def test_values_are_those_of_the_single_points(network: nn.Module, data: Data, point: Tensor) -> None:
    objective = double(network, data, 6)
    points = torch.stack([flat(network), point, 2 * point])
    assert objective.values(points).tolist() == [float(objective.value(p)) for p in points]
    assert objective.values(points[:0]).shape == (0,)


@settings(max_examples=15, deadline=None)
@given(edges=st.sets(st.integers(1, 10)))
def test_the_cut_into_batches_does_not_matter(edges: set[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(11, 3, generator=generator, dtype=torch.float64)
    data = inputs, torch.randint(2, (11,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    whole, parts = double(model, data), double(model, data, *sorted(edges))
    vector = torch.linspace(-1, 1, whole.size, dtype=torch.float64)
    torch.testing.assert_close(parts.value(), whole.value(), rtol=1e-13, atol=0)
    torch.testing.assert_close(parts.gradient(), whole.gradient(), rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(parts.hvp(vector), whole.hvp(vector), rtol=1e-11, atol=1e-14)
    assert parts.evaluate().accuracy == pytest.approx(whole.evaluate().accuracy, abs=1e-15)


def test_evaluate_counts_right_answers_by_examples() -> None:
    scores = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0], [1.0, 0.0]])
    targets = torch.tensor([0, 1, 1, 1, 1])
    model = nn.Linear(2, 2, bias=False)
    nn.init.eye_(model.weight)
    loss, accuracy = Objective(model, F.cross_entropy, cut(scores, targets, 4)).evaluate()
    margins = [(1, True), (1, True), (3, False), (5, True), (1, False)]
    expected = sum(math.log1p(math.exp(-m if right else m)) for m, right in margins) / 5
    assert accuracy == pytest.approx(0.6, abs=1e-15)
    assert loss == pytest.approx(expected, rel=1e-6)


def test_regression_has_a_loss_and_no_accuracy() -> None:
    inputs = torch.arange(10.0).view(5, 2)
    targets = torch.tensor([1.0, 0.0, 2.0, -1.0, 3.0])
    model = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    weight, bias = model[0].weight.detach().double()[0], model[0].bias.detach().double()
    expected = ((inputs.double() @ weight + bias - targets.double()) ** 2).mean()
    loss, accuracy = Objective(model, F.mse_loss, cut(inputs, targets, 3), dtype=torch.float64).evaluate()
    assert loss == pytest.approx(float(expected), rel=1e-12)
    assert math.isnan(accuracy)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"difference": self.factor * left - right}


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_inputs_may_be_several_tensors_and_outputs_anything(kind: type) -> None:
    left, right = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 2.0])

    def inputs(a: int, b: int) -> Any:
        return {"right": right[a:b], "left": left[a:b]} if kind is dict else kind([left[a:b], right[a:b]])

    def loss(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        return (outputs["difference"] - targets["goal"]).mean()

    batches = [(inputs(0, 2), {"goal": torch.zeros(2)}), (inputs(2, 3), {"goal": torch.ones(1)})]
    objective = Objective(TwoInputs(), loss, batches)
    assert float(objective.value()) == pytest.approx((2 + 5 + 6) / 3, rel=1e-6)
    assert objective.gradient().tolist() == pytest.approx([2.0])
    assert objective.hvp(torch.ones(1)).tolist() == [0.0]


def test_tied_weights_count_once_and_gather_both_gradients() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 2, bias=False)
            self.second = nn.Linear(2, 2, bias=False)
            self.second.weight = self.first.weight

        def forward(self, inputs: Tensor) -> Tensor:
            return self.second(self.first(inputs).tanh())

    inputs = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1, 1])

    def reference(theta: Tensor) -> Tensor:
        weight = theta.view(2, 2)
        return F.cross_entropy((inputs @ weight.T).tanh() @ weight.T, targets)

    objective = double(Tied(), (inputs, targets), 1)
    theta = torch.tensor([0.3, -0.2, 0.7, 1.1], dtype=torch.float64)
    assert objective.size == 4
    torch.testing.assert_close(objective.gradient(theta), torch.func.grad(reference)(theta))
    products = torch.stack([objective.hvp(e, theta) for e in torch.eye(4)])
    torch.testing.assert_close(products, hessian(reference, theta))


def test_frozen_weights_stay_where_they_are(network: nn.Module, data: Data, by_hand: Callable[..., Tensor]) -> None:
    full = flat(network)
    network[0].requires_grad_(False)
    network[5].requires_grad_(False)
    moved = torch.ones(83, dtype=torch.bool)
    moved[:20] = False
    moved[60:68] = False
    objective = double(network, data, 4)
    theta = full[moved] + 0.1

    def reference(part: Tensor) -> Tensor:
        return by_hand(full.masked_scatter(moved, part), *data, True)

    assert objective.size == 55
    torch.testing.assert_close(objective.value(theta), reference(theta))
    torch.testing.assert_close(objective.gradient(theta), torch.func.grad(reference)(theta))
    assert objective.shapes == {n: p.shape for n, p in network.named_parameters() if p.requires_grad}


class Lightning(pl.LightningModule):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)


@pytest.mark.parametrize(
    "wrapped",
    [
        Lightning,
        lambda network: torch.compile(network, backend="aot_eager"),
        lambda network: Lightning(torch.compile(network, backend="aot_eager")),
        lambda network: (network.compile(backend="aot_eager"), network)[1],
    ],
    ids=["lightning", "compiled", "compiled inside lightning", "compiled in place"],
)
@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_wrapped_networks_are_the_same_function(
    wrapped: Callable[[nn.Module], nn.Module], batch_norm: str, network: nn.Module, data: Data
) -> None:
    plain = double(network, data, 4, batch_norm=batch_norm)
    vector = torch.ones(83, dtype=torch.float64)
    model = wrapped(copy.deepcopy(network))
    model(data[0])
    for layer in (m for m in model.modules() if hasattr(m, "running_mean")):
        other = network[1] if layer.num_features == 2 else network[5]
        layer.load_state_dict(other.state_dict())
    objective = double(model, data, 4, batch_norm=batch_norm)
    assert [name.split(".")[-2:] for name in objective.shapes] == [name.split(".") for name in plain.shapes]
    assert not any("_orig_mod" in name for name in objective.shapes)
    assert objective.value() == plain.value()
    torch.testing.assert_close(objective.gradient(), plain.gradient())
    torch.testing.assert_close(objective.hvp(vector), plain.hvp(vector))


def snapshot(model: nn.Module) -> list[Any]:
    state = [(name, tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()]
    marks = [
        (p, p.data_ptr(), p._version, p.requires_grad, p.grad, None if p.grad is None else p.grad.clone())
        for p in model.parameters()
    ]
    modes = [(m, m.training) for m in model.modules()]
    return [state, marks, modes, torch.get_rng_state(), torch.is_grad_enabled()]


def assert_same(before: list[Any], after: list[Any]) -> None:
    for (name, old), (other, new) in zip(before[0], after[0], strict=True):
        assert name == other and torch.equal(old, new)
    for old, new in zip(before[1], after[1], strict=True):
        assert old[0] is new[0] and old[1:4] == new[1:4] and old[4] is new[4]
        assert old[5] is None or torch.equal(old[5], new[5])
    assert before[2] == after[2]
    assert torch.equal(before[3], after[3]) and before[4] == after[4]


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_the_model_is_not_touched(network: nn.Module, data: Data, batch_norm: str) -> None:
    network[4].bias.requires_grad_(False)
    network[4].bias.grad = None
    network[2].eval()
    before = snapshot(network)
    objective = double(network, data, 4, batch_norm=batch_norm)
    theta = objective.theta + 1
    objective.evaluate(theta)
    objective.values(torch.stack([theta]))
    objective.hvp(objective.gradient(theta), theta)
    objective.theta.zero_()
    assert_same(before, snapshot(network))


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_an_error_of_the_loss_passes_and_leaves_no_trace(network: nn.Module, data: Data, batch_norm: str) -> None:
    class OwnError(Exception):
        pass

    failing = False

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if failing and len(targets) == 7:
            raise OwnError("mine")
        return F.cross_entropy(outputs, targets)

    objective = Objective(network, loss, cut(*data, 4), dtype=torch.float64, batch_norm=batch_norm)
    vector = torch.ones(objective.size)
    expected = objective.value(), objective.gradient(), objective.hvp(vector)
    before = snapshot(network)
    failing = True
    for call in (objective.value, objective.gradient, lambda: objective.hvp(vector)):
        with pytest.raises(OwnError, match=r"^mine$"):
            call()
    assert_same(before, snapshot(network))
    failing = False
    after = objective.value(), objective.gradient(), objective.hvp(vector)
    assert all(torch.equal(a, b) for a, b in zip(expected, after, strict=True))


def test_a_loss_that_is_nan_passes_as_nan(network: nn.Module, data: Data) -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) * (math.nan if len(targets) == 7 else 1.0)

    objective = Objective(network, loss, cut(*data, 4))
    assert math.isnan(objective.value()) and math.isnan(objective.evaluate().loss)
    assert objective.gradient().isnan().all()
    far = objective.theta + math.inf
    assert not objective.value(far).isfinite()


def test_the_network_runs_in_the_type_asked_for(network: nn.Module, data: Data) -> None:
    seen: list[torch.dtype] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(outputs.dtype)
        return F.cross_entropy(outputs, targets)

    single = Objective(network, loss, cut(*data, 4), dtype=torch.float32)
    double_ = Objective(network.float(), loss, cut(*data, 4), dtype=torch.float64)
    seen.clear()
    assert single.value().dtype == double_.value().dtype == torch.float64
    assert single.gradient().dtype == torch.float32 and double_.gradient().dtype == torch.float64
    assert set(seen[:2]) == {torch.float32} and seen[2] == torch.float64
    torch.testing.assert_close(single.gradient().double(), double_.gradient(), rtol=1e-4, atol=1e-6)


def test_batches_are_read_once_and_refused_if_they_can_only_be_read_once(network: nn.Module, data: Data) -> None:
    class Reader:
        reads = 0

        def __iter__(self) -> Iterator[Data]:
            self.reads += 1
            return iter(cut(*data, 4))

    reader = Reader()
    objective = Objective(network, F.cross_entropy, reader)
    objective.value()
    objective.gradient()
    assert reader.reads == 1
    with pytest.raises(TypeError, match=r"`batches` must be re-iterable, got a generator; pass list\(batches\)"):
        Objective(network, F.cross_entropy, (pair for pair in cut(*data)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": F.relu}, TypeError, "`model` must be a torch.nn.Module, got function"),
        ({"model": nn.Flatten()}, ValueError, "`model` has no trainable parameter"),
        ({"loss": "mse"}, TypeError, r"`loss` must be callable as loss\(outputs, targets\), got str"),
        ({"batches": []}, ValueError, "`batches` must hold at least one example, got none"),
        ({"batches": 3}, TypeError, "`batches` must be iterable, got int"),
        ({"batches": [3]}, TypeError, r"`batches` must hold \(inputs, targets\) pairs, .* got int\. .* Objective\.of"),
        ({"batches": [(1.0, 2.0)]}, TypeError, "cannot count the examples of a batch"),
        (
            {"batch_norm": "eval"},
            ValueError,
            "`batch_norm` must be one of 'running', 'batch', 'reestimate', got 'eval'",
        ),
        ({"dtype": torch.float16}, ValueError, "`dtype` must be torch.float32 or torch.float64, got torch.float16"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    good = {"model": nn.Linear(1, 1), "loss": F.mse_loss, "batches": [(torch.ones(2, 1), torch.ones(2, 1))]}
    with pytest.raises(error, match=message):
        Objective(**good | change)


def test_bad_points_are_named(network: nn.Module, data: Data) -> None:
    objective = double(network, data)
    with pytest.raises(ValueError, match=r"`theta` must have shape \(83,\), got \(80,\)"):
        objective.value(torch.ones(80))
    with pytest.raises(ValueError, match=r"`vector` must have shape \(83,\), got \(1, 83\)"):
        objective.hvp(torch.ones(1, 83))
    with pytest.raises(ValueError, match=r"`thetas` must have shape \(k, 83\), got \(83,\)"):
        objective.values(torch.ones(83))
    with pytest.raises(ValueError, match=r"scalar tensor, got a tensor of shape \(11,\)"):
        Objective(network, lambda o, t: F.cross_entropy(o, t, reduction="none"), [data]).value()
    with pytest.raises(ValueError, match="scalar tensor, got float"):
        Objective(network, lambda o, t: 1.0, [data]).value()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_derivatives_do_not_depend_on_the_callers_grad_mode(
    network: nn.Module, data: Data, batch_norm: str, mode: Callable[[], Any]
) -> None:
    expected = double(network, data, 4, batch_norm=batch_norm)
    vector = torch.ones(83)
    with mode():
        images = data[0] + 0
        objective = double(network, (images, data[1]), 4, batch_norm=batch_norm)
        theta = objective.theta + 0
        found = objective.value(theta), objective.gradient(theta), objective.hvp(vector + 0, theta)
    for one, other in zip(found, (expected.value(), expected.gradient(), expected.hvp(vector)), strict=True):
        assert torch.equal(one, other)


def test_module_at_is_the_network_with_other_weights(network: nn.Module, data: Data, point: Tensor) -> None:
    before = snapshot(network)
    objective = double(network, data, 4)
    module = objective.module_at(point)
    assert not module.training and torch.equal(flat(module), point)
    torch.testing.assert_close(F.cross_entropy(module(data[0]), data[1]), objective.value(point))
    assert_same(before, snapshot(network))
    assert torch.equal(objective.theta, flat(network))


def test_unflatten_gives_views_by_name(network: nn.Module, data: Data) -> None:
    objective = double(network, data)
    theta = objective.theta
    parts = objective.unflatten(theta)
    assert list(parts) == [name for name, _ in network.named_parameters()]
    assert all(torch.equal(parts[name], p) for name, p in network.named_parameters())
    parts["8.bias"].zero_()
    assert torch.equal(theta[-3:], torch.zeros(3))


def test_images_lie_with_their_channels_last_and_keep_their_values():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 2))
    images, labels = torch.rand(5, 3, 6, 6), torch.tensor([0, 1, 1, 0, 1])
    objective = Objective(model, F.cross_entropy, [(images, labels)])
    kept = objective.batches[0][0]
    assert kept.is_contiguous(memory_format=torch.channels_last) and images.is_contiguous()
    assert torch.equal(kept, images)
    assert float(objective.value()) == pytest.approx(float(F.cross_entropy(model(images), labels).detach()), rel=1e-6)


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_an_objective_moves_to_another_moment_of_the_same_network(
    network: nn.Module, data: Data, batch_norm: str
) -> None:
    objective = double(network, data, 4, batch_norm=batch_norm)
    start = objective.value()
    later = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in later.parameters():
            parameter.mul_(1.3)
        later[1].running_mean.add_(0.4)
        later[5].running_var.mul_(2)
    moved, anew = objective.at(later), double(later, data, 4, batch_norm=batch_norm)
    assert moved.value() == anew.value() != start
    assert torch.equal(moved.gradient(), anew.gradient()) and torch.equal(moved.theta, anew.theta)
    assert objective.value() == start and objective.at(network).value() == start
    with pytest.raises(ValueError, match="`model` must have the parameters and buffers of the network"):
        objective.at(nn.Linear(2, 2))
