import re

import pytest

from flatmin.core.errors import ResultsError
from flatmin.report.claims import judge
from flatmin.report.finding import evidence
from flatmin.report.numbers import macros, numbers_frame, numbers_tex
from flatmin.report.subjects import subjects


@pytest.fixture
def numbers():
    def of(*studies) -> dict[str, str]:
        return macros(studies, judge(studies), evidence(subjects(studies)))

    return of


def test_means_spreads_and_the_papers_numbers(numbers, study, both):
    found = numbers(study(minima=both("test_accuracy", [0.80, 0.82], [0.70, 0.71])))
    assert found["FOneTestSmall"] == "81.00 ± 1.41"
    assert found["FOneTestSmallMean"] == "81.00"
    assert found["PaperFOneTestSmall"] == "98.03 ± 0.07"
    assert found["PaperCThreeSharpnessRatio"] == "8.67"
    assert (found["FOneSeeds"], found["FOneEpochs"], found["FOneData"]) == ("2", "100 epochs", "MNIST")


def test_every_macro_of_the_six_studies_is_there_without_any(numbers, complete):
    none, all_of_them = numbers(), numbers(complete())
    mine = {name for name in all_of_them if name.startswith("FOne")}
    assert mine <= set(none)
    assert {none[name] for name in mine} == {"not run"}
    assert none["PaperFOneTestSmall"] == all_of_them["PaperFOneTestSmall"]


def test_readings_have_their_own(numbers, study, both):
    rows = both("sharpness", [2.0], [8.0]) + both("sharpness", [1.0], [5.0], method="paper")
    found = numbers(study(minima=both("test_accuracy", [0.8], [0.7]), sharpness=rows))
    assert (found["FOneSharpnessRatio"], found["FOneReading"]) == ("4.00", "strong search, batch statistics")
    assert (found["FOneStrongBatchSharpnessRatio"], found["FOnePublishedBatchSharpnessRatio"]) == ("4.00", "5.00")


def test_verdicts(numbers, complete):
    found = numbers(complete())
    assert (found["KTwoVerdict"], found["KTwoHolds"], found["KTwoNotRun"]) == ("holds", "F1", "F2, C1, C2, C3, C4")
    assert (found["FOneKTwoVerdict"], found["FOneKThreeReadings"]) == ("holds", "all 4 readings agree: holds")
    counts = [
        int(found[f"Claims{verdict}"])
        for verdict in (
            "Holds",
            "HoldsWhereDecided",
            "DoesNotHold",
            "DoesNotHoldWhereDecided",
            "Mixed",
            "Undecided",
            "NotRun",
        )
    ]
    assert sum(counts) == 20


def test_further_studies_have_names_of_their_own(numbers, complete):
    found = numbers(complete("C1", "cifar10"), complete("C1", "cifar10", name="keskar_c1_text", variant="paper"))
    assert found["COneTextLabel"] == "C1 (text strides), CIFAR-10, 100 epochs, 4 seeds"
    assert "COneTextTestSmall" in found


def test_names_are_letters_and_text_is_escaped(numbers, complete):
    text = numbers_tex(numbers(complete()))
    lines = text.splitlines()[1:]
    assert all(re.fullmatch(r"\\newcommand\{\\flatmin[A-Za-z]+\}\{.*\}", line) for line in lines)
    names = [line.split("}")[0] for line in lines]
    assert len(names) == len(set(names))
    assert not re.search(r"(?<!\\)[%&#_]|±|×|ε", "".join(lines))


def test_list_of_names(numbers, complete):
    frame = numbers_frame(numbers(complete())).set_index("macro")
    assert frame.loc[r"\flatminFOneSeeds", "text"] == "4"


def test_studies_with_the_same_name_in_words_are_refused(numbers, study):
    with pytest.raises(ResultsError, match=r"keskar_f1 and f1 have the same name in words; rename one folder"):
        numbers(study("keskar_f1"), study("f1"))


def test_finding_has_numbers_of_each_study_and_of_all(numbers, study, both):
    rows = both("sharpness", [2.0], [8.0]) + both("sharpness", [1.0], [0.5], method="paper")
    first = study(minima=both("test_accuracy", [0.8], [0.7]), sharpness=rows)
    other = study("fig6_digits", data="digits", minima=both("test_accuracy", [0.8], [0.7]), sharpness=rows)
    found = numbers(first, other)
    assert (found["FindingFOneShareSmall"], found["FindingFOneOrderStrong"]) == ("50", "4.0")
    assert (found["FindingFOneTurned"], found["FindingFigSixDigitsTurned"]) == ("1 of 1", "1 of 1")
    assert (found["FindingTurned"], found["FindingSharper"]) == ("2 of 2", "2 of 2")
    assert (found["FindingFOneRankLarge"], found["FindingFTwoRankLarge"]) == ("–", "not run")
