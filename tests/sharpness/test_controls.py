"""Norms of the weights against sums over paths, singular values in NumPy, and laws of rescaling."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from flatmin import Objective
from flatmin.core.functions import QuadraticObjective
from flatmin.networks import C1, F1
from flatmin.sharpness.controls import parameter_norm, path_norm, spectral_bound


def objective(model, shape=(4,), count=16, **options):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
    half = count // 2
    batches = [(inputs[:half], torch.arange(half) % 3), (inputs[half:], torch.arange(half) % 3)]
    return Objective(model, cross_entropy, batches, dtype=torch.float64, **options)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def normalized():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(12, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3),
    ).double()  # fmt: skip
    for layer in model:
        if hasattr(layer, "running_var"):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.bias)
    return model


def test_the_path_norm_is_the_sum_over_all_paths():
    model = mlp()
    first, second, third = (layer.weight.detach().numpy() for layer in model[::2])
    one, two, three = (layer.bias.detach().numpy() for layer in model[::2])
    total = sum(b**2 for b in three)
    for k, j in itertools.product(range(3), range(6)):
        total += (third[k, j] * two[j]) ** 2
        for i in range(5):
            total += (third[k, j] * second[j, i] * one[i]) ** 2
            total += sum((third[k, j] * second[j, i] * first[i, h]) ** 2 for h in range(4))
    assert path_norm(objective(model)).value == pytest.approx(math.sqrt(total), rel=1e-12)


def test_the_spectral_bound_is_that_of_singular_values():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double()
    found = spectral_bound(objective(model, (2, 4, 4)))
    matrices = [model[0].weight.detach().numpy().reshape(3, 18), model[3].weight.detach().numpy()]
    values = [np.linalg.svd(matrix, compute_uv=False) for matrix in matrices]
    ranks = sum((v**2).sum() / v[0] ** 2 for v in values)
    assert found.layers == 2 and found.stable_ranks == pytest.approx(ranks)
    assert found.log_product == pytest.approx(math.log(values[0][0] * values[1][0]))
    assert found.value == pytest.approx(values[0][0] * values[1][0] * math.sqrt(ranks))


def test_rescaled_layers_have_the_same_norms_and_rescaled_neurons_the_same_path_norm():
    model = mlp()
    kept = [float(measure(objective(model))) for measure in (path_norm, spectral_bound)]
    with torch.no_grad():
        for parameter, factor in zip(model.parameters(), (9, 9, 2, 18, 1 / 18, 1), strict=True):
            parameter *= factor
    assert [float(m(objective(model))) for m in (path_norm, spectral_bound)] == pytest.approx(kept, rel=1e-9)
    with torch.no_grad():
        model[0].weight[1] *= 5
        model[0].bias[1] *= 5
        model[2].weight[:, 1] /= 5
    assert float(path_norm(objective(model))) == pytest.approx(kept[0], rel=1e-9)
    assert abs(float(spectral_bound(objective(model))) / kept[1] - 1) > 0.01


@pytest.mark.parametrize("reading", ["running", "batch"])
def test_batch_norm_is_folded_and_what_it_undoes_is_not_seen(reading):
    model = normalized()
    kept = [float(m(objective(model, (2, 6, 6), batch_norm=reading))) for m in (path_norm, spectral_bound)]
    with torch.no_grad():
        for layer, norm in ((model[0], model[1]), (model[5], model[6])):
            layer.weight *= 7
            norm.running_mean.mul_(7)
            norm.running_var.mul_(49)
            norm.eps *= 49
        model[5].bias *= 7
    assert [
        float(m(objective(model, (2, 6, 6), batch_norm=reading))) for m in (path_norm, spectral_bound)
    ] == pytest.approx(kept, rel=1e-9)
    assert model[1].weight.shape == (3,)  # the network itself is as it was


def test_a_folded_layer_by_hand():
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)).double()
    for tensor, value in zip([*model.parameters()], ([[3.0, 4.0]], [1.0], [2.0], [0.5]), strict=True):
        tensor.data = torch.tensor(value).double()
    model[1].running_mean.fill_(0.25)
    model[1].running_var.fill_(4.0 - 1e-5)
    loss = nn.functional.mse_loss
    found = path_norm(Objective(model, loss, [(torch.ones(3, 2).double(), torch.ones(3, 1).double())]))
    assert found.value == pytest.approx(math.sqrt(3**2 + 4**2 + (0.5 + 1 - 0.25) ** 2))


@pytest.mark.parametrize(("kind", "shape", "reading"), [(F1, (1, 28, 28), "batch"), (C1, (3, 32, 32), "running")])
def test_the_papers_networks_have_both_norms(kind, shape, reading):
    torch.manual_seed(0)
    model = kind()
    given = Objective(model, cross_entropy, [(torch.randn(6, *shape), torch.arange(6))], batch_norm=reading)
    assert all(0 < float(measure(given)) < math.inf for measure in (path_norm, spectral_bound))


class Odd(nn.Module):
    """A linear layer with a function about it."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(4, 5), nn.Linear(5, 3), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


@pytest.mark.parametrize(
    "function",
    [torch.tanh, torch.sigmoid, nn.functional.gelu, nn.Softmax(1), lambda x: x * x, nn.LayerNorm(5)],
)
def test_a_network_without_paths_is_refused(function):
    with pytest.raises(ValueError, match="is not homogeneous, so that it has no path norm"):
        path_norm(objective(Odd(function)))


@pytest.mark.parametrize(
    "function", [nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Softplus(), nn.ELU(), nn.SELU()]
)
def test_a_network_without_paths_is_refused_however_large_its_weights(function):
    model = Odd(function)
    for parameter in model.parameters():
        parameter.data *= 100  # squared, all that comes to the function is where it is a straight line
    with pytest.raises(ValueError, match="is not homogeneous, so that it has no path norm"):
        path_norm(objective(model))


def test_a_leaky_relu_has_the_paths_of_a_relu():
    leaky, plain = Odd(nn.LeakyReLU()), Odd(torch.relu)
    leaky.load_state_dict(plain.state_dict())
    assert path_norm(objective(leaky)).value == path_norm(objective(plain)).value


def test_sums_averages_and_maxima_are_paths():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.out = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 3)

        def forward(self, x):
            return self.out(avg_pool2d(x + self.inner(x).relu(), 4).flatten(1))

    assert path_norm(objective(Residual().double(), (2, 4, 4))).value > 0


def test_what_the_norms_do_not_hold_for_is_refused():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    with pytest.raises(ValueError, match="the BatchNorm '0' must follow a Linear or convolutional layer"):
        path_norm(objective(model))
    with pytest.raises(ValueError, match="batch_norm='reestimate' has no module"):
        spectral_bound(objective(normalized(), (2, 6, 6), batch_norm="reestimate"))
    with pytest.raises(TypeError, match="must be an Objective of a network"):
        path_norm(QuadraticObjective([1.0]))
    words = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 3))
    tokens = Objective(words, cross_entropy, [(torch.arange(8).reshape(4, 2) % 7, torch.arange(4) % 3)])
    with pytest.raises(TypeError, match="one tensor of real numbers as inputs"):
        path_norm(tokens)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(4, 3, dtype=torch.float64))

        def forward(self, x):
            return x @ self.matrix

    with pytest.raises(ValueError, match="linear layers and convolutions, got a weight 'matrix'"):
        spectral_bound(objective(Scaled()))


def test_the_length_of_the_weights_and_their_way():
    bowl = QuadraticObjective([1.0, 1.0], theta=torch.tensor([3.0, 4.0]))
    assert parameter_norm(bowl).value == 5 and parameter_norm(bowl, start=torch.tensor([3.0, 1.0])).value == 3
    with pytest.raises(ValueError, match=r"`start` must have shape \(2,\), got \(3,\)"):
        parameter_norm(bowl, start=torch.zeros(3))
