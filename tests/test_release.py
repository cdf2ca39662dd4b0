"""One version and one licence, wherever they are written."""

import re
import tomllib
from pathlib import Path

import yaml

import flatmin

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_package_citation_and_changelog_have_one_version():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    newest = next(heading for heading in headings if heading != "Unreleased")
    assert flatmin.__version__ == newest == CITATION["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", newest)


def test_the_wheel_takes_its_version_from_the_package():
    assert "version" not in PYPROJECT["project"] and "version" in PYPROJECT["project"]["dynamic"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "flatmin.__version__"}


def test_the_licence_is_in_the_wheels_metadata():
    """As PEP 639 has it: an expression, and files that there are, which setuptools knows from version 77 on."""
    project = PYPROJECT["project"]
    named = [path.name for pattern in project["license-files"] for path in ROOT.glob(pattern)]
    assert named == ["LICENSE"] and (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert project["license"] == CITATION["license"] == "MIT"
    assert not [line for line in project["classifiers"] if line.startswith("License")]
    (setuptools,) = [need for need in PYPROJECT["build-system"]["requires"] if need.startswith("setuptools")]
    assert int(re.fullmatch(r"setuptools>=(\d+)", setuptools)[1]) >= 77
