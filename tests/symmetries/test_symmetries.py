"""Networks of the same function: against the maps written out, and on inputs that were not looked at."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import weight_norm

from flatmin import transformed
from flatmin.symmetries import NoPlace, attention_of, symmetries

PLACES = {
    "mlp": {"layer_rescaling": 1, "node_rescaling": 2, "permutation": 2, "logit_shift": 1},
    "tanh": {"permutation": 1, "logit_shift": 1},
    "functional": {"layer_rescaling": 1, "node_rescaling": 2, "permutation": 2, "logit_shift": 1},
    "residual": {
        **{"layer_rescaling": 2, "node_rescaling": 2, "permutation": 2, "logit_shift": 1},
        "batch_norm_scale": 4,
    },
    "attention": {"attention": 1, "logit_shift": 1},
    "separate": {"attention": 1, "logit_shift": 1},
    "transformer": {"attention": 1, "logit_shift": 1, "layer_rescaling": 1, "node_rescaling": 1, "permutation": 1},
    "branching": {"layer_rescaling": 1, "node_rescaling": 1, "permutation": 1, "logit_shift": 1},
    "by hand": {},
    "F1": {
        **{"layer_rescaling": 5, "node_rescaling": 5, "permutation": 5, "logit_shift": 1},
        "batch_norm_scale": 5,
    },
    "C1": {
        **{"layer_rescaling": 4, "node_rescaling": 4, "permutation": 4, "logit_shift": 1},
        "batch_norm_scale": 4,
    },
    "tokens": {"layer_rescaling": 1, "node_rescaling": 1, "permutation": 1, "logit_shift": 1},
    "averaged": {"layer_rescaling": 1, "node_rescaling": 1, "logit_shift": 1},
}
"""Where each symmetry acts on each network, counted by hand; where it is absent it must be refused."""


@pytest.mark.parametrize("symmetry", sorted(set(symmetries()) - {"partition"}))
@pytest.mark.parametrize("name", PLACES)
def test_a_network_of_the_same_function_or_a_reason(name, symmetry, network, batches):
    model = network(name).double()
    if symmetry not in PLACES[name]:
        with pytest.raises(NoPlace, match=f"`symmetry` '{symmetry}' has no place in the network: "):
            transformed(model, batches(name), symmetry=symmetry)
        return
    found = transformed(model, batches(name), symmetry=symmetry, amount=3.0, seed=1)
    assert found.places == PLACES[name][symmetry] and found.difference < 1e-10
    assert any(not torch.equal(a, b) for a, b in zip(found.model.parameters(), model.parameters(), strict=True))
    ((inputs, _), _) = batches(name, seed=7)
    with torch.no_grad():
        before, after = (one.eval()(inputs.double()) for one in (model, found.model))
    if symmetry == "logit_shift":
        assert (after - before).abs().min() > 1e-3
        before, after = before.softmax(-1), after.softmax(-1)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-11)


def test_the_map_of_dinh_written_out_with_its_gradient():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    batch = (torch.randn(9, 4), torch.arange(9) % 3)
    found = transformed(model, [batch], symmetry="layer_rescaling", amount=8.0)
    for index, name, by in ((0, "weight", 8), (0, "bias", 8), (2, "weight", 1 / 8), (2, "bias", 1)):
        old, new = (getattr(one[index], name) for one in (model, found.model))
        assert torch.equal(new, by * old)
        slopes = [torch.autograd.grad(cross_entropy(m(batch[0].double()), batch[1]), p)[0]
                  for m, p in ((model, old), (found.model, new))]  # fmt: skip
        torch.testing.assert_close(slopes[1], slopes[0] / by)


def test_units_are_scaled_by_rows_and_channels_own_blocks_of_columns():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double()
    found = transformed(model, [(torch.randn(4, 1, 4, 4), torch.zeros(4))], symmetry="node_rescaling", amount=9.0)
    rows = (found.model[0].weight / model[0].weight).flatten(1)
    assert rows.std(1).max() < 1e-12 and (rows[:, 0] > 1 / 9).all() and (rows[:, 0] < 9).all()
    assert (rows[0, 0] - rows[1, 0]).abs() > 0.1
    torch.testing.assert_close(found.model[0].bias / model[0].bias, rows[:, 0])
    torch.testing.assert_close(model[3].weight / found.model[3].weight, rows[:, 0].repeat_interleave(4).expand(3, 8))


@pytest.mark.parametrize("training", [False, True])
def test_the_scale_before_a_batch_norm_is_taken_out_by_either_statistics_even_where_nothing_varies(training):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, eps=1e-3), nn.ReLU(), nn.Linear(5, 3)).double()
    nn.init.zeros_(model[0].weight[0].data)
    nn.init.constant_(model[1].running_var, 1e-4)
    found = transformed(model, [(torch.randn(9, 4), torch.zeros(9))], symmetry="batch_norm_scale", amount=0.2)
    torch.testing.assert_close(found.model[0].weight, 0.2 * model[0].weight)
    inputs = torch.randn(20, 4).double()
    torch.testing.assert_close(found.model.train(training)(inputs), model.train(training)(inputs))


def test_attention_looks_at_the_same_words_in_other_bases(network, batches):
    model = network("separate").double()
    found = transformed(model, batches("separate"), symmetry="attention", amount=5.0).model
    words = torch.randn(2, 4, 8).double()
    given = (words, words[..., :7], words[..., :6])
    looks = [one.attention(*given, average_attn_weights=False)[1] for one in (model, found)]
    torch.testing.assert_close(looks[1], looks[0])
    assert not torch.allclose(found.attention.q_proj_weight, model.attention.q_proj_weight, rtol=0.1)


def test_attention_of_layers_that_are_named(network, batches):
    model = network("by hand").double()
    named = attention_of(query="q", key="k", value="v", output="o", heads=2)
    found = transformed(model, batches("by hand"), symmetry=named).model
    inputs = torch.randn(5, 4, 6).double()
    torch.testing.assert_close(found(inputs), model(inputs))
    products = [one.q.weight[:3].T @ one.k.weight[:3] for one in (model, found)]
    torch.testing.assert_close(products[1], products[0])
    for wrong, said in (({"query": "x"}, "no Linear layer 'x'"), ({"heads": 4}, "are not 4 heads of one width")):
        other = attention_of(**{"query": "q", "key": "k", "value": "v", "output": "o", "heads": 2} | wrong)
        with pytest.raises(NoPlace, match=said):
            transformed(model, batches("by hand"), symmetry=other)
    with pytest.raises(RuntimeError, match="gives another function"):
        mixed = attention_of(query="q", key="k", value="v", output="o", heads=1)
        transformed(model, batches("by hand"), symmetry=mixed)


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_of_the_batches_has_the_same_examples_and_an_uneven_end(seed, network, batches):
    model, given = network("mlp"), batches("mlp")
    found = transformed(model, given, symmetry="partition", seed=seed)
    sizes = [len(targets) for _, targets in found.batches]
    assert sum(sizes) == 11 and sizes != [8, 3] and 1 < sizes[-1] < sizes[0]

    def examples(cut):
        return {(*inputs.tolist(), int(target)) for batch in cut for inputs, target in zip(*batch, strict=True)}

    assert examples(found.batches) == examples(given)
    assert not torch.equal(torch.cat([targets for _, targets in found.batches]), torch.arange(11) % 3)


def test_batches_may_be_mappings_and_those_of_several_shapes_cannot_be_cut():
    class Named(nn.Linear):
        def forward(self, x):
            return super().forward(x)

    batch = {"x": torch.randn(5, 2), "labels": torch.arange(5)}
    found = transformed(Named(2, 3), [batch, batch], symmetry="partition")
    assert {tuple(sorted(part)) for part in found.batches} == {("labels", "x")}
    with pytest.raises(NoPlace, match="several shapes"):
        transformed(nn.Linear(2, 3), [(torch.randn(5, n, 2), torch.zeros(5)) for n in (1, 2)], symmetry="partition")
    with pytest.raises(NoPlace, match="3 examples cannot be cut otherwise"):
        transformed(nn.Linear(2, 3), [(torch.randn(3, 2), torch.zeros(3))], symmetry="partition")


@pytest.mark.parametrize("name", ["F1", "attention", "C1"])
def test_the_network_given_is_never_touched_and_its_copy_shares_nothing_with_it(name, network, batches):
    model = network(name).train()
    list(model.modules())[-1].eval()
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for symmetry in symmetries():
        if symmetry not in PLACES[name]:
            continue
        found = transformed(model, batches(name), symmetry=symmetry).model
        assert [module.training for module in found.modules()] == modes
        assert {p.dtype for p in found.parameters()} == {torch.float32}
        shared = {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in found.parameters()}
        assert not shared and torch.equal(torch.get_rng_state(), state)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key])


def shared_layer():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied():
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    model[2].weight = model[0].weight
    return model


def hooked():
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    model[0].register_forward_hook(lambda module, inputs, outputs: outputs + 1)
    return model


OFF_LIMITS = {
    "a layer used twice": shared_layer,
    "tied weights": tied,
    "a hook": hooked,
    "a parametrization": lambda: nn.Sequential(weight_norm(nn.Linear(5, 5)), nn.ReLU(), nn.Linear(5, 3)),
    "an activation that is not homogeneous": lambda: nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Linear(5, 3)),
    "no second layer": lambda: nn.Linear(5, 3),
}


@pytest.mark.parametrize("kind", OFF_LIMITS)
def test_what_cannot_be_rescaled_is_refused_with_the_reason(kind):
    batch = (torch.randn(4, 5), torch.zeros(4))
    for symmetry in ("layer_rescaling", "node_rescaling"):
        with pytest.raises(NoPlace, match=f"'{symmetry}' has no place in the network: no two of its"):
            transformed(OFF_LIMITS[kind](), [batch], symmetry=symmetry)


def test_another_function_is_never_handed_out(network, batches):
    with pytest.raises(RuntimeError, match="`symmetry` 'node_rescaling' gives another function: outputs differ by"):
        transformed(network("reading"), batches("reading"), symmetry="node_rescaling")
    with pytest.raises(RuntimeError, match="gives another function"):
        transformed(network("mlp"), batches("mlp"), symmetry="layer_rescaling", amount=1e45)


def test_a_cut_that_the_outputs_see_is_refused():
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 3))
    with pytest.raises(RuntimeError, match="depends on the batch that it is in"):
        transformed(model, [(torch.randn(12, 5), torch.zeros(12))], symmetry="partition")


class Derived(nn.Linear):
    """A layer of one's own that computes what it is derived from."""


class Other(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1


class Writing(nn.Module):
    """Counts its calls, and its outputs depend on them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.second(torch.relu(self.first(x))) * (1 + self.calls)


SEEN = {
    "layers that are derived": lambda: nn.Sequential(Derived(5, 6), nn.ReLU(), Derived(6, 3)),
    "a forward that writes": Writing,
    "a compiled network": lambda: torch.compile(
        nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)), backend="eager"
    ),
    "frozen layers": lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).requires_grad_(False),
    "half precision": lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).bfloat16(),
}


@pytest.mark.parametrize("kind", SEEN)
def test_networks_of_other_sorts_have_places_too(kind):
    model = SEEN[kind]()
    before = [tensor.clone() for tensor in model.state_dict().values()]
    found = transformed(model, [(torch.randn(4, 5), torch.zeros(4))], symmetry="node_rescaling", amount=2.0)
    assert found.places == 1 and [p.dtype for p in found.model.parameters()] == [p.dtype for p in model.parameters()]
    assert all(torch.equal(new, old) for new, old in zip(model.state_dict().values(), before, strict=True))
    with pytest.raises(NoPlace):
        transformed(nn.Sequential(Other(5, 6), nn.ReLU(), Other(6, 3)), [torch.randn(4, 5)])


def test_a_shift_before_a_softmax_leaves_all_outputs_as_they_are():
    model = nn.Sequential(nn.Linear(5, 3), nn.LogSoftmax(-1))
    inputs = torch.randn(4, 5)
    found = transformed(model, [(inputs, torch.zeros(4))], symmetry="logit_shift").model
    torch.testing.assert_close(found(inputs), model(inputs), atol=1e-5, rtol=1e-5)
    assert (found[0].bias - model[0].bias).min() > 9


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"symmetry": "rotation"}, ValueError, "`symmetry` must be one of 'attention', .*, got 'rotation'"),
        ({"amount": 0.0}, ValueError, "`amount` must be positive"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0"),
        ({"model": 3}, TypeError, "`model` must be a torch.nn.Module, got int"),
        ({"batches": iter(())}, TypeError, "`batches` must be re-iterable"),
        ({"batches": []}, ValueError, "`batches` must hold at least one batch"),
    ],
)
def test_bad_arguments_are_named(wrong, error, said, network, batches):
    given = {"model": network("mlp"), "batches": batches("mlp")} | wrong
    with pytest.raises(error, match=said):
        transformed(given.pop("model"), given.pop("batches"), **given)


def test_every_symmetry_says_what_it_is_and_where_it_is_from():
    for name, symmetry in symmetries().items():
        assert symmetry.name == name and symmetry.words and symmetry.source
