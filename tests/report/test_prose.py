"""Generated sentences follow the numbers: misses, limits, and the paper's set-up."""

import math

import pytest

from flatmin import networks
from flatmin.report.claims import judge
from flatmin.report.prose import limits, misses, scope, scope_in_short, studies_sheet
from flatmin.report.protocol import SET_UPS, networks_sheet
from flatmin.report.published import LARGE, SMALL


def test_misses_list_what_fails_with_its_evidence(study):
    flat = study(
        minima=[
            {"regime": regime, "seed": seed, "test_accuracy": value + seed / 1000, "train_accuracy": 1.0}
            for regime, value in ((SMALL, 0.5), (LARGE, 0.9))
            for seed in range(3)
        ]
    )
    text = "".join(passage.latex for passage in misses(judge([flat]), [flat]))
    assert r"\item K2, " in text
    assert "the paper: 0.22 points." in text
    assert [passage.latex for passage in misses([], [])] == ["Nothing was judged.\n"]


def test_limits_name_every_study_and_every_absent_network(study):
    text = limits([study(reduced=("Half the data",))]).latex
    assert r"\item keskar\_f1 (F1, MNIST" in text
    assert "): Half the data." in text
    assert "F2, C1, C2, C3, C4: not run." in text
    assert "nothing is reduced." in limits([study()]).latex


def test_studies_have_their_commits(study):
    assert r"keskar\_f1 & F1, MNIST" in studies_sheet([study()]).latex
    assert "abc123" in studies_sheet([study()]).latex


@pytest.mark.parametrize("name", SET_UPS)
def test_set_up_counts_the_weights_of_our_networks(name):
    setup, network = SET_UPS[name], getattr(networks, name)()
    assert sum(weights.numel() for weights in network.parameters()) == setup.weights
    assert math.prod(network.input_shape) == setup.features
    line = next(line for line in networks_sheet().latex.splitlines() if line.startswith(name))
    assert f"{setup.weights:,}" in line


def test_the_scope_says_what_share_of_the_examples_was_trained_on_and_what_was_not_run(study, both):
    found = study(minima=both("train_loss", [0.1], [0.1]))
    found.tables.provenance["examples"] = {"curves": 6000}
    told = scope([found])
    assert told.lead == "F2, C1, C2, C3, C4 were not run. Run were:"
    assert told.lines == ["F1, MNIST, 100 epochs, 1 seed on 10 % of the training examples"]
    found.tables.provenance["examples"] = {"curves": 60_000}
    assert scope([found]).lines == ["F1, MNIST, 100 epochs, 1 seed"]
    assert (scope([]).lead, scope_in_short([])) == ("No network has left a minimum.",) * 2


def test_the_scope_in_short_has_a_clause_for_each_network(study, both):
    short = study(minima=both("train_loss", [0.1], [0.1]))
    long = study(minima=both("train_loss", [0.1] * 3, [0.1] * 3))
    for one, examples in ((short, 6000), (long, 60_000)):
        one.tables.provenance["examples"] = {"curves": examples}
    assert scope_in_short([short, long]) == (
        "Run were F1 on MNIST (100 epochs, 1–3 seeds, 10 to 100 % of the training examples). F2, C1, C2, C3, C4 were "
        "not run."
    )
    long.tables.provenance["examples"] = {}
    assert "(100 epochs, 1–3 seeds, 10 % of the training examples)" in scope_in_short([short, long])
    assert scope_in_short([long]).startswith("Run were F1 on MNIST (100 epochs, 3 seeds). ")
