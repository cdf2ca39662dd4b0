"""SAM, ASAM and m-SAM as a method of training: sub-batches worked out in NumPy, BatchNorm, and the sisters' steps."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flatmin.data.batches import Pair
from flatmin.experiments import load_experiment
from flatmin.training import SAM, Method, Robust, SharpnessAware, TrainingSettings, train

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]
DRAWN = np.random.default_rng(3)
INPUTS, ANSWERS, WEIGHTS, BIAS = DRAWN.normal(size=(7, 3)), DRAWN.normal(size=7), DRAWN.normal(size=3), 0.3
WIDE = np.hstack([INPUTS, np.ones((7, 1))])


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs.squeeze(1) - targets) ** 2).mean()


def slope(x: np.ndarray, rows: slice) -> np.ndarray:
    """Gradient of the mean square error of a linear model with a bias."""
    found: np.ndarray = 2 * WIDE[rows].T @ (WIDE[rows] @ x - ANSWERS[rows]) / len(ANSWERS[rows])
    return found


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("m", [None, 1, 3, 7, 100])
def test_the_gradient_is_the_mean_of_those_at_the_sub_batches_worst_points(m: int | None, adaptive: bool) -> None:
    network = nn.Linear(3, 1).double()
    network.spare = nn.Parameter(torch.ones(2))
    with torch.no_grad():
        network.weight.copy_(torch.tensor(WEIGHTS)[None])
        network.bias.fill_(BIAS)
    batch = Pair(torch.tensor(INPUTS), torch.tensor(ANSWERS))
    loss = SharpnessAware(0.4, adaptive, m).loss(network, batch, squares)
    loss.backward()

    x, width = np.append(WEIGHTS, BIAS), np.append(np.abs(WEIGHTS) + 0.01, 1.0) if adaptive else np.ones(4)
    expected = np.zeros(4)
    for part in np.array_split(np.arange(7), -(-7 // m) if m else 1):
        rows = slice(part[0], part[-1] + 1)
        g = slope(x, rows)
        there = x + 0.4 * width**2 * g / np.linalg.norm(width * g)
        expected += slope(there, rows) * len(part) / 7
    found = np.append(network.weight.grad.numpy(), network.bias.grad.numpy())  # type: ignore[union-attr]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert loss.item() == pytest.approx(((WIDE @ x - ANSWERS) ** 2).mean(), rel=1e-12)
    assert network.weight.detach().numpy().tolist() == [WEIGHTS.tolist()] and network.spare.grad is None


def test_it_is_robust_training_bit_for_bit_where_it_is_plain_sam(fresh: Fresh, data: Data) -> None:
    found = []
    for method in (Robust(0.3), SharpnessAware(0.3)):
        network = fresh()
        network[3].p = 0.0  # dropout is drawn again in each pass
        found.append(train(network, *data, TrainingSettings(16, epochs=2, learning_rate=0.01, method=method)).state)
    assert all(torch.equal(found[0][name], tensor) for name, tensor in found[1].items())


def test_the_optimizer_takes_the_same_steps(data: Data) -> None:
    torch.manual_seed(2)
    one = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    other = copy.deepcopy(one)
    settings: dict[str, Any] = {"lr": 0.1, "momentum": 0.9}
    sam = SAM(other.parameters(), torch.optim.SGD, rho=0.3, adaptive=True, **settings)
    plain, method = torch.optim.SGD(one.parameters(), **settings), SharpnessAware(0.3, adaptive=True)

    def closure(network: nn.Module, how: Method) -> Callable[[], Tensor]:
        def call() -> Tensor:
            network.zero_grad()
            loss = how.loss(network, data[0])
            loss.backward()
            return loss

        return call

    for _ in range(4):
        method.step(one, plain, closure(one, method))
        sam.step(closure(other, Method()))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_running_averages_hear_of_each_sub_batch_in_turn() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), torch.randn(10, 2)
    SharpnessAware(3.0, m=4).loss(network, Pair(inputs, torch.arange(10) % 2))
    mean = torch.zeros(2)
    for part in (inputs[:4], inputs[4:7], inputs[7:]):
        mean = 0.9 * mean + 0.1 * part.mean(0)
    torch.testing.assert_close(network[0].running_mean, mean)
    assert int(network[0].num_batches_tracked) == 3


def test_a_file_can_say_it(tmp_path: Any) -> None:
    file = tmp_path / "sam.yaml"
    file.write_text(
        "name: sam\ndata: digits\nnetwork: F1\n"
        "variations: {a: {batch_size: 64, method: sam}, "
        "b: {batch_size: 256, method: {name: sam, rho: 0.5, adaptive: true, m: 64}}}\n"
        "training: {optimizer: lars, learning_rate: 2.0, momentum: 0.9}\n"
    )
    experiment = load_experiment(file)
    assert experiment.variations["a"].method == SharpnessAware()
    assert experiment.variations["b"].method == SharpnessAware(0.5, adaptive=True, m=64)
    assert (experiment.training.optimizer, experiment.training.momentum) == ("lars", 0.9)
    described = TrainingSettings(256, method=experiment.variations["b"].method).described()["method"]
    assert described == {"name": "sam", "rho": 0.5, "adaptive": True, "m": 64}
