"""The W&B report: its files without account or network, its panels against real offline runs, its way to W&B."""

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from invented import rows_of

from flatmin.core.errors import FlatminError, ResultsError
from flatmin.experiments import run
from flatmin.report.wandb_panels import library
from flatmin.report.wandb_report import (
    StudyReport,
    markdown,
    publish,
    report_specification,
    specification,
    write_report,
)
from flatmin.results import Tables

PROVENANCE = {
    "experiment": {
        "name": "tiny",
        "about": "A first look\n  at | nothing.",
        "training": {"optimizer": "adam", "learning_rate": 0.001},
        "resources": {"wandb": {"project": "flat", "entity": None}},
    },
    "reduced": [{"text": "Sharpness on the first 20 of 1,437 training examples", "concerns": "sharpness"}],
    "made_with": {"flatmin": ["0.1.0"], "git": [{"commit": "6bc0269ae4f966a1", "dirty": False}, None]},
}


def made(**changes):
    """Two seeds of both methods: accuracies 0.90, 0.92 and 0.80, 0.84; sharpness 1, 2 and 10, 40."""
    minima, searches = [], []
    for regime, size, accuracies, sharpness in (
        ("small_batch", 16, (0.90, 0.92), (1.0, 2.0)),
        ("large_batch", 1200, (0.80, 0.84), (10.0, 40.0)),
    ):
        for seed in (0, 1):
            facts = {"network": "F1", "data": "digits", "regime": regime, "seed": seed}
            scores = {
                f"{split}_{kind}": accuracies[seed] for split in ("train", "test") for kind in ("loss", "accuracy")
            }
            minima.append({**facts, **scores, "batch_size": size, "status": "finished", "epochs": 5})
            search = {"space": "full", "epsilon": 1e-3, "method": "paper", "batch_norm": "batch", "examples": 20}
            searches.append({**facts, **search, "distribution": "identity", "sharpness": sharpness[seed]})
            searches[-1]["converged"] = True
    frames = {"minima": rows_of("minima", minima), "sharpness": rows_of("sharpness", searches)}
    return Tables(**{**frames, "provenance": PROVENANCE, **changes})


@pytest.fixture
def folder(tmp_path):
    """A study with two figures, one with a space in its name."""
    place = tmp_path / "results" / "tiny"
    made().write(place / "tables")
    (place / "figures").mkdir()
    for name in ("path_linear_F1.png", "a plane.png", "path_linear_F1.pdf"):
        (place / "figures" / name).touch()
    return place


@pytest.fixture
def cut_off(monkeypatch):
    """No account, and an error for whoever connects, looks up a host or starts W&B's service."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"went out: {args}")

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


def blocks(spec, kind):
    return [block for block in spec["spec"]["blocks"] if block["type"] == kind]


def panels(spec, view):
    grids = blocks(spec, "panel-grid")
    found = [panel for grid in grids for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]]
    return [panel["config"] for panel in found if panel["viewType"] == view]


def test_files_need_neither_account_nor_network(folder, cut_off):
    out = folder / "wandb_report.json"
    assert write_report(StudyReport.of(folder), out) == [out, folder / "wandb_report.md"]
    spec = json.loads(out.read_text())
    assert (spec["displayName"], spec["project"]) == (
        "tiny: F1 on digits (8×8)",
        {"name": "flat", "entityName": ""},
    )
    text = out.with_suffix(".md").read_text()
    assert len(blocks(spec, "markdown-block")) == 4
    assert all(f"\n{block['content']}\n" in text for block in blocks(spec, "markdown-block"))


def test_run_sets_are_the_networks_by_training_and_the_study(folder):
    (trained, *others) = [
        runs
        for grid in blocks(specification(report_specification(StudyReport.of(folder))), "panel-grid")
        for runs in grid["metadata"]["runSets"]
    ]

    def conditions(runs):
        return [(f["key"]["section"], f["key"]["name"], f["op"], f["value"]) for f in runs["filters"]["filters"]]

    assert conditions(trained) == [("run", "group", "=", "tiny"), ("run", "jobType", "!=", "study")]
    assert trained["grouping"] == [{"section": "run", "name": "group"}, {"section": "run", "name": "jobType"}]
    assert len(others) == 3 and all("project" not in runs for runs in (trained, *others))
    for runs in others:
        assert conditions(runs) == [("run", "group", "=", "tiny"), ("run", "jobType", "=", "study")]


def test_curves_are_drawn_over_the_epochs(folder):
    plots = panels(specification(report_specification(StudyReport.of(folder))), "Run History Line Plot")
    assert [(plot["xAxis"], plot["metrics"], plot["yLogScale"]) for plot in plots] == [
        ("epoch", ["train_loss"], True),
        ("epoch", ["test_loss"], True),
        ("epoch", ["train_accuracy"], False),
        ("epoch", ["test_accuracy"], False),
    ]


def test_library_reads_its_own_specification_back(folder):
    report = report_specification(StudyReport.of(folder))
    spec = specification(report)
    again = library().Report._from_model(type(report._to_model()).model_validate(spec))
    assert [type(block) for block in again.blocks] == [type(block) for block in report.blocks]
    for block, original in zip(again.blocks, report.blocks, strict=True):
        for kind in ("panels", "runsets"):
            assert [*map(type, getattr(block, kind, ()))] == [*map(type, getattr(original, kind, ()))]
    (runs,) = again.blocks[-3].runsets
    assert runs.filters == """Metric("Group") == 'tiny' and Metric("JobType") == 'study'"""


def test_panels_show_what_the_mirror_logged(make, monkeypatch, offline_runs):
    def render(tables, out):
        import matplotlib.image

        out.mkdir()
        matplotlib.image.imsave(out / "path_linear.png", [[0.0, 1.0]])
        return [out / "path_linear.png"]

    monkeypatch.setattr("flatmin.figures.render", render)
    wandb_on = {"device": "cpu", "wandb": {"mode": "offline"}}
    sharpness = {"methods": ["paper"], "spaces": ["full"], "batch_norm": ["batch", "running"], "examples": 20}
    study = make(sharpness=sharpness, resources=wandb_on)
    run(study, draw=study.kind.draw)
    runs = offline_runs(study.folder)
    spec = specification(report_specification(StudyReport.of(study.folder)))
    for plot in panels(spec, "Run History Line Plot"):
        for regime in ("small_batch", "large_batch"):
            assert all({*plot["metrics"], plot["xAxis"]} <= row.keys() for row in runs[regime].history)
    bars = panels(spec, "Bar Chart")
    assert [plot["chartTitle"] for plot in bars[:2]] == ["test accuracy", "train accuracy"] and len(bars) == 4
    shown = [key for plot in bars for key in plot["metrics"]]
    scalars = {key for key, value in runs["study"].summary.items() if isinstance(value, float)}
    assert sorted(shown) == sorted(key for key in scalars if key.startswith(("small_batch/", "large_batch/")))
    (row,) = runs["study"].history
    logged = {key.partition(".")[0] for key in row if key.endswith("._type")}
    tables = re.findall(r'"tables/\w+"', json.dumps(panels(spec, "Weave")))
    images = [key for browser in panels(spec, "Media Browser") for key in browser["mediaKeys"]]
    assert {key.strip('"') for key in tables} | {*images} == logged


def test_words_and_numbers(folder):
    text = markdown(StudyReport.of(folder), folder)
    assert "A first look at | nothing." in text
    for fact in (
        "Seeds: 0, 1.",
        "Batch sizes: small batch 16, large batch 1,200.",
        "Reduced: Sharpness on the first 20 of 1,437 training examples.",
        "Made with flatmin 0.1.0, commit 6bc0269ae.",
    ):
        assert f"- {fact}\n" in text
    assert "- Training: adam, learning rate 0.001, 5 epochs" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    cells = {row[2]: row[4:] for row in rows[2:]}
    # deviations of two values are their difference over the root of two: 0.02, 0.04, 1 and 30
    assert cells["test accuracy (%)"] == ["91.00 ± 1.41", "82.00 ± 2.83", "–", "2"]
    assert cells["sharpness (%), full space, ε 0.001"] == ["1.50 ± 0.71", "25 ± 21", "16.7 [10.0, 20.0]", "2"]
    assert re.search(r"- F1 on digits \(8×8\): .*the large-batch minimum is sharper, 16.7 times", text)


@pytest.mark.parametrize("place", [".", "reports", "../../elsewhere/deep"])
def test_markdown_links_its_figures_from_where_it_is(folder, place):
    out = folder / place / "report.json"
    text = write_report(StudyReport.of(folder), out)[1].read_text()
    links = re.findall(r"!\[.*?\]\((.+?)\)", text)
    assert not any(link.startswith("/") or " " in link for link in links)
    assert [(out.parent / unquote(link)).resolve() for link in links] == sorted((folder / "figures").glob("*.png"))


def test_without_figures_there_is_no_section_of_them(tmp_path):
    made().write(tmp_path / "tables")
    study = StudyReport.of(tmp_path)
    assert "## Figures" not in markdown(study, tmp_path)
    assert panels(specification(report_specification(study)), "Media Browser") == []


def test_frozen_tables_alone_will_do(tmp_path):
    made(provenance={}).write(tmp_path / "frozen")
    study = StudyReport.of(tmp_path / "frozen")
    assert (study.name, study.project, study.entity) == ("frozen", "flatmin", "")
    assert "- Training: 5 epochs" in markdown(study, tmp_path)


def test_project_and_entity_of_ones_own(folder):
    spec = specification(report_specification(StudyReport.of(folder, project="other", entity="team")))
    assert spec["project"] == {"name": "other", "entityName": "team"}


def test_long_title_is_cut_where_wandb_ends(tmp_path):
    minima = made().minima
    many = pd.concat([minima.assign(network=f"network_{number}") for number in range(20)])
    made(minima=many).write(tmp_path / "tables")
    assert len(specification(report_specification(StudyReport.of(tmp_path)))["displayName"]) == 128


def test_a_diverged_training_is_said(tmp_path):
    minima = made().minima
    minima.loc[0, "status"] = "diverged"
    made(minima=minima).write(tmp_path / "tables")
    assert "- 1 training diverged.\n" in markdown(StudyReport.of(tmp_path), tmp_path)


def test_bad_input_is_refused(folder, tmp_path):
    with pytest.raises(ResultsError, match=r"^no results at .*none; run the experiment first\.$"):
        StudyReport.of(tmp_path / "none")
    with pytest.raises(ResultsError, match=r"holds no complete tables: provenance\.json, written last, is missing; "):
        StudyReport.of(folder / "figures")
    with pytest.raises(FlatminError, match=r"^the report's file must end in \.json, got .*report\.txt\.$"):
        write_report(StudyReport.of(folder), tmp_path / "report.txt")
    Tables().write(tmp_path / "tables")
    with pytest.raises(ResultsError, match=r"^nothing to report: the tables `minima` and `sharpness` of .* are empty"):
        StudyReport.of(tmp_path)


def test_missing_package_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(FlatminError, match=r"needs the package wandb-workspaces; pip install 'flatmin\[reports\]'\.$"):
        write_report(StudyReport.of(folder), folder / "report.json")
    assert not list(folder.glob("report.*"))


def test_without_an_account_nothing_is_published(folder, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "login", lambda **options: options["prompt"])
    with pytest.raises(FlatminError, match=r"^no W&B account is known here, .* run `wandb login` or set WANDB_API_KEY"):
        publish(StudyReport.of(folder))


def test_silence_of_wandb_is_one_line(folder, monkeypatch):
    import wandb

    def fail():
        raise wandb.errors.CommError("no answer.\nand a long story")

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "login", lambda **options: True)
    monkeypatch.setattr(wandb, "Api", fail)
    with pytest.raises(FlatminError, match=r"^W&B did not take the report \(no answer\); check the network, [^\n]*$"):
        publish(StudyReport.of(folder))


class StandIn(BaseHTTPRequestHandler):
    """Answers what is asked on the way of a report to W&B, and keeps the report."""

    saved = ()
    asked = 0

    def do_POST(self):
        type(self).asked += 1
        content = self.rfile.read(int(self.headers["Content-Length"]))
        content = gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content
        answer = json.dumps({"data": self.answer(json.loads(content))} if self.path == "/graphql" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, request):
        query, values = request["query"], request.get("variables")
        if "upsertView" in query:
            type(self).saved += (values,)
            project = {"id": "p", "name": values["projectName"], "entityName": values["entityName"]}
            kept = {key: values[key] for key in ("name", "displayName", "description", "spec")}
            return {"upsertView": {"view": {"id": "Vmlldzox", "project": project, **kept}}}
        if "models(" in query:
            node = {
                "id": "p",
                "name": "flat",
                "entityName": "team",
                "createdAt": "",
                "isBenchmark": False,
                "user": None,
            }
            return {"models": {"edges": [{"node": node}], "pageInfo": {"endCursor": None, "hasNextPage": False}}}
        return {"viewer": {"id": "v", "entity": "team", "username": "me", "flags": "{}", "teams": {"edges": []}}}

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A stand-in for W&B on this machine, with an account in the environment."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    StandIn.saved, StandIn.asked = (), 0
    yield server
    server.shutdown()
    server.server_close()


def test_wandb_hears_of_the_report_only_when_it_is_published(folder, server):
    command = [sys.executable, "-m", "flatmin", "wandb", "report", str(folder)]
    written = subprocess.run(command, capture_output=True, text=True)
    assert (written.returncode, written.stderr, StandIn.asked) == (0, "", 0)
    published = subprocess.run([*command, "--publish"], capture_output=True, text=True)
    assert (published.stderr, published.returncode) == ("", 0)
    address = f"http://127.0.0.1:{server.server_port}/team/flat/reports/"
    assert published.stdout.splitlines()[-1].startswith(address)
    (saved,) = StandIn.saved
    assert (saved["entityName"], saved["projectName"], saved["id"]) == ("team", "flat", None)
    assert saved["displayName"] == "tiny: F1 on digits (8×8)"

    def anonymous(spec):
        return re.sub(r'"(__id__|id|ref)": "\w+"', "", json.dumps(spec, sort_keys=True))

    file = json.loads(Path(folder / "wandb_report.json").read_text())
    assert anonymous(json.loads(saved["spec"])) == anonymous(file["spec"])
