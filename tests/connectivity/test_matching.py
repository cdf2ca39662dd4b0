"""Matching against planted orders, brute force, and the law that it changes no function."""

import itertools

import pytest
import torch
from torch import nn

from flatmin import match_neurons, transformed
from flatmin.networks import C1, C2, F1, F2
from flatmin.symmetries import NoPlace
from flatmin.symmetries.tracing import NORMALIZING, is_a
from flatmin.training import ghost_batch_norm
from flatmin.training.ghost_batches import GhostBatchNorm, GhostBatchNorm1d

NETWORKS = {
    "F1": (lambda: F1((1, 6, 6), 10, width=24), (1, 6, 6)),
    "F2": (lambda: F2((1, 6, 6), 10, width=24), (1, 6, 6)),
    "C1": (lambda: C1(variant="paper"), (3, 32, 32)),
    "C2": (C2, (3, 32, 32)),
}
EITHER = pytest.mark.parametrize("method", ["weights", "activations"])


def network(make, seed):
    """One whose BatchNorm has parameters and averages that differ from neuron to neuron."""
    torch.manual_seed(seed)
    model = make()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.weight.data.normal_(), layer.bias.data.normal_()
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2.0)
    return model.eval()


def batch(shape, count=16):
    return [(torch.randn(count, *shape, generator=torch.Generator().manual_seed(5)), torch.zeros(count))]


@EITHER
@pytest.mark.parametrize("name", ["F1", "F2", "C1", pytest.param("C2", marks=pytest.mark.slow)])
def test_a_planted_order_is_found_to_the_last_neuron_with_all_buffers(name, method):
    make, shape = NETWORKS[name]
    first = network(make, 1)
    hidden = transformed(first, batch(shape), symmetry="permutation", seed=3).model
    found = match_neurons(first, hidden, batch(shape), method=method, seeds=1)
    assert found.converged and found.distance == 0.0 < found.distance_before and found.moved > 0.9
    for key, tensor in first.state_dict().items():
        assert torch.equal(found.model.state_dict()[key], tensor), key


@EITHER
@pytest.mark.parametrize("name", ["F1", "C1"])
def test_matching_two_networks_changes_no_function_and_weights_come_no_further_apart(name, method):
    make, shape = NETWORKS[name]
    first, second = network(make, 1), network(make, 2)
    before = {key: tensor.clone() for key, tensor in second.state_dict().items()}
    found = match_neurons(first, second, batch(shape), method=method)
    ((inputs, _),) = batch(shape)
    torch.testing.assert_close(found.model(inputs), second(inputs), rtol=1e-4, atol=1e-4)
    assert found.difference < 1e-8 and all(torch.equal(second.state_dict()[key], t) for key, t in before.items())
    if method == "weights":
        assert found.distance < found.distance_before and len(found.similarities) == 3
    for order in found.orders.values():
        assert sorted(order.tolist()) == list(range(len(order)))


@EITHER
def test_ghosts_are_matched_as_the_batch_norm_that_they_are_in_evaluation(method):
    make, shape = NETWORKS["F1"]
    first, second = network(make, 1), network(make, 2)
    plain = match_neurons(first, second, batch(shape), method=method)
    assert ghost_batch_norm(first, size=4) == ghost_batch_norm(second, size=4) > 0
    found = match_neurons(first, second, batch(shape), method=method)
    assert found.distance == plain.distance and any(isinstance(m, GhostBatchNorm) for m in found.model.modules())
    for key, tensor in plain.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[key], tensor), key


class Plain(nn.BatchNorm1d):
    """Differs in training alone."""

    plain_in_evaluation = True

    def forward(self, input):
        return super().forward(input)


class Renamed(Plain):
    """Computes what its class computes."""


class Shifted(Plain):
    """Treats channels differently in evaluation too."""

    def forward(self, input):
        return super().forward(input) + torch.arange(input.shape[1])


class ShiftedGhosts(GhostBatchNorm1d):
    """Likewise."""

    def forward(self, input):
        return super().forward(input) + torch.arange(input.shape[1])


@pytest.mark.parametrize(("kind", "known"), [(Plain, True), (Renamed, True), (Shifted, False), (ShiftedGhosts, False)])
def test_a_layer_that_says_it_is_plain_says_it_of_what_its_own_class_computes(kind, known):
    assert is_a(kind(3), NORMALIZING) is known


def test_with_one_hidden_layer_no_order_of_all_is_nearer():
    def small(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    first, second = small(0), small(1)

    def apart(order):
        order = list(order)
        pairs = [
            (first[0].weight, second[0].weight[order]),
            (first[0].bias, second[0].bias[order]),
            (first[2].weight, second[2].weight[:, order]),
            (first[2].bias, second[2].bias),
        ]
        return sum(float((a - b).detach().square().sum()) for a, b in pairs)

    best = min(itertools.permutations(range(5)), key=apart)
    found = match_neurons(first, second, batch((3,)))
    assert found.orders["0"].tolist() == list(best) and found.distance == pytest.approx(apart(best) ** 0.5)


def test_activations_find_an_order_that_rescaling_hides_from_the_weights():
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3))
    examples = batch((6,), 64)
    order = torch.randperm(20)
    second = transformed(first, examples, symmetry="node_rescaling", amount=100.0).model
    with torch.no_grad():
        second[2].weight.copy_(second[2].weight[:, order])
        second[0].weight.copy_(second[0].weight[order])
        second[0].bias.copy_(second[0].bias[order])
    found = match_neurons(first, second, examples, method="activations")
    assert torch.equal(order[found.orders["0"]], torch.arange(20))


def test_a_network_matched_to_itself_stays_and_says_so():
    first = network(NETWORKS["F1"][0], 1)
    found = match_neurons(first, first, batch((1, 6, 6)), seeds=1)
    assert found.moved == 0.0 and found.sweeps == 1 and found.converged and "0 of 120 neurons" in repr(found)


def test_what_cannot_be_matched_is_refused_in_words():
    first, second = network(NETWORKS["F1"][0], 1), F2((1, 6, 6), 10, width=24)
    with pytest.raises(ValueError, match="`first` and `second` must have the same parameters"):
        match_neurons(first, second, batch((1, 6, 6)))
    with pytest.raises(ValueError, match="`method` must be one of 'weights', 'activations', got 'names'"):
        match_neurons(first, first, batch((1, 6, 6)), method="names")
    with pytest.raises(NoPlace, match="no two of its Linear or convolutional layers"):
        match_neurons(nn.Linear(2, 2), nn.Linear(2, 2), batch((2,)))
    broken = network(NETWORKS["F1"][0], 1)
    broken.layers[1].weight.data[0, 0] = float("nan")
    for method in ("weights", "activations"):
        with pytest.raises(ValueError, match="networks must have finite weights and activations"):
            match_neurons(first, broken, batch((1, 6, 6)), method=method)
    with pytest.raises(ValueError, match="must have parameters, got networks without any"):
        match_neurons(nn.Sequential(), nn.Sequential(), batch((2,)))
    with pytest.raises(ValueError, match="has no shape yet; run the network once"):
        match_neurons(nn.LazyLinear(2), nn.LazyLinear(2), batch((2,)))
