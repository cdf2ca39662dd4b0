"""The report's answer follows the numbers in every case, and says nothing where there are none."""

import pytest

from flatmin.report.answer import OPEN, answer, subspaces
from flatmin.report.finding import evidence
from flatmin.report.published import LARGE, SMALL
from flatmin.report.subjects import subjects


@pytest.fixture
def searched(study):
    """A study with one value for each seed, method and regime at the minima; two boxes of the published if asked."""

    def build(published, strong, half=None, rows=(), **names):
        values = [("paper", published, 1e-3), ("strong", strong, 1e-3), *([("paper", half, 5e-4)] if half else [])]
        found = [
            {"regime": regime, "seed": seed, "sharpness": value, "method": method, "epsilon": size}
            for method, pairs, size in values
            for regime, each in zip((SMALL, LARGE), pairs, strict=True)
            for seed, value in enumerate(each)
        ]
        minima = [
            {"regime": regime, "seed": seed, "distance_from_start": 100.0 * seed + len(names.get("name", "")) + place}
            for place, (regime, each) in enumerate(zip((SMALL, LARGE), strong, strict=True))
            for seed, _ in enumerate(each)
        ]
        return study(minima=minima, sharpness=[*found, *rows], **names)

    return build


@pytest.fixture
def way():
    """Searches on the way: the share and the strong value by epoch, alike in every seed; the gradient falls."""

    def build(shares, strong, seeds=3):
        return [
            {"regime": regime, "seed": seed, "epoch": epoch, "method": method, "sharpness": value * size}
            | {"gradient_norm": 10.0**-epoch, "base_loss": 0.5**epoch}
            for regime, size in ((SMALL, 1.0), (LARGE, 4.0))
            for seed in range(seeds)
            for epoch, (share, whole) in enumerate(zip(shares, strong, strict=True))
            for method, value in (("paper", share * whole), ("strong", whole))
        ]

    return build


def said(*studies):
    told = answer(evidence(subjects(studies)))
    return " ".join(told.lines) if told.lines else told.lead


def test_without_both_searches_the_question_is_open(study):
    assert said() == said(study()) == OPEN


def test_shares_are_ranges_of_single_seeds_over_all_networks(searched):
    other = searched(([1, 1], [4, 4]), ([10, 10], [10, 20]), name="keskar_c1", network="C1", data="cifar10")
    text = said(searched(([1, 1], [9, 9]), ([5, 4], [10, 10])), other)
    assert text.startswith(
        "At single minima the published search finds 10 to 25 % (small batch) and 20 to 90 % (large batch) of what a "
        "strong one does. The"
    )
    assert "gradient" not in text


def test_share_that_falls_with_the_gradient_by_as_much_as_the_landscape_varies_leads(searched, way):
    rows = way([1.0, 0.1, 0.001], [8.0, 12.0, 16.0])
    text = said(searched(([1] * 3, [1] * 3), ([10] * 3, [40] * 3), rows=rows))
    assert text.startswith(
        "At the large batch of F1 what the published search finds goes with the gradient where training stopped as "
        "much as with the landscape: "
        "along training the share of a strong search's sharpness that it finds falls with the gradient (rank "
        "correlation "
    )
    assert "above 0 in 3 of 3 seeds, small batch 3 of 3), by a factor of 1,000 where" in text
    assert "the strong value varies by 2.0 (large batch), and by a factor of" in text
    assert "At single minima it finds 10 % (small batch)" in text


def test_share_that_falls_by_less_than_the_landscape_varies_is_not_called_as_much(searched, way):
    rows = way([1.0, 0.9, 0.8], [1.0, 10.0, 100.0])
    less = searched(([70] * 3, [70] * 3), ([100] * 3, [100] * 3), rows=rows, name="c1", network="C1", data="cifar10")
    text = said(less)
    assert text.startswith("Along training on C1 (code strides) the share of a strong search's sharpness that the")
    assert "as much as with the landscape" not in text
    much = searched(([1] * 3, [1] * 3), ([10] * 3, [40] * 3), rows=way([1.0, 0.1, 0.001], [8.0, 12.0, 16.0]))
    both = said(much, less)
    assert both.startswith("At the large batch of F1 what the published search finds goes with the gradient")
    assert "; on C1 (code strides) it falls too (above 0 in 3 of 3 seeds, small batch 3 of 3), but by a" in both


def test_share_that_rises_or_is_undecided_is_named(searched, way):
    rises = way([0.1, 0.5, 0.9], [10.0, 10.0, 10.0])
    text = said(searched(([9.5] * 3, [38] * 3), ([10] * 3, [40] * 3), rows=[row for row in rises]))
    assert text.startswith("That the published search finds a smaller share of the sharpness at a smaller gradient is ")
    assert "is nowhere shown; not so for F1 −" in text
    one = said(searched(([9.5], [38]), ([10], [40]), rows=way([0.5, 0.9, 0.2], [10.0] * 3, seeds=1)))
    assert "is nowhere shown; undecided for F1 " in one


def test_searches_that_found_less_than_in_a_smaller_box_are_counted(searched):
    text = said(searched(([1, 1], [10.2, 9]), ([2, 2], [627, 627]), half=([0.5, 0.5], [49.5, 3])))
    assert ", and in 1 of 4 searches less than in a smaller box inside, which no maximum does" in text
    assert "smaller box" not in said(searched(([1, 1], [9, 9]), ([5, 5], [10, 10])))


def test_order_is_counted_in_seeds_and_networks_that_differ_are_named(searched):
    turned = searched(([1, 1, 1], [0.5, 2, 0.5]), ([5, 5, 5], [10, 15, 20]))
    other = searched(([9, 1], [1, 9]), ([50, 5], [10, 10]), name="keskar_c1", network="C1", data="cifar10")
    text = said(turned, other)
    assert (
        "The large-batch minimum is the sharper one by the strong search in 4 of 5 seeds of 2 studies (C1 (code "
        "strides): 1 of 2), 0.20 to 4.0 times; the published one turns this round in 2 of 3 on F1, in 0 of 2 on the "
        "others."
    ) in text


def test_intervals_that_include_one_are_named_by_search_and_lone_seeds_as_such(searched):
    wide = searched(([1, 1, 1], [300, 0.5, 300]), ([1, 1, 1], [250, 240, 260]))
    lone = searched(([1], [9]), ([5], [10]), name="keskar_c1", network="C1", data="cifar10")
    text = said(wide, lone)
    assert (
        "The interval of the ratio includes 1 by the published search for F1; a single seed speaks for C1 (code" in text
    )
    assert "A single seed speaks for C1 (code strides)." in said(lone)
    both = said(searched(([1, 1], [300, 0.5]), ([1, 1], [250, 0.5])))
    assert "The interval of the ratio includes 1 by both searches for F1." in both
    none = said(searched(([1, 1], [9, 9.1]), ([1, 1], [9, 9.1])))
    assert "interval" not in none
    assert "single seed" not in none


def test_order_at_equal_loss_is_counted_where_it_was_measured(searched, way):
    text = said(searched(([1] * 3, [1] * 3), ([10] * 3, [40] * 3), rows=way([1.0, 0.1, 0.01], [9.0, 10.0, 11.0])))
    assert (
        "Compared at equal loss, the large-batch network is the sharper one in 3 of 3 by the strong and in 3 of 3"
        in text
    )
    assert "3 of 3 pairs on the way" not in text
    assert "and 0 of 6 pairs on the way" in text
    assert "equal loss" not in said(searched(([1, 1], [9, 9]), ([5, 5], [10, 10])))


@pytest.fixture
def in_subspaces(study):
    """A study with the published search in random subspaces: small and large batch by distribution and seed."""

    def build(name, network, data, **values):
        rows = [
            {"regime": regime, "seed": seed, "sharpness": value, "method": "paper", "distribution": law}
            | {"space": "random", "subspace_dim": 100}
            for law, pair in values.items()
            for regime, each in zip((SMALL, LARGE), pair, strict=True)
            for seed, value in enumerate(each)
        ]
        full = [
            {"regime": regime, "seed": 0, "sharpness": 1.0, "method": method, "space": "full"}
            for method in ("paper", "strong")
            for regime in (SMALL, LARGE)
        ]
        minima = [{"regime": regime, "seed": seed} for regime in (SMALL, LARGE) for seed in range(3)]
        return study(name, network, data, minima=minima, sharpness=rows + full)

    return build


def test_distributions_of_a_tell_decided_from_undecided_studies_and_the_one_nearest_to_the_paper(in_subspaces):
    first = in_subspaces(
        *("keskar_f1", "F1", "mnist"),
        normal=([0.1, 0.11, 0.1], [9.0, 9.1, 9.2]),
        uniform=([200.0, 210.0, 190.0], [100.0, 101.0, 99.0]),
    )
    other = in_subspaces(
        *("keskar_c1", "C1", "cifar10"),
        normal=([2.0, 2.1, 2.2], [100.0, 1.0, 90.0]),
        uniform=([300.0, 300.0, 300.0], [400.0, 200.0, 500.0]),
    )
    text = subspaces([first, other])
    assert "sharper, undecided and flatter in so many studies: normal 1, 1, 0; uniform 0, 1, 1 (normal nearest" in text
    assert subspaces([in_subspaces("keskar_f1", "F1", "mnist", normal=([0.1], [9.0]))]) == ""


def test_answer_of_everything_at_once_is_an_abstract(searched, way, in_subspaces):
    rows = way([1.0, 0.1, 0.001], [8.0, 12.0, 16.0])
    networks = {"F1": "mnist", "F2": "timit", "C1": "cifar10"}
    several = [
        searched(([1] * 3, [1] * 3), ([10] * 3, [40] * 3), ([2] * 3, [2] * 3), rows, name=name, network=name, data=data)
        for name, data in networks.items()
    ]
    text = said(*several)
    assert 120 < len(text.split()) < 220
    assert "nan" not in text.lower()


def test_the_verdict_tells_studies_whose_order_the_published_search_turns_from_the_others(searched):
    turned = searched(([4, 4], [1, 9]), ([5, 5], [20, 20]))
    kept = searched(([1, 1], [4, 4]), ([2, 2], [8, 8]), name="keskar_c1", network="C1", data="cifar10")

    def verdict(*studies):
        return answer(evidence(subjects(studies))).lead

    order = "the published search turns the order of the two minima round in"
    assert verdict(turned) == f"The optimiser's on F1, where {order} 1 of 2 seeds."
    assert (
        verdict(kept) == f"The landscape's, as far as that goes, on C1 (code strides), where {order} none of 2 seeds."
    )
    assert verdict(turned, kept) == f"{verdict(turned)} {verdict(kept)}"
