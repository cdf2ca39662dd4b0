"""The toy network against the closed forms of the chapter, and as a study like any other."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flatmin.cli import app
from flatmin.core.errors import ConfigError, FlatminError
from flatmin.core.kind import kind_named
from flatmin.experiments import Study, load_experiment, run
from flatmin.results import Store, Tables
from flatmin.studies.toy.found import sentences

FILE = "name: toy\nkind: toy\nresources: {wandb: {mode: disabled}}\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def tables(file, tmp_path):
    return run(Study.of(load_experiment(file), results=tmp_path))


def flatmin(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"}, catch_exceptions=False)


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".tables.lock"}


def test_eigenvalues_are_those_of_the_closed_form(tables):
    points = tables.frames["critical_points"].set_index(["w1", "w2"])
    for (w1, w2), found in points.iterrows():
        hessian = np.array([[2 * w2**2, 4 * w1 * w2 - 2], [4 * w1 * w2 - 2, 2 * w1**2]])
        assert [found["lowest"], found["highest"]] == pytest.approx(np.linalg.eigvalsh(hessian), abs=1e-12)
        assert found["loss"] == (1 - w1 * w2) ** 2
    assert points.loc[(0, 0), "kind"] == "saddle"
    assert (points.drop(index=[(0, 0)])["kind"] == "minimum or flat").all()
    assert points.loc[(0.5, 2), ["negative", "zero", "positive"]].tolist() == [0, 1, 1]


def test_descents_are_the_recursion_written_out(tables):
    descents = tables.frames["descents"]
    for (method, *start), way in descents.groupby(["method", "start_w1", "start_w2"]):
        weights, velocity, beta = np.array(start), np.zeros(2), {"descent": 0.0, "momentum": 0.9}[method]
        for row in way.itertuples():
            assert [row.w1, row.w2] == pytest.approx(weights, abs=1e-12)
            gradient = -2 * weights[::-1] * (1 - weights.prod())
            velocity = beta * velocity - 0.1 * gradient
            weights = weights + velocity


def test_what_is_said_is_what_the_reference_says(tables):
    said = list(sentences(tables))
    assert said[0].startswith("L1 holds: eigenvalues at 5 critical points")
    assert any(line.startswith("L2 holds") for line in said)
    assert any(line.startswith("Gradient descent from (0.01, 0.01): loss below 0.001 after 33 steps") for line in said)
    assert any(line.startswith("Momentum from (0.01, 0.01): loss below 0.001 after 23 steps") for line in said)
    assert sum("at the saddle after 300 steps, loss 1, on the line w1 = -w2" in line for line in said) == 2


def test_what_does_not_hold_is_said(tables):
    points = tables.frames["critical_points"]
    assert next(sentences(tables.having(critical_points=points.assign(lowest=-1.9)))).startswith("L1 does not hold")
    escapes = tables.frames["escapes"].assign(loss=1.5)
    assert any("L2 does not hold" in line for line in sentences(tables.having(escapes=escapes)))


def test_a_point_that_is_no_critical_point_is_named(file, tmp_path):
    found = run(Study.of(load_experiment(file, ["points=[[1, 0]]"]), results=tmp_path)).frames["critical_points"]
    assert found["kind"].tolist() == ["no critical point"] and found["gradient_norm"].tolist() == [2.0]


def test_a_descent_that_diverges_ends_and_is_said(file, tmp_path):
    found = run(Study.of(load_experiment(file, ["learning_rate=5"]), results=tmp_path))
    assert any("diverged after" in line for line in sentences(found))


def test_a_budget_cuts_the_steps_and_says_so(file, tmp_path):
    study = Study.of(load_experiment(file, ["budget=0.1"]), results=tmp_path)
    assert [remark.text for remark in study.reduced] == ["30 of 300 steps"]
    assert run(study).frames["descents"]["step"].max() == 30


def test_it_is_run_listed_drawn_and_reported_like_any_other(file, tmp_path):
    results = tmp_path / "results"
    ran = flatmin("run", file, "--results", results)
    assert ran.exit_code == 0 and "L1 holds" in ran.output and "4 descents" in ran.output
    folder = results / "toy"
    assert {path.name for path in (folder / "figures").iterdir()} == {"toy.csv", "toy.pdf", "toy.png"}
    assert {path.name for path in (folder / "tables").iterdir()} == {
        *("critical_points.csv", "escapes.csv", "descents.csv", "provenance.json"),
    }
    before = written(folder)
    assert "10 done" not in flatmin("run", file, "--results", results).output
    assert written(folder) == before
    assert "toy" in flatmin("list", results).output and len(Store(folder).records()) == 10
    drawn = flatmin("figures", folder, "--out", tmp_path / "again")
    assert "1 figure, 3 files" in drawn.output and "L2 holds" in drawn.output
    pd.testing.assert_frame_equal(
        Tables.read(folder / "tables").frames["descents"], pd.read_csv(folder / "figures" / "toy.csv")
    )
    reported = flatmin("report", folder, "--out", tmp_path / "report")
    assert "toy: The toy network y = w1 w2 x" in reported.output
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## The toy network y = w1 w2 x (toy)" in text and "L1 holds" in text and "![toy](toy/toy.png)" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["start=3"], "override start=3: unknown key 'start'; did you mean 'starts'?"),
        (["points=[[1]]"], "override points=[[1]]: points[0][1] is missing."),
        (["methods=[adam]"], "methods[0] must be 'descent' or 'momentum', got 'adam'."),
        (["learning_rate=0"], "learning_rate must be positive, got 0"),
        (["data=mnist"], "unknown key 'data'"),
    ],
)
def test_bad_settings_are_one_line(file, changes, message):
    with pytest.raises(ConfigError) as error:
        load_experiment(file, changes)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_kind_is_named(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nkind: comparisn\n")
    with pytest.raises(FlatminError, match=r"x\.yaml: kind must be one of .*, got 'comparisn'"):
        load_experiment(path)
    with pytest.raises(ConfigError, match="kind must be one of"):
        kind_named(["toy"])
