"""The finding and the held-out sharpness as tables and numbers by name."""

import math

import pytest

from flatmin.report.finding import evidence
from flatmin.report.finding_tables import NUMBERS, SHEET_COLUMNS, finding_sheet, seeds_text, totals
from flatmin.report.held_out import held_out, held_out_sheet
from flatmin.report.published import LARGE, SMALL
from flatmin.report.subjects import subjects
from flatmin.results.intervals import Interval


def rows_of(published, strong, **more):
    """One search of either kind for each regime and seed."""
    return [
        {"regime": regime, "seed": seed, "method": method, "sharpness": value} | more
        for method, pair in (("paper", published), ("strong", strong))
        for regime, values in zip((SMALL, LARGE), pair, strict=True)
        for seed, value in enumerate(values)
    ]


def minima(seeds=2):
    return [{"regime": regime, "seed": seed} for regime in (SMALL, LARGE) for seed in range(seeds)]


@pytest.fixture
def found(study):
    def build(rows, **more):
        return evidence(subjects([study(minima=minima(), sharpness=rows, **more)]))

    return build


def test_line_of_a_network_has_every_number(found):
    rows = rows_of(([1, 2], [1, 30]), ([4, 4], [10, 40])) + rows_of(([5, 1], [0, 0]), ([9, 9], [9, 9]), epsilon=5e-4)
    (line,) = finding_sheet(found(rows)).frame.to_numpy().tolist()
    assert line == ["F1, 2 seeds", "35 (25 to 50)", "27 (10 to 75)", "1 of 4", "0 of 2", "–", "–", "–", "–", "–"]
    assert set(SHEET_COLUMNS) <= set(NUMBERS)


def test_table_without_a_study_says_so():
    sheet = finding_sheet([])
    assert sheet.frame.empty
    assert "No study has both searches." in sheet.latex


def test_other_batches_of_the_loss_are_noted_below(found):
    rows = rows_of(([1, 1], [2, 2]), ([1.0, 1.0], [25.7, 25.7]), partition=899.0)
    rows += rows_of(([1, 1], [2, 2]), ([1.1, 1.1], [10.6, 10.6]), partition=144.0)
    notes = finding_sheet(found(rows)).notes
    assert notes[1] == (
        "F1, sharpness of small and large batch by the strong search (2 seeds): in batches of 144, 1.10 and 10.6 %; "
        "in batches of 899, 1.00 and 25.7 %."
    )


def test_totals_are_sums_of_counts_and_ranges_of_single_seeds(found, study):
    other = study("keskar_f2", "F2", "timit", minima=minima(1), sharpness=rows_of(([8], [3]), ([10], [12])))
    first = study(minima=minima(), sharpness=rows_of(([1, 2], [1, 30]), ([4, 4], [10, 40])))
    total = totals(evidence(subjects([first, other])))
    assert (total["Sharper"], total["Turned"]) == ("3 of 3", "1 of 3")
    assert (total["ShareSmall"], total["ShareLarge"]) == ("25 to 80", "10 to 75")
    assert totals([])["ShareSmall"] == "–"


def test_range_of_one_seed_is_not_written():
    nan = math.nan
    assert seeds_text(Interval(5.0, nan, nan, (5.0,))) == "5.0"
    assert seeds_text(Interval(nan, nan, nan, ())) == "–"


def test_held_out_table_has_few_examples_beside_all(found):
    few = {"examples": 500, "standard_error": 2.0, "heldout_standard_error": 0.5, "test_standard_error": 0.25}
    rows = [
        row | few | {"heldout_sharpness": row["sharpness"] / 4, "test_sharpness": row["sharpness"] / 8}
        for row in rows_of(([1, 1], [1, 1]), ([24, 24], [480, 480]))
    ]
    nothing = {"heldout_sharpness": math.nan, "test_sharpness": math.nan, "test_standard_error": math.nan}
    rows += rows_of(([1, 1], [1, 1]), ([13, 13], [416, 416]), examples=10000, **nothing)
    found = found(rows)
    lines = held_out_sheet([one.subject for one in found]).frame.to_numpy().tolist()
    assert lines[0][0] == "F1, MNIST, 100 epochs, 2 seeds, on 500 and 10,000 examples, strong search"
    assert lines[1] == ["  small batch", "24.0 ± 2.0", "6.00 ± 0.50", "3.00 ± 0.25", "13.0"]
    assert lines[2][1:] == ["480 ± 2.0", "120 ± 0.50", "60.0 ± 0.25", "416"]
    assert lines[3][1:] == ["20", "20", "20", "32"]


def test_studies_searched_on_all_examples_alone_have_no_held_out_line(found):
    rows = rows_of(([1, 1], [1, 1]), ([13, 13], [416, 416]), heldout_sharpness=math.nan)
    (one,) = found(rows)
    assert held_out(one.subject) is None
    assert held_out_sheet([one.subject]).frame.empty


def test_minima_that_do_not_rise_on_held_out_examples_have_no_ratio(found):
    rows = rows_of(([1, 1], [1, 1]), ([24, 24], [480, 480]), heldout_sharpness=-0.5, test_sharpness=1.0)
    lines = held_out_sheet([found(rows)[0].subject]).frame.to_numpy().tolist()
    assert [line[2] for line in lines[1:]] == ["−0.500", "−0.500", "–"]
