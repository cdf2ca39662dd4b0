import math

import pandas as pd
import pytest

from flatmin.report.claim import Claim, Finding, split, verdict_of
from flatmin.report.values import HEADLINE, READING_PREFIXES
from flatmin.results.intervals import Interval, of_mean, of_ratio


def finding(center: float, low: float, high: float, **more) -> Finding:
    return Finding("x", Interval(center, low, high, (center, center), (0, 1)), **more)


@pytest.mark.parametrize(
    ("low", "high", "wanted", "verdict"),
    [
        (0.1, 0.3, "above", "holds"),
        (-0.3, -0.1, "above", "does not hold"),
        (-0.1, 0.3, "above", "undecided"),
        (0.0, 0.3, "above", "undecided"),
        (0.1, 0.3, "below", "does not hold"),
        (-0.3, -0.1, "below", "holds"),
        (-0.1, 0.3, "below", "undecided"),
    ],
)
def test_verdict_is_where_the_interval_lies(low, high, wanted, verdict):
    assert finding((low + high) / 2, low, high, wanted=wanted).verdict == verdict


def test_boundary_moves_the_verdict():
    assert finding(5.0, 4.0, 6.0, boundary=3.9).verdict == "holds"
    assert finding(5.0, 4.0, 6.0, boundary=6.1).verdict == "does not hold"


@pytest.mark.parametrize(("value", "leaning"), [(2.0, "for"), (0.5, "against"), (1.0, "")])
def test_one_seed_is_undecided_and_leans(value, leaning):
    one = Finding("ratio", of_ratio(pd.Series([value]), pd.Series([1.0])), 1.0, unit="×")
    assert (one.verdict, one.leaning) == ("undecided", leaning)
    assert "1 seed" in one.text


def test_no_seed_was_not_run():
    one = Finding("ratio", of_mean(pd.Series(dtype=float)))
    assert one.verdict == "not run"
    assert one.text == "ratio: not run"


def test_zero_and_infinite_values_lean_by_their_seeds():
    ratio = of_ratio(pd.Series([1.0, 0.0, 3.0]), pd.Series([0.0, 1.0, 1.0]))
    one = Finding("ratio", ratio, 1.0, unit="×")
    assert (one.verdict, one.leaning) == ("undecided", "for")
    assert "2 of 3 seeds > 1, no interval: a value is 0 or infinite" in one.text


def test_text_has_number_interval_and_seeds():
    one = finding(0.5, 0.25, 0.75, unit=" points", note="a remark")
    assert one.text == "x 0.500 points [0.250 points, 0.750 points], 2 of 2 seeds > 0 (a remark)"
    assert finding(-0.5, -0.75, -0.25).value == "−0.500"


GOOD, BAD, OPEN = (finding(1, 0.5, 1.5), finding(-1, -1.5, -0.5), finding(0.5, -1, 2))
LEANS_AGAINST = finding(-0.5, -2, 1)
MISSING = Finding("x", Interval(math.nan, math.nan, math.nan, ()))
MISSING_END = Finding("x", of_mean(pd.Series([1.0])))


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([GOOD, GOOD], ("holds", "")),
        ([GOOD, BAD], ("does not hold", "")),
        ([OPEN, BAD], ("does not hold", "")),
        ([GOOD, OPEN], ("undecided", "for")),
        ([GOOD, OPEN, LEANS_AGAINST], ("undecided", "against")),
        ([GOOD, MISSING], ("not run", "")),
        ([], ("not run", "")),
    ],
)
def test_several_numbers_must_all_hold(findings, expected):
    assert verdict_of(findings) == expected


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.3), (-0.3, -0.1)])
def test_what_is_hindered_decides_nothing_and_says_why(low, high):
    one = finding((low + high) / 2, low, high, hindrance="the path ends", note="a remark")
    assert one.verdict == "undecided"
    assert one.leaning == ("for" if low > 0 else "against")
    assert one.text.endswith("(a remark; the path ends)")


def by_seed(values: dict[int, float], **more) -> Finding:
    return Finding("x", of_mean(pd.Series(values)), **more)


def test_a_seed_speaks_for_a_claim_if_all_its_numbers_do():
    """Seed 0 is for both, 1 against one, 2 on one boundary, 3 lacks a number, 4 is against both."""
    above = by_seed({0: 1.0, 1: 1.0, 2: 0.0, 3: 1.0, 4: -1.0})
    below = by_seed({4: 9.0, 2: 4.0, 1: 6.0, 0: 4.0}, boundary=5.0, wanted="below")
    assert split([above, below]) == (1, 2)
    assert split([above]) == (3, 1)


def test_a_seed_on_one_boundary_and_beyond_another_speaks_against():
    assert split([by_seed({0: 0.0}), by_seed({0: -1.0})]) == (0, 1)


def test_no_seed_speaks_where_a_number_cannot_decide_or_is_missing():
    assert split([by_seed({0: 1.0}), by_seed({0: 1.0}, hindrance="not fitted")]) == (0, 0)
    assert split([by_seed({0: 1.0}), MISSING]) == (0, 0)
    assert split([]) == (0, 0)


def test_claim_without_readings_is_judged_once(study):
    claim = Claim("K0", "It is so", lambda study, reading: [GOOD], lambda network: f"{network} said so")
    one, *others = claim.judged(study())
    assert others == []
    assert (one.verdict, one.reading, one.headline, one.paper) == ("holds", "", True, "F1 said so")
    assert claim.judged(study()) == [one]


def test_evidence_says_how_batch_norm_was_read(study):
    def test(study, reading):
        return [GOOD]

    plain = Claim("K0", "It is so", test, lambda network: "")
    assert plain.judged(study())[0].evidence == f"batch statistics: {GOOD.text}"
    indifferent = Claim("K0", "It is so", test, lambda network: "", statistics="")
    assert indifferent.judged(study())[0].evidence == GOOD.text
    read = Claim("K0", "It is so", test, lambda network: "", readings=READING_PREFIXES).judged(study())
    assert read[2].evidence == f"strong search, running averages: {GOOD.text}"


def test_an_interval_that_two_numbers_share_is_counted_once(study):
    claim = Claim("K0", "It is so", lambda study, reading: [GOOD, GOOD, OPEN, MISSING_END], lambda network: "")
    assert claim.judged(study())[0].intervals == 2


def test_first_reading_that_was_run_speaks(study):
    def test(study, reading):
        return [] if reading == HEADLINE else [BAD]

    found = Claim("K0", "It is so", test, lambda network: "", readings=READING_PREFIXES).judged(study())
    assert [one.headline for one in found] == [True, False, False]
    assert found[0].reading == "published search, batch statistics"
