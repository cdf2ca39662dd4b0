import pytest

from flatmin.core.errors import ResultsError
from flatmin.results.remarks import EVERYTHING, Remark, concerning, remarks

SENTENCES = {
    "Sharpness on 20 examples.": "sharpness",
    "Average-case sharpness on 20 examples": "average_case",
    "Effort of the search on 20 examples": "effort",
    "Slices on 20 examples": "lines",
    "Planes on 20 examples": "planes",
    "Records in batches of 20": EVERYTHING,
    "The sharpness is searched on 20 examples": EVERYTHING,
}


def test_a_sentence_alone_is_known_by_its_beginning():
    found = remarks({"reduced": [*SENTENCES]}, "reduced")
    assert {remark.text.removesuffix("."): remark.concerns for remark in found} == {
        text.removesuffix("."): concerns for text, concerns in SENTENCES.items()
    }


def test_an_entry_says_what_it_concerns_whatever_its_words():
    written = [Remark("Slices of the data", "sharpness"), Remark("Sharpness and all else")]
    provenance = {"reduced": [remark._asdict() for remark in written]}
    assert remarks(provenance, "reduced") == written


def test_kinds_are_read_in_turn_and_may_be_absent():
    provenance = {"cautions": ["Batches of 13"], "reduced": ["Half the data"]}
    assert [remark.text for remark in remarks(provenance, "reduced", "cautions")] == ["Half the data", "Batches of 13"]
    assert remarks({}, "reduced", "cautions") == []


def test_what_concerns_other_tables_is_left_out():
    found = [Remark("Half the data"), Remark("A few examples", "sharpness"), Remark("A few more", "planes")]
    assert concerning(found, "sharpness", "minima") == ["Half the data", "A few examples"]
    assert concerning(found) == ["Half the data"]


@pytest.mark.parametrize(
    "entries", [None, 3, "a sentence", {"text": "a"}, [None], [3], [["a", "b"]], [{"concerns": "x"}]]
)
def test_other_remarks_are_refused_in_one_line(entries):
    with pytest.raises(ResultsError, match="under 'reduced'") as error:
        remarks({"reduced": entries}, "reduced")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("entry", [{"text": None}, {"text": "a", "concerns": 3}, {"text": "a", "more": "b"}])
def test_remarks_have_a_text_and_what_it_concerns_and_no_more(entry):
    with pytest.raises(ResultsError, match="must be a text or have one"):
        remarks({"cautions": [entry]}, "cautions")
