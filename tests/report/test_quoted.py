import pytest

from flatmin.core.errors import ResultsError
from flatmin.report.quoted import quotations, those_quoted

READS = r"\input{generated/numbers}"


@pytest.fixture
def quoted(tmp_path):
    """Writes TeX files beside a report and gives the names that they quote, with the names of the files."""

    def of(**files: str) -> dict[str, str]:
        for name, text in files.items():
            (tmp_path / f"{name}.tex").write_text(text)
        return {name: path.name for name, path in quotations(tmp_path / "generated").items()}

    return of


def test_a_quotation_is_a_macro_or_its_short_form(quoted):
    text = rf"{READS} \n{{FOneTestSmall}}, $p=\n{{KTwoHolm}}$ and \flatminProtocolTrials{{}} of 50\% \n{{ClaimsMixed}}"
    assert [*quoted(main=text)] == ["FOneTestSmall", "KTwoHolm", "ProtocolTrials", "ClaimsMixed"]


def test_a_verdict_is_quoted_with_its_networks(quoted):
    parts = ("Verdict", "Holds", "DoesNotHold", "Undecided", "NotRun")
    assert [*quoted(main=rf"{READS} \verdict{{KThree}}")] == [f"KThree{part}" for part in parts]


def test_definitions_and_comments_quote_nothing(quoted):
    lines = [READS, r"\newcommand{\n}[1]{\flatmin#1}", r"\textit{\n{K#1} \verdict{K#1}}", r"% \n{FOneSeeds}"]
    assert quoted(main="\n".join(lines)) == {}


def test_all_files_of_a_document_are_read(quoted):
    assert quoted(main=rf"{READS}\input{{part}}", part=r"\n{FOneData}") == {"FOneData": "part.tex"}


def test_files_that_read_no_numbers_are_no_document_of_the_report(quoted):
    assert quoted(other=r"\n{FOneData}") == {}


def test_what_is_quoted_is_written_and_all_where_nothing_is(tmp_path):
    numbers = {"FOneData": "MNIST", "FOneSeeds": "3"}
    assert those_quoted(numbers, {"FOneSeeds": tmp_path}) == {"FOneSeeds": "3"}
    assert those_quoted(numbers, {}) == numbers


def test_a_name_that_nothing_has_is_refused_with_its_file(tmp_path):
    with pytest.raises(ResultsError, match=r"gives \\flatminFOneSeed \(main\.tex\), \\flatminFTwoSeed \(part\.tex\);"):
        those_quoted({"FOneSeeds": "3"}, {"FOneSeed": tmp_path / "main.tex", "FTwoSeed": tmp_path / "part.tex"})
