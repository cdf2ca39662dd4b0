"""The claims of the book and of other papers, read out of what their studies say."""

from types import SimpleNamespace
from typing import Any

import pytest

from flatmin.report.other_claims import other_claims_sheet


def studies(**sentences: list[object]) -> Any:
    return [
        SimpleNamespace(name=name, tables=None, kind=SimpleNamespace(printed=lambda tables, said=said: said))
        for name, said in sentences.items()
    ]


@pytest.mark.parametrize(
    ("sentence", "row"),
    [
        ("L4 holds: 20 of 20.", ("L4", "", "holds")),
        ("L6 at equal updates instead does not hold: -0.1.", ("L6", "at equal updates instead", "does not hold")),
        ("R6 (accuracy), lr/B counts: undecided; 0.2.", ("R6", "(accuracy), lr/B counts", "undecided")),
        ("R1, the function stays: holds; by 1e-16.", ("R1", "the function stays", "holds")),
    ],
)
def test_a_sentence_that_judges_a_claim_is_a_row(sentence, row):
    frame = other_claims_sheet(studies(one=[sentence])).frame
    (found,) = frame[["", "part or reading", "verdict"]].itertuples(index=False, name=None)
    assert found == row
    assert frame["claim"].item()


def test_claims_of_several_studies_are_in_the_order_of_their_numbers():
    sheet = other_claims_sheet(studies(one=["R6 holds: a.", "L10 holds: b.", "Of it L1 holds."], two=["L9 holds: c."]))
    assert list(zip(sheet.frame[""], sheet.frame["study"], strict=True)) == [
        ("L9", "two"),
        ("L10", "one"),
        ("R6", "one"),
    ]


def test_studies_that_judge_none_have_no_table():
    assert other_claims_sheet(studies(one=["Intervals are t intervals.", object()])) is None
