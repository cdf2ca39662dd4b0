"""``flatmin wandb report``: its options, what it prints, and bad input in one line."""

import json

import pytest
from invented import rows_of

from flatmin.results import Tables


@pytest.fixture
def folder(tmp_path):
    """A study of two networks with nothing but their accuracies."""
    rows = [
        {"network": "F1", "data": "mnist", "regime": regime, "batch_size": size, "seed": 0, "status": "finished"}
        | {"epochs": 2, "train_accuracy": 0.9, "test_accuracy": 0.8}
        for regime, size in (("small_batch", 256), ("large_batch", 6000))
    ]
    minima = rows_of("minima", rows)
    place = tmp_path / "plain"
    Tables(minima=minima).write(place / "tables")
    return place


def test_two_files_beside_the_tables(folder, flatmin):
    out = folder / "wandb_report.json"
    assert flatmin("wandb", "report", folder) == (0, f"{out}\n{out.with_suffix('.md')}\n", "")
    assert json.loads(out.read_text())["displayName"] == "plain: F1 on MNIST"
    text = out.with_suffix(".md").read_text()
    assert "- F1 on MNIST: no verdict, the sharpness was not measured.\n" in text
    assert "| F1 | mnist | test accuracy (%) |  | 80.00 | 80.00 | – | 1 |\n" in text


def test_elsewhere_and_for_another_project(folder, tmp_path, flatmin):
    out = tmp_path / "new" / "report.json"
    said = flatmin("wandb", "report", folder / "tables", "--out", out, "--project", "P", "--entity", "E")
    assert (said.status, said.err) == (0, "")
    assert json.loads(out.read_text())["project"] == {"name": "P", "entityName": "E"}
    assert not list(folder.glob("*.json"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("none", "no results at {}; run the experiment first."),
        (
            "bare",
            "{} holds no complete tables: provenance.json, written last, is missing; `flatmin run` with the same "
            "settings goes on and writes it.",
        ),
    ],
)
def test_folder_without_a_study(tmp_path, flatmin, place, message):
    (tmp_path / "bare").mkdir()
    said = flatmin("wandb", "report", tmp_path / place)
    assert said == (2, "", f"Error: {message.format(tmp_path / place)}\n")
    assert not list(tmp_path.rglob("*.json"))


def test_file_of_another_kind(folder, flatmin):
    said = flatmin("wandb", "report", folder, "--out", "report.html")
    assert said == (2, "", "Error: the report's file must end in .json, got report.html.\n")


def test_publishing_without_an_account_leaves_the_files(folder, flatmin, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "login", lambda **options: False)
    said = flatmin("wandb", "report", folder, "--publish")
    assert (said.status, len(said.out.splitlines())) == (2, 2)
    assert said.err.startswith("Error: no W&B account is known here") and said.err.count("\n") == 1
    assert (folder / "wandb_report.json").exists()


def test_help_says_what_is_sent(flatmin):
    said = flatmin("wandb", "report", "--help")
    assert said.status == 0 and "Nothing is sent to W&B without" in " ".join(said.out.split())
