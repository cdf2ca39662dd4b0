"""SAM and ASAM around optimisers of torch: arithmetic, state, groups, and what it cannot do."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flatmin.core.functions import QuadraticObjective
from flatmin.objective.updates import update_of
from flatmin.optimizers import LARS, SAM

HESSIAN = np.array([[3.0, 1.0, 0.2], [1.0, 2.0, -0.5], [0.2, -0.5, 1.5]])
MATRIX, VECTOR = np.array([[0.7, -1.3]]), np.array([0.4])


class Bowl(nn.Module):
    """A quadratic of a matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.vector = nn.Parameter(torch.tensor(MATRIX)), nn.Parameter(torch.tensor(VECTOR))
        self.unused = nn.Parameter(torch.ones(2))
        self.passes = 0

    def flat(self) -> Tensor:
        return torch.cat([self.matrix.reshape(-1), self.vector])

    def loss(self) -> Tensor:
        self.passes += 1
        return 0.5 * self.flat() @ torch.tensor(HESSIAN) @ self.flat()

    def closure(self, zero: Callable[[], None] | None = None) -> Callable[[], Tensor]:
        def call() -> Tensor:
            (zero or self.zero_grad)()
            loss = self.loss()
            loss.backward()
            return loss

        return call


def uphill(x: np.ndarray, rho: float, adaptive: bool, eta: float) -> np.ndarray:
    """rho T^2 g / |T g|, with T of the first two, a matrix, |x| + eta, and of the third, a vector, 1."""
    slope = HESSIAN @ x
    width = np.array([abs(x[0]) + eta, abs(x[1]) + eta, 1.0]) if adaptive else np.ones(3)
    return rho * width**2 * slope / np.linalg.norm(width * slope)


@pytest.mark.parametrize(("adaptive", "eta"), [(False, 0.01), (True, 0.01), (True, 0.0)])
def test_ten_steps_are_those_of_the_formula(adaptive: bool, eta: float) -> None:
    bowl = Bowl()
    optimizer = SAM(
        bowl.parameters(), torch.optim.SGD, rho=0.2, adaptive=adaptive, eta=eta, lr=0.1, momentum=0.9, weight_decay=0.05
    )
    x, velocity = np.concatenate([MATRIX[0], VECTOR]), np.zeros(3)
    for step in range(10):
        loss = optimizer.step(bowl.closure())
        assert loss.item() == pytest.approx(0.5 * x @ HESSIAN @ x, rel=1e-9)
        velocity = 0.9 * velocity + HESSIAN @ (x + uphill(x, 0.2, adaptive, eta)) + 0.05 * x
        x = x - 0.1 * velocity
        np.testing.assert_allclose(bowl.flat().detach().numpy(), x, rtol=1e-9)
        assert bowl.passes == 2 * (step + 1)
    assert torch.equal(bowl.unused, torch.ones(2))


def test_adaptive_steps_do_not_depend_on_the_scale_of_a_unit() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(9, 3, dtype=torch.float64), torch.randn(9, 2, dtype=torch.float64)

    def rises(scale: float, adaptive: bool) -> Tensor:
        torch.manual_seed(1)
        network = nn.Sequential(nn.Linear(3, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False)).double()
        with torch.no_grad():
            network[0].weight.mul_(scale)
            network[2].weight.div_(scale)
        optimizer = SAM(network.parameters(), torch.optim.SGD, rho=0.3, adaptive=adaptive, eta=0.0, lr=0.0)
        losses: list[Tensor] = []

        def closure() -> Tensor:
            loss = ((network(inputs) - targets) ** 2).mean()
            loss.backward()
            losses.append(loss.detach())
            return loss

        optimizer.step(closure)
        return losses[1] - losses[0]

    torch.testing.assert_close(rises(7.0, True), rises(1.0, True))
    assert rises(7.0, False) > 1.5 * rises(1.0, False) > 0


def test_groups_have_a_radius_each_under_one_norm() -> None:
    bowl = Bowl()
    groups = [{"params": [bowl.matrix], "rho": 0.4}, {"params": [bowl.vector]}]
    optimizer = SAM(groups, torch.optim.SGD, rho=0.1, lr=0.1)
    x = np.concatenate([MATRIX[0], VECTOR])
    slope = HESSIAN @ x
    optimizer.step(bowl.closure())
    there = x + np.array([0.4, 0.4, 0.1]) * slope / np.linalg.norm(slope)
    np.testing.assert_allclose(bowl.flat().detach().numpy(), x - 0.1 * HESSIAN @ there, rtol=1e-9)


BASES: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "adam": (torch.optim.Adam, {"lr": 0.1}),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.1, "initial_accumulator_value": 0.3}),
    "lars": (LARS, {"lr": 1.0, "trust": 0.1, "momentum": 0.9}),
}


def weights(bowl: Bowl) -> Tensor:
    return bowl.flat().detach().clone()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
def test_a_resumed_optimizer_goes_on_bit_for_bit(base: str, way: str) -> None:
    kind, settings = BASES[base]
    bowl = Bowl()
    optimizer = SAM(bowl.parameters(), kind, rho=0.2, **settings)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for _ in range(3):
        optimizer.step(bowl.closure())
        schedule.step()
    if way == "state_dict":
        again = copy.deepcopy(bowl)
        resumed = SAM(again.parameters(), kind, rho=0.7, adaptive=True, **settings)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    else:
        copied = pickle.loads(pickle.dumps((bowl, optimizer))) if way == "pickle" else copy.deepcopy((bowl, optimizer))
        again, resumed = copied
    assert resumed.param_groups is resumed.base.param_groups and resumed.state is resumed.base.state
    assert resumed.param_groups[0]["rho"] == 0.2 and not resumed.param_groups[0]["adaptive"]
    for _ in range(3):
        optimizer.step(bowl.closure())
        resumed.step(again.closure())
    assert torch.equal(weights(bowl), weights(again))


@pytest.mark.parametrize("base", BASES)
def test_a_radius_of_nothing_is_the_base_alone(base: str) -> None:
    kind, settings = BASES[base]
    bowl, alone = Bowl(), Bowl()
    optimizer, plain = SAM(bowl.parameters(), kind, rho=1e-300, **settings), kind(alone.parameters(), **settings)
    schedules = [torch.optim.lr_scheduler.StepLR(one, 1, 0.5) for one in (optimizer, plain)]
    for _ in range(4):
        optimizer.step(bowl.closure())
        plain.step(alone.closure())  # type: ignore[arg-type]
        for schedule in schedules:
            schedule.step()
    assert torch.equal(weights(bowl), weights(alone))
    assert optimizer.base.param_groups[0]["lr"] == settings["lr"] / 16


def test_added_parameters_have_the_settings_of_both() -> None:
    bowl = Bowl()
    optimizer = SAM([bowl.matrix], torch.optim.SGD, rho=0.2, lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": [bowl.vector], "lr": 0.3})
    assert len(optimizer.base.param_groups) == 2
    assert optimizer.param_groups[1]["rho"] == 0.2 and optimizer.param_groups[1]["momentum"] == 0.9
    with pytest.raises(ValueError, match="`rho` must be positive, got -1"):
        optimizer.add_param_group({"params": [bowl.unused], "rho": -1.0})
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize("none", [True, False])
@pytest.mark.parametrize("where", ["closure", "after", "nowhere"])
def test_gradients_may_be_emptied_anywhere_or_nowhere(none: bool, where: str) -> None:
    bowl = Bowl()
    optimizer = SAM(bowl.parameters(), torch.optim.SGD, rho=0.2, lr=0.1)

    def zero() -> None:
        optimizer.zero_grad(set_to_none=none)

    for _ in range(3):
        optimizer.step(bowl.closure(zero if where == "closure" else lambda: None))
        if where == "after":
            zero()
    x = np.concatenate([MATRIX[0], VECTOR])
    for _ in range(3):
        x = x - 0.1 * HESSIAN @ (x + uphill(x, 0.2, False, 0.0))
    np.testing.assert_allclose(bowl.flat().detach().numpy(), x, rtol=1e-9)


def test_gradients_of_somebody_else_are_refused_where_they_would_count() -> None:
    bowl = Bowl()
    optimizer = SAM(bowl.parameters(), torch.optim.SGD, rho=0.2, lr=0.1)
    bowl.loss().backward()
    before = weights(bowl)
    with pytest.raises(RuntimeError, match=r"have the closure call zero_grad\(\)"):
        optimizer.step(bowl.closure(lambda: None))
    assert torch.equal(weights(bowl), before)
    bowl.loss().backward()
    optimizer.step(bowl.closure())
    x = np.concatenate([MATRIX[0], VECTOR])
    expected = x - 0.1 * HESSIAN @ (x + uphill(x, 0.2, False, 0.0))
    np.testing.assert_allclose(bowl.flat().detach().numpy(), expected, rtol=1e-9)


def test_weights_are_back_where_they_were_when_the_second_pass_fails() -> None:
    bowl = Bowl()
    optimizer = SAM(bowl.parameters(), torch.optim.SGD, rho=0.2, lr=0.1)
    before = weights(bowl)

    def closure() -> Tensor:
        if bowl.passes == 1:
            raise KeyError("stopped")
        return bowl.closure()()

    with pytest.raises(KeyError, match="stopped"):
        optimizer.step(closure)
    assert torch.equal(weights(bowl), before)


def test_where_there_is_no_slope_the_base_takes_its_step() -> None:
    bowl = Bowl()
    with torch.no_grad():
        bowl.matrix.zero_(), bowl.vector.zero_()
    SAM(bowl.parameters(), torch.optim.SGD, rho=0.2, lr=0.1).step(bowl.closure())
    assert not bowl.flat().any()


def test_the_step_it_would_take_is_known_without_taking_it() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))
    optimizer = SAM([weight], torch.optim.SGD, rho=0.5, lr=0.1, momentum=0.9)
    slope = np.array([1.0, 4.0])
    worst = np.array([1.0, 4.0]) * (1 + 0.5 * slope / np.linalg.norm(slope))
    found = update_of(optimizer, QuadraticObjective([1.0, 4.0]))
    np.testing.assert_allclose(found.numpy(), -0.1 * worst, rtol=1e-9)
    assert weight.tolist() == [1.0, 1.0] and not optimizer.state


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: SAM(p, torch.optim.SGD, rho=-0.1, lr=0.1), ValueError, "`rho` must be positive, got -0.1."),
        (lambda p: SAM(p, torch.optim.SGD, rho="x", lr=0.1), TypeError, "`rho` must be a number, got str."),
        (lambda p: SAM(p, torch.optim.SGD, eta=-1.0, lr=0.1), ValueError, "`eta` must lie in [0, inf), got -1.0."),
        (lambda p: SAM(p, torch.optim.LBFGS), ValueError, "`base_optimizer_class` must need no closure, LBFGS does"),
        (
            lambda p: SAM(p, torch.optim.SGD(p, lr=0.1)),
            TypeError,
            "`base_optimizer_class` must be a class such as torch.optim.SGD, got SGD; its settings go by name.",
        ),
        (lambda p: SAM(p, torch.optim.SGD, lr=0.1).step(), TypeError, "`closure` must be given: SAM computes two"),
    ],
)
def test_what_it_cannot_do_is_said(make: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make([nn.Parameter(torch.ones(2))])


class Normalised(nn.Module):
    """BatchNorm of both kinds of averages, and an InstanceNorm that tracks."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.InstanceNorm1d(3, track_running_stats=True), nn.Flatten()
        )
        self.frozen, self.last = nn.BatchNorm1d(12, momentum=None).eval(), nn.Linear(12, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.last(self.frozen(self.layers(inputs)))
        return scores


def stepped(network: nn.Module, called: nn.Module, inputs: Tensor, **settings: Any) -> None:
    optimizer = SAM(network.parameters(), torch.optim.SGD, rho=5.0, lr=0.0, **settings)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (called(inputs) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)


@pytest.mark.parametrize("given", [False, True])
def test_running_averages_hear_of_the_first_pass_alone(given: bool) -> None:
    torch.manual_seed(0)
    network, inputs = Normalised(), torch.randn(6, 2, 4)
    once = copy.deepcopy(network)
    once(inputs)
    stepped(network, network, inputs, **({"model": network} if given else {}))
    for (name, found), expected in zip(network.named_buffers(), once.buffers(), strict=True):
        assert torch.equal(found, expected), name
    assert all(layer.track_running_stats for layer in network.modules() if hasattr(layer, "track_running_stats"))
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_a_scripted_network_with_averages_is_refused() -> None:
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    for settings in ({}, {"model": scripted}):
        with pytest.raises(RuntimeError, match="in a scripted module would hear of the second pass; train the module"):
            stepped(scripted, scripted, torch.randn(6, 3), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["in place", "wrapped"])
def test_averages_of_a_compiled_network_hear_of_the_first_pass_alone(way: str) -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
    network, inputs = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), torch.randn(8, 3)
    once = copy.deepcopy(network)
    once(inputs)
    if way == "in place":
        network.compile(backend="aot_eager", dynamic=False)
        stepped(network, network, inputs)
    else:
        compiled = torch.compile(network, backend="aot_eager", dynamic=False)
        with (
            pytest.warns(UserWarning, match="global hooks"),
            pytest.raises(RuntimeError, match=r"pass it as `model`: SAM\(\.\.\., model=network\)"),
        ):
            stepped(network, compiled, inputs)
        network[1].reset_running_stats()
        stepped(network, compiled, inputs, model=compiled)
    torch.testing.assert_close(network[1].running_mean, once[1].running_mean)
    assert int(network[1].num_batches_tracked) == 1


@pytest.mark.parametrize("adaptive", [False, True])
def test_sparse_gradients_are_refused_before_a_weight_moves(adaptive: bool) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    before = table.weight.detach().clone()
    optimizer = SAM(table.parameters(), torch.optim.SGD, lr=0.1, adaptive=adaptive)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = table(torch.tensor([1, 2])).square().sum()
        loss.backward()
        return loss

    for _ in range(2):
        with pytest.raises(RuntimeError, match="SAM takes dense gradients, got sparse ones"):
            optimizer.step(closure)
    assert torch.equal(table.weight, before)
