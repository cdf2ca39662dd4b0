"""Noise on the gradients of examples against gradients taken one by one, and the spread that it was derived to have."""

import math
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flatmin.data.batches import Pair
from flatmin.training import GradientNoise, Method, matching_sigma

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(12, 4, dtype=torch.float64, generator=GENERATOR)
CLASSES = torch.arange(12) % 3


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


@pytest.fixture(autouse=True)
def kept() -> Any:
    with torch.random.fork_rng(devices=[]):
        yield


def gradient(loss: Tensor, net: nn.Module) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, [*net.parameters()])])


def gradients(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Of each example, by itself (N, parameters)."""
    names = dict(net.named_parameters())

    def one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(net, weights, (x[None],)), y[None])

    each = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, 0))(
        {name: weight.detach() for name, weight in names.items()}, inputs, targets
    )
    return torch.cat([each[name].flatten(1) for name in names], dim=1)


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_a_step_has_the_gradients_of_the_examples_each_times_its_draw(sigma: float) -> None:
    net = network()
    torch.manual_seed(7)
    found = gradient(GradientNoise(sigma).loss(net, Pair(INPUTS, CLASSES)), net)
    torch.manual_seed(7)
    draws = 1 + sigma * torch.randn(12)
    each = torch.stack([gradient(F.cross_entropy(net(x[None]), y[None]), net) for x, y in zip(INPUTS, CLASSES)])  # noqa: B905
    torch.testing.assert_close(found, (draws[:, None] * each).sum(0) / 12, rtol=1e-6, atol=1e-9)


def covariances(net: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean gradient, covariance and second moment over the examples."""
    each = gradients(net, inputs, targets)
    mean, moment = each.mean(0), each.T @ each / len(each)
    return mean, moment - torch.outer(mean, mean), moment


def noisy(net: nn.Module, method: Method, size: int, count: int, inputs: Tensor, targets: Tensor) -> Tensor:
    """The method's gradients of batches that are drawn with replacement."""
    found = []
    for _ in range(count):
        chosen = torch.randint(len(inputs), (size,))
        found.append(gradient(method.loss(net, Pair(inputs[chosen], targets[chosen])), net))
    return torch.stack(found)


def test_noise_of_a_large_batch_is_that_of_a_small_one() -> None:
    net, like, size, count = network(), 4, 64, 3000
    inputs = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    targets = torch.randint(3, (200,), generator=torch.Generator().manual_seed(6))
    mean, covariance, moment = covariances(net, inputs, targets)
    sigma2 = size / like - 1
    derived = (covariance + sigma2 * moment) / size
    torch.manual_seed(2)
    drawn = noisy(net, GradientNoise(like=like), size, count, inputs, targets)
    spread = float((drawn - mean).square().sum(1).mean())
    error = float((drawn - mean).square().sum(1).std()) / math.sqrt(count)
    assert abs(spread - float(derived.trace())) < 3 * error
    excess = sigma2 * float(mean @ mean) / size
    assert float(derived.trace()) == pytest.approx(float(covariance.trace()) / like + excess)
    off = drawn.mean(0) - mean
    assert float(off.square().sum()) < 9 * spread / count
    small = noisy(net, Method(), like, count, inputs, targets)
    assert float((small - mean).square().sum(1).mean()) == pytest.approx(spread - excess, rel=0.1)
    plain = noisy(net, Method(), size, 300, inputs, targets)
    assert float((plain - mean).square().sum(1).mean()) < spread / 10


def test_the_variance_that_the_docstring_derives_holds_entry_by_entry() -> None:
    net, sigma, size = network(), 1.5, 3
    inputs, targets = INPUTS[:3], CLASSES[:3]
    mean, covariance, moment = (part.numpy() for part in covariances(net, inputs, targets))
    each = gradients(net, inputs, targets).numpy()
    expected = np.zeros_like(covariance)
    for chosen in np.ndindex(3, 3, 3):  # all batches of three with replacement; the draws by their two moments
        picked = each[list(chosen)]
        off = picked.mean(0) - mean
        expected += (np.outer(off, off) + sigma**2 * picked.T @ picked / size**2) / 27
    assert (covariance + sigma**2 * moment) / size == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_without_replacement_the_same_sigma_fits_up_to_one_over_n() -> None:
    n, like = 1000, 50
    for size in (100, 400, 1000):

        def factor(batch: int) -> float:
            return (n - batch) / (n - 1)

        needed = size * (factor(like) / like - factor(size) / size)  # of a covariance that is the second moment
        assert needed == pytest.approx(matching_sigma(size, like) ** 2 * n / (n - 1), rel=1e-12)


def test_a_batch_that_is_not_larger_has_no_noise() -> None:
    assert [matching_sigma(size, 8) for size in (1, 8, 16, 80)] == pytest.approx([0, 0, 1, 3])
    net, batch = network(), Pair(INPUTS, CLASSES)
    plain, as_small, as_smaller = (
        float(method.loss(net, batch).detach()) for method in (Method(), GradientNoise(like=12), GradientNoise(like=3))
    )
    assert as_small == pytest.approx(plain) and as_smaller != pytest.approx(plain)


def contrast(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs @ outputs.T).mean() + 0 * targets.sum()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (contrast, "`loss` must be a mean over examples to be weighted, got contrast, which is none on the first 8."),
        (
            partial(F.cross_entropy, reduction="none"),
            "`loss` must be one number to be weighted, got one with reduction",
        ),
    ],
)
def test_what_is_no_mean_over_examples_is_refused(loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        GradientNoise(1.0).loss(nn.Linear(4, 3).double(), Pair(INPUTS, CLASSES), loss)


def test_with_batch_norm_the_loss_of_an_example_is_weighted_with_all_inputs_in_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    torch.manual_seed(7)
    found = gradient(GradientNoise(2.0).loss(net, Pair(INPUTS, CLASSES)), net)
    torch.manual_seed(7)
    draws = 1 + 2.0 * torch.randn(12)
    expected = sum(
        draw * gradient(F.cross_entropy(net(INPUTS), CLASSES, reduction="none")[k], net) for k, draw in enumerate(draws)
    )
    torch.testing.assert_close(found, expected / 12, rtol=1e-6, atol=1e-9)
