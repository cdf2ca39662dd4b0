"""The three readings of BatchNorm against a hand-written network, and the laws that tell them apart."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.nn import functional as F

from flatmin.objective import memory
from flatmin.objective.batch_norm import Moments, moments, pooled
from flatmin.objective.objective import Objective

Data = tuple[Tensor, Tensor]
Loss = Callable[..., Tensor]


def objective(model: nn.Module, data: Data, batch_norm: str, *edges: int) -> Objective:
    ends = [0, *edges, len(data[1])]
    batches = [(data[0][a:b], data[1][a:b]) for a, b in pairwise(ends)]
    return Objective(model, F.cross_entropy, batches, batch_norm=batch_norm, dtype=torch.float64)


@pytest.fixture(params=[math.inf, 0], ids=["at once", "layer by layer"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Bytes that are free: all the data in one pass, or a pass for each layer and products by differences."""
    monkeypatch.setattr(memory, "free", lambda device: request.param)
    return float(request.param)


def assert_same_function(
    found: Objective, reference: Callable[[Tensor], Tensor], theta: Tensor, products_rtol: float = 1e-8
) -> None:
    leaf = theta.clone().requires_grad_()
    value = reference(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    vectors = torch.randn(4, len(theta), generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    products = torch.stack([found.hvp(vector, theta) for vector in vectors])
    torch.testing.assert_close(found.value(theta), value.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.value_and_gradient(theta)[0], value.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.gradient(theta), gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(products, vectors @ hessian(reference, theta), rtol=products_rtol, atol=products_rtol)


@pytest.fixture
def theta(network: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    start = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    return start + 0.2 * torch.randn(83, generator=generator, dtype=torch.float64)


def test_running_reads_the_averages_of_training(network: nn.Module, data: Data, by_hand: Loss, theta: Tensor) -> None:
    assert_same_function(objective(network, data, "running", 4, 9), lambda t: by_hand(t, *data, True), theta)


def test_batch_normalises_each_batch_by_itself(network: nn.Module, data: Data, by_hand: Loss, theta: Tensor) -> None:
    parts = [(data[0][a:b], data[1][a:b]) for a, b in ((0, 4), (4, 9), (9, 11))]

    def reference(t: Tensor) -> Tensor:
        return sum(len(y) * by_hand(t, x, y, False) for x, y in parts) / 11

    assert_same_function(objective(network, data, "batch", 4, 9), reference, theta)


@pytest.mark.parametrize("edges", [(), (4, 9), (1,), tuple(range(1, 11))], ids=["whole", "uneven", "one first", "ones"])
def test_reestimate_is_the_full_batch_however_it_is_cut(
    network: nn.Module, data: Data, by_hand: Loss, theta: Tensor, edges: tuple[int, ...], room: float
) -> None:
    found = objective(network, data, "reestimate", *edges)
    assert any("a pass over the data for each layer" in caution for caution in found.cautions) == (not room)
    assert_same_function(found, lambda t: by_hand(t, *data, False), theta, 1e-8 if room else 1e-6)


def test_readings_differ_on_the_same_network(network: nn.Module, data: Data) -> None:
    values = {float(objective(network, data, name, 4, 9).value()) for name in ("running", "batch", "reestimate")}
    assert len(values) == 3
    for name in ("batch", "reestimate"):
        other = copy.deepcopy(network)
        other[1].running_mean.fill_(100)
        assert objective(other, data, name, 4).value() == objective(network, data, name, 4).value()


def test_scale_before_batch_norm_does_not_matter_to_its_own_statistics(network: nn.Module, data: Data) -> None:
    network[1].eps = network[5].eps = 1e-14
    scaled = copy.deepcopy(network)
    with torch.no_grad():
        scaled[0].weight.mul_(7)
        scaled[0].bias.mul_(7)
    for name in ("batch", "reestimate"):
        torch.testing.assert_close(objective(scaled, data, name, 4).value(), objective(network, data, name, 4).value())
    assert abs(objective(scaled, data, "running").value() - objective(network, data, "running").value()) > 1e-3


def test_reestimate_where_no_weight_comes_before_the_first_layer(room: float) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(2, (9,), generator=generator)
    model = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2), nn.BatchNorm1d(2)).double()

    def reference(t: Tensor) -> Tensor:
        x = (inputs - inputs.mean(0)) / (inputs.var(0, correction=0) + 1e-5).sqrt()
        x = x @ t[:6].view(2, 3).T + t[6:8]
        x = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() * t[8:10] + t[10:]
        return F.cross_entropy(x, targets)

    theta = torch.linspace(-1, 1, 12, dtype=torch.float64)
    assert_same_function(objective(model, (inputs, targets), "reestimate", 2), reference, theta, 1e-8 if room else 1e-6)


def test_reestimate_through_parallel_branches(room: float) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.BatchNorm1d(2)
            self.first = nn.BatchNorm1d(2)
            self.unused = nn.BatchNorm1d(2)
            self.layer = nn.Linear(2, 2, bias=False)

        def forward(self, inputs: Tensor) -> Tensor:
            hidden = self.layer(inputs)
            return self.first(hidden).tanh() + self.second(hidden**2) * inputs

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    targets = torch.randint(2, (7,), generator=generator)

    def normalised(x: Tensor) -> Tensor:
        return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()

    def reference(t: Tensor) -> Tensor:
        hidden = inputs @ t[12:].view(2, 2).T
        left = (normalised(hidden) * t[4:6] + t[6:8]).tanh()
        return F.cross_entropy(left + (normalised(hidden**2) * t[:2] + t[2:4]) * inputs, targets)

    theta = torch.linspace(-1, 2, 16, dtype=torch.float64)
    found = objective(Branches().double(), (inputs, targets), "reestimate", 3)
    assert_same_function(found, reference, theta, 1e-8 if room else 1e-6)


def test_a_network_that_is_one_batch_norm_layer() -> None:
    data = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 0.0]]).double(), torch.tensor([0, 1, 1])
    values = [objective(nn.BatchNorm1d(2).double(), data, name).value() for name in ("batch", "reestimate")]
    x = (data[0] - data[0].mean(0)) / (data[0].var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(torch.stack(values), F.cross_entropy(x, data[1]).expand(2))


def test_float32_networks_reestimate_close_to_float64(network: nn.Module, data: Data) -> None:
    exact = objective(network, data, "reestimate", 4)
    single = Objective(network, F.cross_entropy, exact.batches, batch_norm="reestimate", dtype=torch.float32)
    vector = torch.ones(83)
    torch.testing.assert_close(single.value(), exact.value(), rtol=1e-5, atol=0)
    torch.testing.assert_close(single.gradient().double(), exact.gradient(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(single.hvp(vector).double(), exact.hvp(vector), rtol=1e-3, atol=1e-4)


def test_moments_of_parts_pool_to_those_of_the_whole() -> None:
    inputs = torch.randn(10, 3, 2, 2, generator=torch.Generator().manual_seed(0)) + 5
    found = pooled([moments(inputs[:1]), moments(inputs[1:7]), moments(inputs[7:])])
    channels = inputs.double().transpose(0, 1).reshape(3, -1)
    expected = Moments(channels.mean(1), channels.var(1, correction=0), 40)
    assert found.size == 40
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.variance, expected.variance, rtol=1e-5, atol=0)


def test_what_batch_statistics_cannot_do_is_said(network: nn.Module, data: Data) -> None:
    with pytest.raises(ValueError, match="need more than one value per channel, got a batch of one example"):
        objective(network, data, "batch", 10).value()

    class Sometimes(nn.Sequential):
        def forward(self, inputs: Tensor) -> Tensor:
            hidden = self[0](inputs)
            return self[1](hidden) if len(inputs) == 4 else hidden

    flat = (data[0].flatten(1), data[1])
    with pytest.raises(RuntimeError, match="was used for one batch and not for another"):
        objective(Sometimes(nn.Linear(16, 3), nn.BatchNorm1d(3)).double(), flat, "reestimate", 4).value()


def test_a_layer_that_is_used_twice_is_normalised_twice(data: Data, room: float) -> None:
    shared = nn.BatchNorm1d(4).double()
    twice = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), shared, nn.Tanh(), shared).double()
    whole, parts = objective(twice, data, "batch"), objective(twice, data, "reestimate", 4)
    torch.testing.assert_close(parts.value(), whole.value(), rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.gradient(), whole.gradient(), rtol=1e-9, atol=1e-12)


def test_running_needs_running_averages(data: Data) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(ValueError, match=r"layer '2' keeps none \(track_running_stats=False\); use 'batch' or"):
        objective(model, data, "running")
    assert objective(model, data, "batch").value().isfinite()


def test_statistics_can_be_read_and_replaced(network: nn.Module, data: Data, by_hand: Loss) -> None:
    first = objective(network, data, "running", 4)
    layers = network[1], network[5]
    expected = torch.cat([t for layer in layers for t in (layer.running_mean, layer.running_var)])
    assert torch.equal(first.statistics, expected)

    other = copy.deepcopy(network)
    other[1].running_mean.add_(1)
    other[5].running_var.mul_(2)
    second = objective(other, data, "running", 4)
    moved = first.with_statistics(second.statistics.requires_grad_())
    assert moved.value() == second.value() != first.value()
    assert torch.equal(moved.gradient(), second.gradient())
    assert torch.equal(first.statistics, expected)
    with pytest.raises(ValueError, match=r"`statistics` must have shape \(12,\), got \(11,\)"):
        first.with_statistics(expected[:-1])

    for name in ("batch", "reestimate"):
        without = objective(network, data, name, 4)
        assert without.statistics.shape == (0,)
        assert without.with_statistics(without.statistics).value() == without.value()


def test_module_at_keeps_the_reading(network: nn.Module, data: Data) -> None:
    batchwise = objective(network, data, "batch")
    found = F.cross_entropy(batchwise.module_at()(data[0]), data[1])
    torch.testing.assert_close(found, batchwise.value())
    with pytest.raises(ValueError, match="batch_norm='reestimate' has no module of its own"):
        objective(network, data, "reestimate").module_at()


def test_a_test_loss_normalised_by_the_training_data_is_that_of_torchs_own_averages_over_them():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)
    ).double()
    train, test = (
        (torch.randn(30, 3).double(), torch.arange(30) % 4),
        (torch.randn(9, 3).double() + 1, torch.arange(9) % 4),
    )
    loss = torch.nn.functional.cross_entropy
    cuts = [(train[0][:11], train[1][:11]), (train[0][11:], train[1][11:])]
    on_train = Objective(model, loss, cuts, batch_norm="reestimate")
    found = Objective(model, loss, [test], batch_norm="reestimate").normalized_by(on_train)
    theta = on_train.theta + 0.3 * torch.randn(on_train.size).double()
    twin = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(theta, twin.parameters())
    for layer in (twin[1], twin[4]):
        layer.momentum = 1.0
    twin.train()(train[0])
    for layer in (twin[1], twin[4]):
        layer.running_var *= 29 / 30  # torch keeps the unbiased variance
    expected = loss(twin.eval()(test[0]), test[1])
    assert float(found.value(theta)) == pytest.approx(float(expected.detach()), rel=1e-12)
    slow = on_train._forward.layered.statistics(theta)
    assert torch.cat([s.variance for s in slow]).tolist() == pytest.approx(
        torch.cat([layer.running_var for layer in (twin[1], twin[4])]).tolist(), rel=1e-12
    )
    with pytest.raises(RuntimeError, match="has values and no gradient"):
        found.gradient(theta)
    with pytest.raises(ValueError, match="both objectives must have batch_norm='reestimate', got 'batch' and"):
        Objective(model, loss, [test], batch_norm="batch").normalized_by(on_train)
