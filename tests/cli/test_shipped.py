"""The shipped experiments: found by their names anywhere, listed, and copied for editing."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from flatmin.experiments import load_experiment, shipped

ROOT = Path(__file__).parents[2]
FILES = {file.stem: file for file in (ROOT / "experiments").glob("*.yaml")}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_experiment_is_listed_with_what_it_is_about(elsewhere: Path, flatmin: Any) -> None:
    said = flatmin("experiments")
    assert (said.status, said.err) == (0, "")
    text = " ".join(said.out.replace("│", " ").split())
    for name, file in FILES.items():
        about = yaml.safe_load(file.read_text())["about"]
        assert name in text and about.split()[0] in text


def test_a_name_runs_anywhere(elsewhere: Path, flatmin: Any) -> None:
    said = flatmin("run", "quickstart", "seeds=[0]", "--plan")
    assert (said.status, said.err) == (0, "") and said.out.startswith("quickstart  Small and large batches")


def test_a_file_here_comes_before_the_shipped_one(elsewhere: Path) -> None:
    assert shipped.experiment_file(Path("quickstart")).read_bytes() == FILES["quickstart"].read_bytes()
    Path("experiments").mkdir()
    Path("experiments/quickstart.yaml").touch()
    assert shipped.experiment_file(Path("quickstart")) == Path("experiments/quickstart.yaml")
    Path("quickstart.yaml").touch()
    assert shipped.experiment_file(Path("quickstart")) == Path("quickstart.yaml")
    Path("quickstart").touch()
    assert shipped.experiment_file(Path("quickstart")) == Path("quickstart")


@pytest.mark.parametrize("file", ["gone.yaml", "folder/quickstart", "./quickstart.yaml"])
def test_what_is_no_shipped_name_is_a_file(file: str, elsewhere: Path) -> None:
    assert shipped.experiment_file(Path(file)) == Path(file)


def test_a_name_nearly_right_is_mended(elsewhere: Path, flatmin: Any) -> None:
    said = flatmin("run", "keskar_f1x")
    assert said.status == 2 and said.err.startswith("Error: no experiment keskar_f1x; did you mean keskar_f1 or ")
    Path("mine.yaml").touch()
    assert "did you mean mine?" in flatmin("run", "mime").err


@pytest.mark.parametrize("name", ["nope", "xyz"])
def test_a_name_of_nothing_leads_to_the_shipped_ones(name: str, elsewhere: Path, flatmin: Any) -> None:
    said = flatmin("run", name)
    assert said.status == 2 and said.err.startswith(f"Error: no experiment {name}; ")
    assert "`flatmin experiments` lists" in said.err and said.err.count("\n") == 1


def test_a_run_says_that_a_file_here_hides_a_shipped_one(elsewhere: Path, flatmin: Any) -> None:
    words = "which comes before the shipped quickstart"
    assert words not in flatmin("run", "quickstart", "seeds=[0]", "--plan").out
    Path("quickstart.yaml").write_bytes(FILES["quickstart"].read_bytes())
    assert f"read from quickstart.yaml, {words}" in flatmin("run", "quickstart", "seeds=[0]", "--plan").out
    assert words not in flatmin("run", "quickstart.yaml", "seeds=[0]", "--plan").out


@pytest.mark.parametrize(
    ("to", "written"), [((), "fig4_f2.yaml"), (("mine.yaml",), "mine.yaml"), (("folder",), "folder/fig4_f2.yaml")]
)
def test_a_copy_is_for_editing(to: Any, written: str, elsewhere: Path, flatmin: Any) -> None:
    Path("folder").mkdir()
    said = flatmin("experiments", "copy", "fig4_f2", *to)
    assert (said.status, said.err) == (0, "") and said.out.startswith(f"{written}: a copy of fig4_f2.")
    assert Path(written).read_bytes() == FILES["fig4_f2"].read_bytes()
    assert load_experiment(Path(written)).name == "fig4_f2"
    Path(written).write_text("edited")
    said = flatmin("experiments", "copy", "fig4_f2", *to)
    assert said == (2, "", f"Error: {written} is there already and stays as it is; name another file.\n")
    assert Path(written).read_text() == "edited"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quikstart",), "no shipped experiment quikstart; did you mean quickstart?"),
        (("xyz",), "no shipped experiment xyz; there are book_3_1_toy, "),
        (("../../etc/passwd",), "no shipped experiment ../../etc/passwd; "),
        (("quickstart", "mine"), "the copy must be a folder that is there or end in .yaml, got mine."),
        (("quickstart", "gone/mine.yaml"), "gone/mine.yaml cannot be written: No such file or directory."),
    ],
)
def test_a_copy_that_cannot_be_made_is_one_line(arguments: Any, message: str, elsewhere: Path, flatmin: Any) -> None:
    said = flatmin("experiments", "copy", *arguments)
    assert (said.status, said.out) == (2, "") and said.err.startswith(f"Error: {message}")
    assert said.err.count("\n") == 1 and not [*elsewhere.iterdir()]


def test_they_travel_in_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "flatmin", source / "flatmin", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "experiments", source / "experiments")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    packed = {file.stem: file.read_bytes() for file in (site / "flatmin" / "shipped_experiments").iterdir()}
    assert packed == {name: file.read_bytes() for name, file in FILES.items()}
    code = "from flatmin.experiments.shipped import shipped; print(shipped()['quickstart'])"
    alone = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=alone, capture_output=True, text=True)
    assert done.stdout.strip() == str(site / "flatmin" / "shipped_experiments" / "quickstart.yaml")
