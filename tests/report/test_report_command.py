import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from flatmin.cli import main
from flatmin.core.kind import USUAL, kind_named
from flatmin.experiments import load_experiment
from flatmin.experiments.config import Resources
from flatmin.report.figures import CAPTIONS
from flatmin.report.quoted import quotations
from flatmin.results import Tables
from flatmin.results.provenance import portable

FROZEN = Path(__file__).parents[2] / "paper" / "data"


@pytest.fixture
def flatmin(monkeypatch, capsys, tmp_path):
    """Calls the command line in this process, in an empty folder, at the usual width of a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["flatmin", *map(str, arguments)])
        with pytest.raises(SystemExit, match=r"^\d+$") as end:
            main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def undrawn(monkeypatch):
    """Draws no figure of the report: they take the most time and have tests of their own."""
    named = [f"{name}.png" for name in CAPTIONS]
    monkeypatch.setattr("flatmin.report.build.report_figures", lambda studies, out: [out / name for name in named])
    monkeypatch.setattr("flatmin.report.build.finding_files", lambda found: {"finding.png": b""} if found else {})


def test_report_of_a_checkout_goes_to_paper_generated(flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "paper" / "data" / "keskar_f1")
    status, out, err = flatmin("report")
    assert (status, err) == (0, "")
    assert "keskar_f1: F1, MNIST, 100 epochs, 4 seeds" in out
    assert "files in paper/generated" in out
    assert max(map(len, out.splitlines())) <= 80
    written = tmp_path / "paper" / "generated"
    for name in ("accuracy.tex", "sharpness.tex", "claims.csv", "numbers.tex", "judgements.tex", "break_even.tex"):
        assert (written / name).stat().st_size > 0
    for name in ("finding.tex", "heldout.tex", "finding.pdf", "finding.png", "finding.csv"):
        assert (written / name).stat().st_size > 0
    claims = pd.read_csv(written / "claims.csv")
    held = claims[(claims["claim"] == "K2") & (claims["network"] == "F1")]
    assert held["verdict"].tolist() == ["holds"]
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (written / "report.md").read_text())
    assert sorted(shown) == sorted(file.name for file in written.glob("*.png")) and len(shown) > 2


def test_a_study_of_other_data_is_not_shown_as_a_table_of_what_was_not_run(undrawn, flatmin, complete, tmp_path):
    tables = complete().tables
    other = {name: frame.assign(data="digits") if "data" in frame else frame for name, frame in tables.frames.items()}
    Tables(provenance=tables.provenance, **other).write(tmp_path / "results" / "mine" / "tables")
    status, out, err = flatmin("report")
    assert (status, err) == (0, "") and "not run" not in out
    assert "No claim of the paper is judged" in out


def test_same_studies_give_the_same_bytes(undrawn, flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "frozen" / "keskar_f1")
    for place in ("one", "other"):
        flatmin("report", "frozen", "--out", place)
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}


def test_own_results_are_taken_where_nothing_is_frozen(undrawn, flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "results" / "keskar_f1" / "tables")
    for _ in range(2):
        status, out, _ = flatmin("report")
        assert status == 0
        assert "1 study" in out
    assert (tmp_path / "results" / "report" / "claims.tex").exists()


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("absent", "Error: no results at absent; name a study, or a folder of studies such as paper/data.\n"),
        (
            "empty",
            "Error: empty holds no study: there must be tables with a provenance.json; run an experiment.\n",
        ),
        (
            "unsealed",
            "Error: unsealed holds no complete tables: provenance.json, written last, is missing; `flatmin run` with "
            "the same settings goes on and writes it.\n",
        ),
    ],
)
def test_bad_folders_are_one_line(folder, said, flatmin, complete, tmp_path):
    (tmp_path / "empty").mkdir()
    complete().tables.write(tmp_path / "unsealed")
    (tmp_path / "unsealed" / "provenance.json").unlink()
    assert flatmin("report", folder) == (2, "", said)


def test_named_studies_leave_the_report_of_a_checkout_alone(undrawn, flatmin, complete, tmp_path):
    (tmp_path / "paper" / "data").mkdir(parents=True)
    complete().tables.write(tmp_path / "results" / "keskar_f1" / "tables")
    status, out, _ = flatmin("report", "results/keskar_f1/tables")
    assert status == 0
    assert "files in results/report" in out


def test_numbers_are_those_that_the_text_quotes(undrawn, flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "keskar_f1")
    text = tmp_path / "main.tex"
    text.write_text(r"\input{out/numbers} \n{FOneSeeds}")
    assert flatmin("report", "keskar_f1", "--out", "out")[0] == 0
    assert (tmp_path / "out" / "numbers.tex").read_text().splitlines()[1:] == [r"\newcommand{\flatminFOneSeeds}{4}"]
    text.write_text(r"\input{out/numbers} \n{FOneSeed}")
    status, _, err = flatmin("report", "keskar_f1", "--out", "out")
    assert (status, err.count("\n")) == (2, 1)
    assert r"\flatminFOneSeed (main.tex)" in err


def test_without_any_results_the_default_says_so(flatmin):
    status, _, err = flatmin("report")
    assert (status, err.count("\n")) == (2, 1)
    assert "no results at results" in err


def test_folder_that_cannot_be_written_is_one_line(undrawn, flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "keskar_f1")
    (tmp_path / "taken").write_text("")
    status, _, err = flatmin("report", "keskar_f1", "--out", "taken")
    assert (status, err.count("\n")) == (2, 1)
    assert "writing taken" in err


def test_markdown_report_holds_every_table_and_the_answer(undrawn, flatmin, complete, tmp_path):
    complete().tables.write(tmp_path / "keskar_f1")
    flatmin("report", "keskar_f1", "--out", "out")
    text = (tmp_path / "out" / "report.md").read_text()
    for caption in ("Table 2 of the paper", "Table 3 of the paper", "Table 4 of the paper", "appendix C of the paper"):
        assert caption in text
    for line in ("| K20 |", "**F1, MNIST**", "| keskar_f1 | F1, MNIST, 100 epochs, 4 seeds |", "by the strong search"):
        assert line in text
    assert "\\textsuperscript" not in text


def test_report_of_a_study_without_both_searches_says_that_the_question_is_open(flatmin, study, tmp_path):
    study(minima=[{"regime": "small_batch", "seed": 0}]).tables.write(tmp_path / "keskar_f1")
    status, _, err = flatmin("report", "keskar_f1", "--out", "out")
    assert (status, err) == (0, "")
    assert not (tmp_path / "out" / "finding.png").exists()
    assert "so the question is open here" in (tmp_path / "out" / "verdict.tex").read_text()


@pytest.mark.skipif(not FROZEN.is_dir(), reason="no frozen results beside these tests")
def test_committed_report_and_the_papers_text_are_those_of_the_frozen_results(undrawn, flatmin, tmp_path):
    shutil.copy(FROZEN.with_name("main.tex"), tmp_path)
    status, _, err = flatmin("report", FROZEN, "--out", "generated")
    assert (status, err) == (0, "")
    committed = (FROZEN.with_name("generated") / "report.md").read_text()
    assert (tmp_path / "generated" / "report.md").read_text() == committed, "run `flatmin report`, commit its report.md"
    written = pd.read_csv(tmp_path / "generated" / "numbers.csv")["macro"].str.removeprefix(r"\flatmin")
    assert set(written) == set(quotations(tmp_path / "generated"))


def commands(text: str) -> dict[str, list[str]]:
    """The arguments of each `flatmin run` in the README of the frozen results, by the study of its heading."""
    found = re.findall(r"^## `(\w+)`.*?```sh\nflatmin run (.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return {name: shlex.split(arguments.replace("\\\n", " ")) for name, arguments in found}


@pytest.mark.skipif(not FROZEN.is_dir(), reason="no frozen results beside these tests")
def test_commands_of_the_frozen_results_ask_for_what_their_provenance_says():
    asked = commands((FROZEN / "README.md").read_text())
    assert set(asked) == {place.name for place in FROZEN.iterdir() if place.is_dir()}
    for name, (file, *overrides) in asked.items():
        experiment = load_experiment(FROZEN.parents[1] / file, overrides)
        frozen = json.loads((FROZEN / name / "provenance.json").read_text())["experiment"]
        settings = kind_named(frozen.get("kind", USUAL)).settings
        assert experiment.name == name
        anywhere = {"resources": Resources()}
        assert experiment.model_copy(update=anywhere) == settings.model_validate(frozen).model_copy(update=anywhere)


@pytest.mark.skipif(not FROZEN.is_dir(), reason="no frozen results beside these tests")
def test_no_folder_of_a_machine_is_published_with_the_results():
    for file in FROZEN.glob("*/provenance.json"):
        found = json.loads(file.read_text())
        assert portable(found) == found, file
