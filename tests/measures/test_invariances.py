"""What every measure declares to be unchanged by, tried both ways on networks of the same function."""

import math
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from flatmin import Objective, epsilon_sharpness, transformed
from flatmin.core.errors import FlatminError
from flatmin.measures import measures
from flatmin.measures.invariances import judged, page
from flatmin.measures.measure import Specimen
from flatmin.measures.readings import Reading
from flatmin.symmetries import symmetries

PAGE = Path(__file__).parents[2] / "docs" / "invariances.md"
DECLARED = [name for name, measure in measures().items() if measure.by_rule or measure.unchanged_by]
NETWORKS = {
    "layer_rescaling": ("mlp", "cnn"),
    "node_rescaling": ("mlp", "cnn"),
    "batch_norm_scale": ("normalized",),
    "logit_shift": ("mlp",),
    "attention": ("attention",),
    "partition": ("mlp",),
    "permutation": ("mlp", "cnn"),
}
AMOUNTS = (5.0, 100.0)
SAME, SAME_FOUND, ERRORS = 1e-3, 1e-2, 3.0
EXAMPLES = 24
CHEAPER: dict[str, dict[str, object]] = {
    "low_pass": {"sigmas": (0.2,), "draws": 300},
    "local_entropy": {"sigmas": (0.2,), "draws": 300},
    "explained": {"epsilons": (1e-3,), "k": 3, "tolerance": 1e-6},
    "steep_directions": {"epsilon": 0.06, "k": 3, "tolerance": 1e-6},
}
"""Settings that make a measure cheap, its noise larger than the loss, or its steps long enough; else the defaults."""
REFUSED = {"path_norm": ("attention",), "spectral_bound": ("attention",)}
"""Networks that a measure does not hold for."""


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.attention = nn.Linear(4, 4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        words = self.words(x.unflatten(1, (4, 4)))
        return self.out((words + self.attention(words, words, words, need_weights=False)[0]).mean(1))


MADE = {
    "mlp": lambda: nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
    "cnn": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)
    ),
    "normalized": lambda: nn.Sequential(nn.Linear(16, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)),
    "attention": Attention,
}


@cache
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2 * EXAMPLES, 16, generator=generator, dtype=torch.float64)
    return inputs, (inputs[:, :4] @ torch.randn(4, 3, generator=generator, dtype=torch.float64)).argmax(1)


@cache
def network(kind):
    """Trained for a while."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MADE[kind]().double()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            cross_entropy(model(data()[0][:EXAMPLES]), data()[1][:EXAMPLES]).backward()
            optimizer.step()
    return model.eval()


def batches():
    return [tuple(part[:EXAMPLES][first : first + 9] for part in data()) for first in (0, 9, 18)]


def taken(name, model, cut):
    """All numbers of a measure, each with its standard error and how close a search comes."""
    reading = "batch" if any(isinstance(module, nn.BatchNorm1d) for module in model.modules()) else "running"

    def on(examples):
        return Objective(model, cross_entropy, examples, batch_norm=reading)

    objective = on(cut)
    if name == "sharpness":
        return [(float(epsilon_sharpness(objective)), 0.0, SAME_FOUND)]
    measure, others = measures()[name], tuple(part[EXAMPLES:] for part in data())
    subject = Specimen(
        objective=objective,
        following=lambda count: on([tuple(part[:count] for part in others)]),
        test=lambda: on([others]),
        population=EXAMPLES,
        each=lambda outputs, targets: cross_entropy(outputs, targets, reduction="none"),
    )
    settings = measure.settings(**CHEAPER.get(name, {}), batch_norm=(reading,))
    rows = [
        row
        for asked in measure.plan(settings, EXAMPLES, EXAMPLES)
        for row in measure.run(subject, asked, lambda share: None)
    ]
    return [
        (float(row[measure.value]), float(row.get("standard_error", 0.0)), SAME_FOUND if "converged" in row else SAME)
        for row in rows
    ]


@cache
def before(name, kind):
    return taken(name, network(kind), batches())


def after(name, kind, symmetry, amount, seed):
    found = transformed(network(kind), batches(), symmetry=symmetry, amount=amount, seed=seed)
    return taken(name, found.model, found.batches)


def moved(pair):
    (old, old_error, same), (new, new_error, _) = pair
    errors = [error for error in (old_error, new_error) if math.isfinite(error)]
    return not abs(new - old) <= max(same * max(abs(old), abs(new)), ERRORS * math.hypot(*errors))


@pytest.mark.parametrize("symmetry", NETWORKS)
@pytest.mark.parametrize("name", DECLARED)
def test_a_measure_is_unchanged_by_what_it_declares_and_moves_under_the_rest(name, symmetry):
    if set(NETWORKS[symmetry]) <= {*REFUSED.get(name, ())}:
        assert symmetry not in measures()[name].unchanged_by
        for kind in NETWORKS[symmetry]:
            with pytest.raises(FlatminError, match=f"measure {name}: `objective` must be of a network"):
                before(name, kind)
        return
    if symmetry in measures()[name].unchanged_by:
        for kind in NETWORKS[symmetry]:
            pairs = [*zip(before(name, kind), after(name, kind, symmetry, AMOUNTS[0], 1), strict=True)]
            assert not any(map(moved, pairs)), f"{kind}: {pairs}"
        return
    tried = ((kind, amount, seed) for amount in AMOUNTS for seed in (1, 2) for kind in NETWORKS[symmetry])
    assert any(
        any(map(moved, zip(before(name, kind), after(name, kind, symmetry, amount, seed), strict=True)))
        for kind, amount, seed in tried
    ), f"{name} was not seen to move under {symmetry}: declare it in `unchanged_by`"


def test_every_symmetry_has_a_network_and_only_symmetries_are_declared():
    assert set(NETWORKS) == set(symmetries())
    for name, measure in measures().items():
        assert set(measure.unchanged_by) <= set(symmetries()), name


def test_the_page_of_invariances_is_what_the_measures_declare():
    command = "python -m flatmin.measures.invariances > docs/invariances.md"
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it again: {command}"
    assert command in (PAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"value": 2.0}, {"value": 2.001}, "unchanged"),
        ({"value": 2.0}, {"value": 2.01}, "moved"),
        ({"value": 2.0, "converged": True}, {"value": 2.01, "converged": True}, "unchanged"),
        ({"value": 2.0, "standard_error": 0.3}, {"value": 3.4, "standard_error": 0.4}, "within error"),
        ({"value": 2.0, "standard_error": 0.3}, {"value": 3.6, "standard_error": 0.4}, "moved"),
        ({"value": 2.0, "standard_error": math.nan}, {"value": 3.1}, "moved"),
        ({"value": math.inf}, {"value": math.inf}, "unchanged"),
        ({"value": 2.0}, {"value": math.nan}, "not finite"),
        ({"value": 0.0}, {"value": 0.0}, "unchanged"),
    ],
)
def test_two_numbers_are_the_same_within_rounding_or_their_errors(old, new, said):
    assert judged(Reading(name="it", **old), Reading(name="it", **new)) == said
