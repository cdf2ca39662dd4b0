"""Folders of data that are not there."""

import pytest


@pytest.mark.parametrize("command", [("run",), ("data", "list"), ("data", "check", "mnist")])
@pytest.mark.parametrize("named", ["--data", "FLATMIN_DATA"])
def test_folder_that_is_not_there_is_refused(file, tmp_path, flatmin, monkeypatch, command, named):
    monkeypatch.delenv("FLATMIN_DATA", raising=False)
    nowhere = tmp_path / "nowhere"
    if named == "FLATMIN_DATA":
        monkeypatch.setenv(named, str(nowhere))
    arguments = [*command, *([file, "--plan"] if command == ("run",) else [])]
    said = flatmin(*arguments, *(["--data", nowhere] if named == "--data" else []))
    assert said.status == 2 and said.err.startswith(f"Error: {named} names {nowhere}, which is no folder; ")
    assert said.err.count("\n") == 1 and not nowhere.exists()


@pytest.mark.parametrize("command", ["measure", "slice"])
def test_folder_that_is_not_there_is_refused_for_a_checkpoint_too(tmp_path, flatmin, monkeypatch, command):
    monkeypatch.setenv("FLATMIN_DATA", str(tmp_path))
    nowhere = tmp_path / "nowhere"
    said = flatmin(command, "one.pt", "--network", "F1", "--data", "digits", "--data-root", nowhere)
    assert said.status == 2 and said.err.startswith(f"Error: --data-root names {nowhere}, which is no folder; ")
    assert said.err.count("\n") == 1 and not nowhere.exists()


def test_folder_of_a_variable_is_not_made_by_a_download(tmp_path, flatmin, monkeypatch):
    monkeypatch.setenv("FLATMIN_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr("flatmin.data.catalog.fetch", lambda *args, **kwargs: pytest.fail("downloads"))
    assert flatmin("data", "fetch", "mnist").status == 2 and not (tmp_path / "nowhere").exists()
