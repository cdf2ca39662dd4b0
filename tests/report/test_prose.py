"""Generated sentences follow the numbers: the answer in every case, misses, limits, and the paper's set-up."""

import math

import pytest

from flatmin import networks
from flatmin.report.claims import judge
from flatmin.report.prose import answer, compared, limits, misses, studies_sheet
from flatmin.report.protocol import SET_UPS, networks_sheet
from flatmin.report.published import LARGE, SMALL
from flatmin.report.values import Reading

PUBLISHED, STRONG = Reading("paper", "batch"), Reading("strong", "batch")


@pytest.fixture
def searched(study):
    """A study with one value for each seed, method and regime, batch statistics."""

    def build(published, strong, **names):
        rows = [
            {"regime": regime, "seed": seed, "sharpness": value, "method": method}
            for method, pairs in (("paper", published), ("strong", strong))
            for regime, values in zip((SMALL, LARGE), pairs, strict=True)
            for seed, value in enumerate(values)
        ]
        return study(sharpness=rows, **names)

    return build


def test_comparison_is_geometric_over_the_seeds_that_have_all(searched):
    found = compared(searched(([1, 4, 0], [8, 2, 5]), ([2, 8, 3, 7], [16, 32, 9])), PUBLISHED, STRONG)
    assert (found.seeds, found.lost) == (2, 1)
    assert found.first == pytest.approx(2.0)
    assert found.second == pytest.approx((8 * 4) ** 0.5)
    assert (found.small, found.large) == pytest.approx((0.5, (1 / 32) ** 0.5))


@pytest.mark.parametrize(
    ("published", "strong", "says"),
    [
        (([1, 1], [9, 9]), ([1, 1], [10, 10]), "Order and size are the landscape's"),
        (([1, 1], [9, 9]), ([5, 5], [10, 10]), "The order is the landscape's; the size is in part the optimiser's."),
        (([1, 1], [0.5, 0.5]), ([5, 5], [10, 10]), "for F1 it reverses the order that a strong search finds."),
        (([1, 1], [9, 9]), ([50, 50], [10, 10]), "for F1 the paper's order vanishes under a strong search."),
        (([11, 11], [9, 9]), ([50, 50], [10, 10]), "It is the landscape's, but for F1 the order is not the paper's."),
        (([1], [9]), ([5], [10]), "As far as single seeds tell, the order is the landscape's; "),
    ],
)
def test_answer_follows_the_numbers(searched, published, strong, says):
    assert says in answer([searched(published, strong)])


def test_answer_quotes_ranges_over_the_studies(searched):
    other = searched(([1, 1], [4, 4]), ([10, 10], [10, 20]), name="keskar_c1", network="C1", data="cifar10")
    text = answer([searched(([1, 1], [9, 9]), ([5, 5], [10, 10])), other])
    assert "In 2 studies (F1, C1 (code strides); 4 seeds in all)" in text
    assert "is 1.4 to 2.0 times that of the small-batch one by a strong search and 4.0 to 9.0 times by" in text
    assert "finds 10 to 20 % of what the strong one finds at small-batch minima and 28 to 90 % at" in text


def test_answer_says_what_is_open(study, searched):
    assert answer([]) == answer([study()]) == "No study has both searches, so the question is open here."
    lost = answer([searched(([0, 1], [5, 5]), ([1, 1], [9, 9]))])
    assert "Left out: 1 seed with a sharpness of 0 or infinity." in lost


def test_answer_counts_the_order_by_distribution_and_names_the_one_nearest_to_the_paper(study):
    def in_subspaces(name, network, data, **values):
        rows = [
            {"regime": regime, "seed": 0, "sharpness": value, "method": "paper", "distribution": law}
            | {"space": "random", "subspace_dim": 100}
            for law, pair in values.items()
            for regime, value in zip((SMALL, LARGE), pair, strict=True)
        ]
        full = [
            {"regime": regime, "seed": 0, "sharpness": 1.0 + place, "method": method, "space": "full"}
            for method in ("paper", "strong")
            for place, regime in enumerate((SMALL, LARGE))
        ]
        return study(name, network, data, sharpness=rows + full)

    first = in_subspaces("keskar_f1", "F1", "mnist", normal=(0.1, 9.0), uniform=(200.0, 100.0))
    other = in_subspaces("keskar_c1", "C1", "cifar10", normal=(2.0, 100.0), uniform=(300.0, 400.0))
    assert (
        "of the studies: 2 of 2 with normal entries, 1 of 2 with uniform entries; "
        "normal entries come nearest to the paper's values."
    ) in answer([first, other])
    single = in_subspaces("keskar_f1", "F1", "mnist", normal=(0.1, 9.0))
    assert "random subspaces" not in answer([single])


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
