import math

import pytest

from flatmin.report import published
from flatmin.report.published import FIGURE_3, FIGURE_7, LARGE, NETWORKS, SMALL, TABLE_2, TABLE_3, TABLE_4, TABLE_6

GAPS = {"F1": 0.22, "F2": 4.57, "C1": 2.78, "C2": 1.98, "C3": 3.13, "C4": 5.27}
RATIOS_3 = {"F1": (166.8, 70.3), "F2": (223.5, 103.5), "C1": (24.7, 32.1), "C2": (106.6, 84.7), "C3": (8.7, 12.3)}
RATIOS_3["C4"] = (32.9, 26.9)
RATIOS_4 = {"F1": (83.8, 183.4), "F2": (81.5, 125.6), "C1": (63.0, 41.5), "C2": (26.4, 18.8), "C3": (13.9, 21.6)}
RATIOS_4["C4"] = (12.1, 10.5)
FALLS_SMALL = {"F1": 2.0, "F2": 1.5, "C1": 4.0, "C2": 4.2, "C3": 3.5, "C4": 3.2}
FALLS_LARGE = {"F1": 4.8, "F2": 3.3, "C1": 3.1, "C2": 5.3, "C3": 2.5, "C4": 3.9}
CLASSES = {"C1": 10, "C2": 10, "C3": 100, "C4": 100}


@pytest.mark.parametrize("network", NETWORKS)
def test_generalisation_gaps(network):
    means = [TABLE_2[network]["test", regime].mean for regime in (SMALL, LARGE)]
    assert means[0] - means[1] == pytest.approx(GAPS[network], abs=0.005)


@pytest.mark.parametrize(("table", "ratios"), [(TABLE_3, RATIOS_3), (TABLE_4, RATIOS_4)])
@pytest.mark.parametrize("network", NETWORKS)
def test_ratios_of_sharpness(table, ratios, network):
    for epsilon, ratio in zip(published.EPSILONS, ratios[network], strict=True):
        found = table[network][LARGE, epsilon].mean / table[network][SMALL, epsilon].mean
        assert found == pytest.approx(ratio, abs=0.06)


@pytest.mark.parametrize(("regime", "falls"), [(SMALL, FALLS_SMALL), (LARGE, FALLS_LARGE)])
@pytest.mark.parametrize("network", NETWORKS)
def test_fall_with_epsilon(regime, falls, network):
    found = TABLE_3[network][regime, 1e-3].mean / TABLE_3[network][regime, 5e-4].mean
    assert found == pytest.approx(falls[network], abs=0.06)


@pytest.mark.parametrize("network", NETWORKS)
def test_both_paths_have_the_same_ends(network):
    assert FIGURE_3[network][0] == FIGURE_7[network][0]
    assert FIGURE_3[network][1] == FIGURE_7[network][1]


@pytest.mark.parametrize("network", CLASSES)
def test_halfway_to_the_sign_flipped_minimum_the_curved_path_is_at_chance(network):
    assert FIGURE_7[network][-0.5] == pytest.approx(math.log(CLASSES[network]), abs=0.12)


@pytest.mark.parametrize("network", NETWORKS)
def test_curved_path_ends_at_the_ceiling_of_the_loss(network):
    for end in (-1, 2):
        assert FIGURE_7[network][end] == pytest.approx(published.LOSS_CEILING, abs=0.6)


def test_augmented_large_batches_beat_augmented_small_ones_on_two_networks():
    tests = {n: [TABLE_6[n]["test", f"{size}_batch_augmented"] for size in ("small", "large")] for n in TABLE_6}
    better = [network for network, (small, large) in tests.items() if large > small]
    assert better == ["C2", "C4"]


def test_conservative_training_lowers_the_accuracy_of_one_network_and_raises_the_sharpness_of_three():
    rows = published.TABLE_7
    lower = [n for n in rows if rows[n]["test", "conservative"].mean < TABLE_2[n]["test", LARGE].mean]
    sharper = [n for n in rows if rows[n]["conservative", 1e-3].mean > TABLE_3[n][LARGE, 1e-3].mean]
    assert lower == ["C3"]
    assert sharper == ["F1", "F2", "C3"]


def test_piggybacked_large_batches_end_above_the_iterates_they_start_from():
    for rows in published.FIGURE_5.values():
        assert all(after > before for before, after, _ in rows.values())


def test_all_cells_are_there():
    for table in (TABLE_2, TABLE_3, TABLE_4, published.TABLE_7):
        assert tuple(table) == NETWORKS
    assert tuple(TABLE_6) == ("C1", "C2", "C3", "C4")
