"""The six networks against the tables of the paper's appendix: layers, counts, start."""

import math
from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
from torch import nn

from flatmin.networks import C1, C2, C3, C4, F1, F2
from flatmin.training import start_network

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "F1": F1,
    "F2": F2,
    "C1": C1,
    "C2": C2,
    "C3": C3,
    "C4": C4,
    "C1 paper": partial(C1, variant="paper"),
    "C3 paper": partial(C3, variant="paper"),
}
IMAGE = (3, 32, 32)
SHALLOW = [4_864, 102_464, 1_573_248, 73_920]
DEEP = [1_792, 36_928, 73_856, 147_584, 295_168, 590_080, 590_080, 1_180_160, *[2_359_808] * 5, 262_656]

# total, weights and biases layer by layer, BatchNorm (gamma and beta), input shape, outputs
TABLE = {
    "F1": (1_462_794, [401_920, *[262_656] * 4, 5_130], 5_120, (1, 28, 28), 10),
    "F2": (2_780_085, [184_832, *[262_656] * 6, 1_012_149], 7_168, (360,), 1973),
    "C1": (1_757_834, [*SHALLOW, 1_930], 1_408, IMAGE, 10),
    "C2": (14_991_946, [*DEEP, 5_130], 9_472, IMAGE, 10),
    "C3": (1_775_204, [*SHALLOW, 19_300], 1_408, IMAGE, 100),
    "C4": (15_038_116, [*DEEP, 51_300], 9_472, IMAGE, 100),
    "C1 paper": (283_274, [4_864, 102_464, 98_688, 73_920, 1_930], 1_408, IMAGE, 10),
    "C3 paper": (300_644, [4_864, 102_464, 98_688, 73_920, 19_300], 1_408, IMAGE, 100),
}
DROPOUT = {
    "F1": [],
    "F2": [],
    "C1": [0.5, 0.5],
    "C2": [0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.5, 0.5],
}
MAPS = {
    "C1": [(64, 32, 32), (64, 16, 16), (64, 16, 16), (64, 8, 8)],
    "C1 paper": [(64, 16, 16), (64, 8, 8), (64, 4, 4), (64, 2, 2)],
    "C2": [
        *[(64, 32, 32)] * 2,
        (64, 16, 16),
        *[(128, 16, 16)] * 2,
        (128, 8, 8),
        *[(256, 8, 8)] * 3,
        (256, 4, 4),
        *[(512, 4, 4)] * 3,
        (512, 2, 2),
        *[(512, 2, 2)] * 3,
        (512, 1, 1),
    ],
}
every_network = pytest.mark.parametrize("name", list(NETWORKS))


@cache
def built(name: str) -> nn.Module:
    return start_network(NETWORKS[name], 7)


def layers(name: str, *kinds: type[nn.Module]) -> list[nn.Module]:
    return [layer for layer in built(name).layers if isinstance(layer, kinds)]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@every_network
def test_parameter_counts_are_those_of_the_table(name: str) -> None:
    total, by_layer, batch_norm, *_ = TABLE[name]
    assert count(built(name)) == total
    assert [count(layer) for layer in layers(name, nn.Linear, nn.Conv2d)] == by_layer
    assert sum(count(layer) for layer in layers(name, nn.BatchNorm1d, nn.BatchNorm2d)) == batch_norm
    assert all(p.requires_grad for p in built(name).parameters())


@every_network
def test_every_hidden_layer_is_followed_by_batch_norm_and_relu(name: str) -> None:
    order = list(built(name).layers)
    weighted = [i for i, layer in enumerate(order) if isinstance(layer, nn.Linear | nn.Conv2d)]
    for i in weighted[:-1]:
        assert isinstance(order[i + 1], nn.BatchNorm1d | nn.BatchNorm2d) and isinstance(order[i + 2], nn.ReLU)
        assert order[i + 1].eps == 1e-3
    assert weighted[-1] == len(order) - 1


@every_network
def test_scores_have_one_column_a_class(name: str) -> None:
    *_, shape, classes = TABLE[name]
    network = built(name).eval()
    assert network.input_shape == shape
    with torch.no_grad():
        assert network(torch.rand(2, *shape)).shape == (2, classes)
    network.train()


@pytest.mark.parametrize("name", list(MAPS))
def test_feature_maps_have_the_sizes_of_the_table(name: str) -> None:
    sizes: list[tuple[int, ...]] = []
    hidden = torch.zeros(1, *IMAGE)
    with torch.no_grad():
        for layer in built(name).eval().layers:
            hidden = layer(hidden)
            if hidden.ndim == 4 and isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                sizes.append(tuple(hidden.shape[1:]))
    built(name).train()
    assert sizes == MAPS[name]


@pytest.mark.parametrize("name", list(DROPOUT))
def test_dropout_rates_follow_the_authors_code(name: str) -> None:
    assert [layer.p for layer in layers(name, nn.Dropout)] == DROPOUT[name]
    same = {"C1": ["C3", "C1 paper"], "C2": ["C4"]}.get(name, [])
    assert all([layer.p for layer in layers(other, nn.Dropout)] == DROPOUT[name] for other in same)


def test_dropout_of_the_deep_network_sits_after_the_relu_of_its_layer() -> None:
    order = list(built("C2").layers)
    after_convolution = [
        order[i + 3].p if isinstance(order[i + 3], nn.Dropout) else 0.0
        for i, layer in enumerate(order)
        if isinstance(layer, nn.Conv2d)
    ]
    assert after_convolution == [0.3, 0, 0.4, 0, 0.4, 0.4, 0, 0.4, 0.4, 0, 0.4, 0.4, 0]


@every_network
def test_the_start_is_glorot_uniform_with_zero_biases(name: str) -> None:
    for layer in layers(name, nn.Linear, nn.Conv2d):
        area = math.prod(layer.weight.shape[2:])
        bound = math.sqrt(6 / (area * (layer.weight.shape[0] + layer.weight.shape[1])))
        weights = layer.weight.detach().double()
        assert weights.abs().max() <= bound * (1 + 1e-6)
        assert weights.abs().max() > 0.99 * bound
        spread = bound / math.sqrt(3)
        assert abs(float(weights.mean())) < 4 * spread / math.sqrt(weights.numel())
        assert float(weights.pow(2).mean().sqrt()) == pytest.approx(spread, rel=4 / math.sqrt(weights.numel()))
        assert not layer.bias.any()
    for layer in layers(name, nn.BatchNorm1d, nn.BatchNorm2d):
        assert (layer.weight == 1).all() and not layer.bias.any()
        assert not layer.running_mean.any() and (layer.running_var == 1).all()


@pytest.mark.parametrize("name", ["F1", "C1", "C2"])
def test_one_seed_gives_one_start(name: str) -> None:
    again, other = (start_network(NETWORKS[name], seed).state_dict() for seed in (7, 8))
    state = built(name).state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert not torch.equal(
        state["layers.0.weight" if name[0] == "C" else "layers.1.weight"], next(iter(other.values()))
    )


def test_the_callers_random_numbers_go_on_as_if_nothing_had_been_built() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = torch.rand(3)
        torch.manual_seed(3)
        start_network(C1, 5)
        assert torch.equal(torch.rand(3), expected)


def test_a_build_that_fails_leaves_the_random_state_too() -> None:
    def broken() -> nn.Module:
        torch.rand(10)
        raise OSError("broken")

    before = torch.get_rng_state()
    with pytest.raises(OSError, match="broken"):
        start_network(broken, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_shapes_and_class_counts() -> None:
    assert count(F1(input_shape=(64,), num_classes=3)) == 65 * 512 + 4 * 513 * 512 + 513 * 3 + 5_120
    assert count(C1(num_classes=7)) == 1_757_834 - 3 * 193


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: C1("keras"), ValueError, "`variant` must be one of 'code', 'paper', got 'keras'"),
        (lambda: F1(num_classes=0), ValueError, "`num_classes` must be at least 1, got 0"),
        (lambda: C1(num_classes=0), ValueError, "`num_classes` must be at least 1, got 0"),
        (lambda: C4(num_classes=2.0), TypeError, "`num_classes` must be an int, got float"),
        (lambda: start_network(F1, -1), ValueError, "`seed` must be at least 0, got -1"),
        (lambda: start_network(F1, 2**32), ValueError, "`seed` must be below 2"),
    ],
)
def test_bad_arguments_are_named(build: Callable[[], nn.Module], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
