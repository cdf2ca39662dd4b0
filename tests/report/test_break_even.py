import math
from dataclasses import replace

import pytest

from flatmin.report.break_even import break_even, break_even_sheet, break_even_table, large_batch_pays
from flatmin.report.published import LARGE, SMALL


@pytest.mark.parametrize(("ratio", "pays"), [(0.1, True), (0.499, True), (0.5, False), (0.501, False), (1.0, False)])
def test_the_papers_example_has_its_boundary_at_one_half(ratio, pays):
    assert large_batch_pays(1000, 1000 * ratio, batch_small=512, batch_large=5120, efficiency_small=0.2) is pays


@pytest.mark.parametrize("processors", [1, 8, 64])
@pytest.mark.parametrize("efficiency", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("iterations_large", [10, 300, 4000])
def test_the_model_is_the_comparison_of_two_times(processors, efficiency, iterations_large):
    small = 1000 * 256 / (processors * efficiency)
    large = iterations_large * 5000 / processors
    assert large_batch_pays(1000, iterations_large, 256, 5000, efficiency) is (large < small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations_small": 0}, r"`iterations_small` must be positive, got 0"),
        ({"iterations_large": -1}, r"`iterations_large` must be positive, got -1"),
        ({"batch_large": float("nan")}, r"`batch_large` must be positive, got nan"),
        ({"efficiency_small": 1.5}, r"`efficiency_small` must be at most 1, got 1\.5"),
    ],
)
def test_bad_numbers_are_refused(change, message):
    numbers = dict.fromkeys(("iterations_small", "iterations_large", "batch_small", "batch_large"), 1.0)
    with pytest.raises(ValueError, match=message):
        large_batch_pays(**(numbers | {"efficiency_small": 0.5} | change))


@pytest.fixture
def trained(study, both):
    """Two seeds: small batches are at 90 % after epochs 1 and 3, large ones after 4 and 4; few reach 95 %."""
    heights = {
        (SMALL, 0): [0.1, 0.9, 0.96, 0.97, 0.97],
        (SMALL, 1): [0.1, 0.2, 0.85, 0.91, 0.91],
        (LARGE, 0): [0.1, 0.2, 0.3, 0.5, 0.92],
        (LARGE, 1): [0.1, 0.2, 0.3, 0.5, 0.90],
    }
    curves = [
        {"regime": regime, "seed": seed, "epoch": epoch, "accuracy": height}
        for (regime, seed), values in heights.items()
        for epoch, height in enumerate(values)
    ]
    minima = both("batch_size", [256, 256], [6000, 6000])
    return study(curves=curves, minima=minima)


def test_epochs_and_iterations_by_hand(trained):
    frame = break_even(trained).set_index("target")
    row = frame.loc[90.0]
    assert (row["epochs_small"], row["epochs_large"]) == (2.0, 4.0)
    assert (row["iterations_small"], row["iterations_large"]) == (2 * 235, 4 * 10)
    assert row["ratio"] == pytest.approx(40 / 470)
    assert row["efficiency"] == pytest.approx(256 * 470 / (6000 * 40))
    assert row[["reached_small", "seeds_small", "reached_large", "seeds_large"]].tolist() == [2, 2, 2, 2]


def test_an_accuracy_that_some_seed_misses_does_not_count(trained):
    """95 % is reached by seed 0 of the small batch alone, after epoch 2; nobody reaches 98 %."""
    frame = break_even(trained).set_index("target")
    assert list(frame.index) == [80.0, 90.0, 95.0]
    row = frame.loc[95.0]
    assert row[["reached_small", "seeds_small", "reached_large", "seeds_large"]].tolist() == [1, 2, 0, 2]
    assert row[["epochs_small", "epochs_large", "ratio", "efficiency"]].isna().all()
    assert (
        r"\quad 95 \% & 1 of 2 seeds & 0 of 2 seeds & -- & -- & -- & --"
        in break_even_sheet(break_even_table([trained])).latex
    )


def test_a_seed_that_diverged_has_not_reached_it(trained):
    minima = trained.tables.minima
    lost = minima["status"].where(minima["seed"] == 0, "diverged")
    curves = trained.tables.curves
    lower = curves["accuracy"].where((curves["seed"] == 0) | (curves["regime"] == SMALL), 0.1)
    tables = trained.tables.having(minima=minima.assign(status=lost), curves=curves.assign(accuracy=lower))
    row = break_even(replace(trained, tables=tables)).set_index("target").loc[90.0]
    assert (row["reached_small"], row["reached_large"], row["seeds_large"]) == (2, 1, 2)
    assert math.isnan(row["ratio"])


def test_running_averages_have_no_say(trained):
    curves = trained.tables.curves.assign(running_accuracy=0.0)
    other = replace(trained, tables=trained.tables.having(curves=curves))
    assert break_even(other).equals(break_even(trained))


def test_a_large_batch_that_is_not_larger_has_no_rows(trained):
    minima = trained.tables.minima.assign(batch_size=256)
    assert len(break_even(replace(trained, tables=trained.tables.having(minima=minima)))) == 0


def test_below_its_efficiency_the_large_batch_pays(trained):
    for row in break_even(trained).itertuples():
        for factor, pays in ((0.99, True), (1.01, False)):
            efficiency = row.efficiency * factor
            if not math.isnan(row.ratio) and efficiency <= 1:
                found = large_batch_pays(row.iterations_small, row.iterations_large, 256, 6000, efficiency)
                assert found is pays


def test_table_names_the_study_and_is_there_without_any(trained, study):
    frame = break_even_table([trained])
    assert set(frame["study"]) == {"keskar_f1"}
    assert r"\quad 90 \% & 2 & 4 & 470 & 40 & 0.0851 & 0.501" in break_even_sheet(frame).latex
    for studies in ([], [study()]):
        assert len(break_even_table(studies)) == 0
        assert r"\bottomrule" in break_even_sheet(break_even_table(studies)).latex
