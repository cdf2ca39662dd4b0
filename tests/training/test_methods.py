"""Steps of the methods of appendix E on quadratics and linear models, worked out in NumPy."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from flatmin.data.batches import Pair, ShuffledBatches, epoch_seed
from flatmin.training import (
    Adversarial,
    Conservative,
    GradientNoise,
    GrowingBatch,
    Method,
    RMSpropWarmUp,
    Robust,
    SharpnessAware,
    Stability,
    TrainingSettings,
    start_network,
    train,
)

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]
METHODS: list[Method] = [
    *(Conservative(0.3, 3), Robust(0.2), Adversarial(0.1, 0.4), Stability(0.3, 0.5)),
    *(SharpnessAware(0.3), SharpnessAware(0.5, adaptive=True, m=7)),
    GradientNoise(like=4),
]
HESSIAN = np.array([[3.0, 1.0], [1.0, 2.0]])
START = np.array([0.7, -1.3])


class Bowl(nn.Module):
    """f(x) = x'Hx / 2 as a network that has nothing but x."""

    def __init__(self, start: np.ndarray = START) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(start))
        self.unused = nn.Parameter(torch.ones(3))

    def closure(self) -> Tensor:
        with torch.enable_grad():
            self.zero_grad()
            loss = 0.5 * self.x @ torch.tensor(HESSIAN) @ self.x
            loss.backward()
        return loss


def steps(method: Method, optimizer: str, count: int, start: np.ndarray = START) -> np.ndarray:
    bowl = Bowl(start)
    rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](bowl.parameters(), lr=0.1)
    for _ in range(count):
        method.step(bowl, rule, bowl.closure)
    assert torch.equal(bowl.unused, torch.ones(3))
    return bowl.x.detach().numpy()


def test_a_plain_step_is_one_of_the_optimizer() -> None:
    assert steps(Method(), "sgd", 1) == pytest.approx(START - 0.1 * HESSIAN @ START)


def test_conservative_steps_descend_the_batch_and_the_pull() -> None:
    x = START
    for _ in range(2):
        centre = x
        for _ in range(4):
            x = x - 0.1 * (HESSIAN @ x + 0.7 * (x - centre))
    assert steps(Conservative(strength=0.7, iterations=4), "sgd", 2) == pytest.approx(x)


def test_conservative_moments_are_carried_from_batch_to_batch() -> None:
    x, m, v, count = START, np.zeros(2), np.zeros(2), 0
    for _ in range(3):
        centre = x
        for _ in range(3):
            count += 1
            slope = HESSIAN @ x + 0.7 * (x - centre)
            m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
            x = x - 0.1 * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
    assert steps(Conservative(strength=0.7), "adam", 3) == pytest.approx(x)


def test_many_conservative_iterations_solve_the_subproblem() -> None:
    x = START
    for _ in range(2):
        x = np.linalg.solve(HESSIAN + 0.7 * np.eye(2), 0.7 * x)
    assert steps(Conservative(strength=0.7, iterations=300), "sgd", 2) == pytest.approx(x, rel=1e-9)


def test_robust_steps_take_the_gradient_uphill() -> None:
    x = START
    for _ in range(3):
        slope = HESSIAN @ x
        x = x - 0.1 * HESSIAN @ (x + 0.4 * slope / np.linalg.norm(slope))
    assert steps(Robust(rho=0.4), "sgd", 3) == pytest.approx(x)


def test_robust_steps_stay_where_there_is_no_slope() -> None:
    assert steps(Robust(), "sgd", 2, np.zeros(2)).tolist() == [0.0, 0.0]


def test_the_robust_norm_is_over_all_weights_together() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = Pair(torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 0]))
    seen: list[Tensor] = []

    def closure() -> Tensor:
        with torch.enable_grad():
            network.zero_grad()
            seen.append(nn.utils.parameters_to_vector(network.parameters()).detach().clone())
            loss = Method().loss(network, batch)
            loss.backward()
        return loss

    Robust(rho=0.3).step(network, torch.optim.SGD(network.parameters(), lr=0.0), closure)
    start, worst = seen
    assert float((worst - start).norm()) == pytest.approx(0.3, rel=1e-9)
    assert torch.equal(nn.utils.parameters_to_vector(network.parameters()), start)


WEIGHTS = np.array([[0.5, -1.0, 0.3], [-0.2, 0.8, 0.1]])
INPUTS = np.array([[0.2, 0.9, -0.4], [1.0, -0.3, 0.6], [-0.7, 0.1, 0.5], [0.4, 0.4, -1.0]])
TARGETS = np.array([0, 1, 1, 0])


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores)
    return raised / raised.sum(1, keepdims=True)


def loss_and_errors(weights: np.ndarray, inputs: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy of a linear softmax model and its gradient in the scores."""
    shares = softmax(inputs @ weights.T)
    return float(-np.log(shares[np.arange(4), TARGETS]).mean()), (shares - np.eye(2)[TARGETS]) / 4


def linear() -> nn.Linear:
    network = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(torch.tensor(WEIGHTS))
    return network


def value_and_gradient(method: Method, network: nn.Linear) -> tuple[float, np.ndarray]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        loss = method.loss(network, Pair(torch.tensor(INPUTS), torch.tensor(TARGETS)))
    network.zero_grad()
    loss.backward()
    return loss.item(), network.weight.grad.numpy()


def test_plain_loss_of_a_linear_model() -> None:
    loss, errors = loss_and_errors(WEIGHTS, INPUTS)
    found, gradient = value_and_gradient(Method(), linear())
    assert found == pytest.approx(loss) and gradient == pytest.approx(errors.T @ INPUTS)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_adversarial_loss_of_a_linear_model(share: float) -> None:
    plain, errors = loss_and_errors(WEIGHTS, INPUTS)
    against = INPUTS + 0.25 * np.sign(errors @ WEIGHTS)
    worst, worst_errors = loss_and_errors(WEIGHTS, against)
    assert worst > plain
    found, gradient = value_and_gradient(Adversarial(epsilon=0.25, share=share), linear())
    assert found == pytest.approx((1 - share) * plain + share * worst)
    assert gradient == pytest.approx((1 - share) * errors.T @ INPUTS + share * worst_errors.T @ against)


def test_stability_loss_of_a_linear_model() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        noise = 0.3 * torch.randn(4, 3, dtype=torch.float64).numpy()

    def stable(weights: np.ndarray) -> float:
        shares, noisy = softmax(INPUTS @ weights.T), softmax((INPUTS + noise) @ weights.T)
        divergence = (shares * np.log(shares / noisy)).sum(1).mean()
        assert divergence > 0
        return loss_and_errors(weights, INPUTS)[0] + 2.0 * float(divergence)

    found, gradient = value_and_gradient(Stability(sigma=0.3, weight=2.0), linear())
    assert found == pytest.approx(stable(WEIGHTS))
    for row, column in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[row, column] = 1e-5
        slope = (stable(WEIGHTS + step) - stable(WEIGHTS - step)) / 2e-5
        assert gradient[row, column] == pytest.approx(slope, rel=1e-6)


def test_stability_noise_has_the_given_spread() -> None:
    seen: list[Tensor] = []
    network = nn.Linear(5000, 2)
    network.register_forward_hook(lambda module, inputs, outputs: seen.append(inputs[0]))
    Stability(sigma=0.04).loss(network, Pair(torch.zeros(4, 5000), torch.tensor([0, 1, 1, 0])))
    plain, noisy = seen
    assert not plain.any()
    assert float(noisy.std()) == pytest.approx(0.04, rel=0.03) and abs(float(noisy.mean())) < 0.002


@pytest.mark.parametrize(
    "method", [Robust(2.0), Adversarial(), Stability(1.0), SharpnessAware(2.0)], ids=lambda method: method.name
)
def test_running_averages_hear_of_the_batch_as_it_is_once(method: Method, data: Data) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
    weights = network[1].weight.detach().clone(), network[1].bias.detach().clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)

    def closure() -> Tensor:
        with torch.enable_grad():
            optimizer.zero_grad()
            loss = method.loss(network, data[0])
            loss.backward()
        return loss

    method.step(network, optimizer, closure)
    inputs = data[0].inputs
    hidden = (inputs - inputs.mean(0)) / (inputs.var(0, correction=0) + 1e-5).sqrt() @ weights[0].T + weights[1]
    for layer, values in ((network[0], inputs), (network[2], hidden)):
        torch.testing.assert_close(layer.running_mean, 0.1 * values.mean(0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * values.var(0), rtol=1e-4, atol=1e-6)
        assert int(layer.num_batches_tracked) == 1 and layer.track_running_stats


@pytest.mark.parametrize("method", [None, *METHODS], ids=lambda method: method.name if method else "plain")
def test_lightning_takes_the_steps_of_a_bare_loop(method: Method | None, fresh: Fresh, data: Data) -> None:
    settings = TrainingSettings(batch_size=16, epochs=2, learning_rate=1e-2, method=method)
    trained = train(fresh(), *data, settings, seed=3)
    rule, network = method or Method(), fresh().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=torch.__version__ >= "2.4")
    with torch.random.fork_rng(devices=[]):
        for epoch in range(2):
            torch.manual_seed(epoch_seed(3, epoch))
            for batch in ShuffledBatches(*data[0], 16, seed=3, epoch=epoch):

                def closure(batch: Pair = batch) -> Tensor:
                    optimizer.zero_grad()
                    loss = rule.loss(network, batch)
                    loss.backward()
                    return loss

                rule.step(network, optimizer, closure)
    assert trained.epochs == 2
    assert all(torch.equal(trained.state[name], tensor) for name, tensor in network.state_dict().items())


def test_every_method_trains_to_another_network(fresh: Fresh, data: Data) -> None:
    def weights(method: Method | None) -> Tensor:
        settings = TrainingSettings(batch_size=16, epochs=3, learning_rate=1e-2, method=method)
        trained = train(fresh(), *data, settings)
        assert trained.rows[-1]["train_loss"] < trained.rows[0]["train_loss"]
        return trained.state["0.weight"]

    found = [weights(method) for method in (None, *METHODS)]
    assert all(not torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


class Scalars(TorchDispatchMode):
    """Counts the numbers that are fetched from tensors; each makes a GPU wait."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", [None, *METHODS], ids=lambda method: method.name if method else "plain")
def test_steps_fetch_no_number(method: Method | None, fresh: Fresh, data: Data) -> None:
    counts = []
    for batch_size in (50, 5):
        with Scalars() as scalars:
            train(fresh(), *data, TrainingSettings(batch_size=batch_size, epochs=2, method=method))
        counts.append(scalars.count)
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (Conservative, {"strength": 0.0}, "`strength` must be positive, got 0.0."),
        (Conservative, {"iterations": 0}, "`iterations` must be at least 1, got 0."),
        (Robust, {"rho": -0.1}, "`rho` must be positive, got -0.1."),
        (SharpnessAware, {"rho": 0.0}, "`rho` must be positive, got 0.0."),
        (SharpnessAware, {"m": 0}, "`m` must be at least 1, got 0."),
        (Adversarial, {"epsilon": math.nan}, "`epsilon` must be positive, got nan."),
        (Adversarial, {"share": 0.0}, "`share` must lie in (0, 1], got 0.0."),
        (Adversarial, {"share": 1.1}, "`share` must lie in (0, 1], got 1.1."),
        (GradientNoise, {"sigma": 0.0}, "`sigma` must be positive, got 0.0."),
        (GradientNoise, {"like": 0}, "`like` must be at least 1, got 0."),
        (Stability, {"sigma": 0.0}, "`sigma` must be positive, got 0.0."),
        (Stability, {"weight": math.inf}, "`weight` must be finite, got inf."),
    ],
)
def test_settings_out_of_range_are_named(kind: type[Method], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**change)


@pytest.mark.parametrize(
    "changes",
    [{}, {"method": Conservative(iterations=3)}, {"growing_batch": GrowingBatch(epochs=(1, 3), factor=2.0)}],
    ids=["plain", "several steps on each batch", "fewer steps in each epoch"],
)
def test_an_optimiser_that_goes_by_epochs_knows_them_whatever_a_step_is(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After E epochs it has counted E."""
    made: list[RMSpropWarmUp] = []
    begin = RMSpropWarmUp.__init__

    def noted(self: RMSpropWarmUp, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        made.append(self)

    monkeypatch.setattr(RMSpropWarmUp, "__init__", noted)
    inputs, targets = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    data = Pair(inputs[:40], targets[:40]), Pair(inputs[40:], targets[40:])
    settings = TrainingSettings(5, epochs=4, optimizer="rmsprop_warm_up", **changes)
    train(start_network(lambda: nn.Linear(4, 3), 0), *data, settings)
    assert made[0].param_groups[0]["epoch"] == pytest.approx(4.0)
