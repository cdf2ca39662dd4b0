import subprocess
from datetime import UTC, datetime, timedelta
from importlib import metadata

import pytest

import flatmin
from flatmin.results.formats import plain
from flatmin.results.provenance import checkout, provenance


@pytest.fixture(autouse=True)
def no_memory():
    checkout.cache_clear()
    yield
    checkout.cache_clear()


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_versions_times_and_device():
    found = provenance(datetime.now(UTC) - timedelta(seconds=5), device="cuda:0")
    assert found["flatmin"] == flatmin.__version__
    assert found["versions"]["numpy"] == metadata.version("numpy")
    assert {"torch", "pytorch-lightning", "scipy", "loss-landscapes"} <= found["versions"].keys()
    assert found["device"] == "cuda:0"
    assert found["started"].endswith("+00:00")
    assert 5 <= found["wall_seconds"] < 60
    assert plain(found) == found


def test_commit_and_changes_of_the_package_only(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "notes.txt").write_text("outside the package")
    clean = checkout(package)
    assert len(clean["commit"]) == 40
    assert not clean["dirty"]
    checkout.cache_clear()
    (package / "__init__.py").write_text("changed = True")
    assert checkout(package) == {"commit": clean["commit"], "dirty": True}


def test_package_installed_inside_a_foreign_checkout_has_no_commit(tmp_path):
    (tmp_path / "__init__.py").write_text("")
    git(tmp_path, "init")
    assert checkout(tmp_path) is None


def test_absent_git_is_fine(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance()["git"] is None
