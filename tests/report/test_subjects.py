"""Studies of the same networks are taken together, others stand for themselves."""

import math

import pytest

from flatmin.report.published import LARGE, SMALL
from flatmin.report.subjects import PUBLISHED, STRONG, short_names, subjects

ALONG = {"sharpness": {"epochs": [0, 1]}}


@pytest.fixture
def pair(study):
    """A study of the pair that ends at the given distances, with both searches."""

    def build(
        name="keskar_f1", distance=5.0, seeds=(0, 1), along=False, network="F1", data="mnist", variant="code", **more
    ):
        minima = [
            {"regime": regime, "seed": seed, "distance_from_start": distance + seed + len(regime)}
            | more.get("minimum", {})
            for seed in seeds
            for regime in (SMALL, LARGE)
        ]
        rows = [
            {"regime": regime, "seed": seed, "method": method, "sharpness": 2.0, "epoch": epoch, "partition": 100.0}
            | {"examples": more.get("examples", 5000)}
            for epoch in ((0, 1, math.nan) if along else (math.nan,))
            for seed in seeds
            for regime in (SMALL, LARGE)
            for method in (PUBLISHED, STRONG)
        ]
        experiment = ALONG if along else None
        return study(
            name,
            network,
            data,
            variant=variant,
            minima=minima,
            sharpness=rows,
            experiment=experiment
            and {"network": {"name": network, "variant": variant}, "data": {"name": data}, **ALONG},
        )

    return build


def test_studies_of_the_same_networks_are_one_subject_and_count_each_search_once(pair):
    (one,) = subjects([pair("fig6_f1", along=True), pair("keskar_f1")])
    assert one.lead.name == "keskar_f1"
    assert len(one.searches) == 2 * 2 * 2 * 3
    assert len(one.minima()) == 4
    assert len(one.along()) == 12


def test_studies_whose_networks_end_elsewhere_are_others(pair):
    found = subjects([pair("keskar_f1"), pair("fig6_f1", distance=6.0, along=True)])
    assert [one.lead.name for one in found] == ["keskar_f1", "fig6_f1"]
    assert [one.name for one in found] == ["F1 (100 epochs, keskar_f1)", "F1 (100 epochs, fig6_f1)"]


@pytest.mark.parametrize(
    "other",
    [{"data": "digits"}, {"network": "F2", "data": "timit"}, {"minimum": {"epochs": 16}}, {"seeds": (2, 3)}],
)
def test_networks_that_differ_in_data_kind_batch_or_seed_are_not_the_same(pair, other):
    assert len(subjects([pair("keskar_f1"), pair("fig6_f1", along=True, **other)])) == 2


def test_order_is_the_papers_with_other_data_last(pair):
    given = [pair("keskar_c1", network="C1", data="cifar10"), pair("fig6_digits", data="digits"), pair("keskar_f1")]
    assert [one.name for one in subjects(given)] == ["F1", "F1 (digits)", "C1 (code strides)"]


def test_names_take_in_more_only_where_they_must(pair):
    found = [pair("a"), pair("b", minimum={"epochs": 30}), pair("c", network="C1", data="cifar10", variant="paper")]
    assert short_names(found) == ["F1 (100 epochs)", "F1 (30 epochs)", "C1 (text strides)"]


def test_studies_without_both_searches_or_a_minimum_are_no_subjects(pair, study):
    lost = pair(minimum={"status": "chance"})
    one = study(sharpness=[{"regime": SMALL, "seed": 0, "sharpness": 1.0}], minima=[{"regime": SMALL, "seed": 0}])
    assert subjects([lost, one, study()]) == []
    assert subjects([]) == []


def test_networks_without_a_minimum_have_no_part(pair):
    study = pair()
    study.tables.minima.loc[0, "status"] = "diverged"
    (one,) = subjects([study])
    assert len(one.minima()) == 3


def test_minima_and_ways_are_each_on_the_examples_that_most_networks_have(pair):
    (one,) = subjects([pair("keskar_f1", examples=60000), pair("fig6_f1", along=True, examples=5000)])
    assert set(one.minima()["examples"]) == {60000}
    assert set(one.along()["examples"]) == {5000}
    assert one.along()["epoch"].tolist()[-1] == math.inf
