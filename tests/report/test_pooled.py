import math

import pytest

from flatmin.report.claims import judge, overview
from flatmin.report.pooled import chance_sentence, pooled


def gaps(study, both, network, data, *points, name=""):
    """A study whose seeds differ by so many points of test accuracy, and that has nothing else."""
    minima = both("test_accuracy", [0.5 + point / 100 for point in points], [0.5] * len(points))
    return study(name or f"keskar_{network.lower()}", network, data, minima=minima)


def test_all_seeds_of_all_networks_are_pooled(study, both):
    """Three networks: 2, 1 and 3 seeds for K2, one against, one tie, and a study on other data that does not count."""
    studies = [
        gaps(study, both, "F1", "mnist", 1.0, 2.0, -1.0),
        gaps(study, both, "C1", "cifar10", 1.0, 0.0),
        gaps(study, both, "C3", "cifar100", 1.0, 1.0, 2.0),
        gaps(study, both, "C2", "digits", -1.0, -1.0, name="other"),
    ]
    row = pooled(judge(studies), ["K2", "K3"]).set_index("claim").loc["K2"]
    assert (row["seeds_for"], row["seeds_against"]) == (6, 1)
    assert row["p"] == pytest.approx(2 * (1 + 7) / 2**7)


def test_holm_counts_the_claims_that_have_seeds(study, both):
    """K1 and K2 alone have numbers: 12 seeds for K2 and none against K1 make the same p, adjusted for two."""
    studies = [gaps(study, both, network, data, *[1.0] * 6) for network, data in (("F1", "mnist"), ("C1", "cifar10"))]
    frame = overview(judge(studies)).set_index("claim")
    assert frame.loc["K2", "seeds"] == "12 of 12"
    assert frame.loc[["K1", "K2"], "p"].tolist() == pytest.approx([2 / 2**12] * 2)
    assert frame.loc[["K1", "K2"], "holm"].tolist() == pytest.approx([4 / 2**12] * 2)
    assert frame.loc["K3", "seeds"] == "–"
    assert math.isnan(frame.loc["K3", "holm"])


def test_readings_beside_the_headline_are_not_pooled(study, both):
    sharpness = both("sharpness", [1.0, 1.1], [9.0, 9.0]) + both("sharpness", [9.0, 9.0], [1.0, 1.1], method="paper")
    own = study(minima=both("test_accuracy", [0.8, 0.8], [0.7, 0.7]), sharpness=sharpness)
    assert overview(judge([own])).set_index("claim").loc["K3", "seeds"] == "2 of 2"


def test_how_many_intervals_miss_by_chance_is_said(study, both):
    """K1 has two intervals and K2 one, in each of two studies; a twentieth of six is 0.3."""
    studies = [gaps(study, both, network, data, 1.0, 2.0) for network, data in (("F1", "mnist"), ("C1", "cifar10"))]
    assert chance_sentence(judge(studies)).startswith("The verdicts rest on 6 intervals of 95 %; about 0.30 of them")
    assert chance_sentence(judge([])) == "No verdict rests on an interval."
