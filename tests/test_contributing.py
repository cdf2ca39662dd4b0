"""The worked examples of CONTRIBUTING.md, written into a copy of the package and run to their end as they stand."""

import gzip
import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
EXAMPLES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("# Three worked examples")[2]
COPIED = (
    *("flatmin", "experiments", "pyproject.toml", "tests/conftest.py"),
    *("tests/measures/test_contract.py", "tests/measures/test_invariances.py", "tests/studies/test_contract.py"),
    *("tests/data/conftest.py", "tests/data/test_catalog.py"),
)
FETCH = "flatmin data fetch fashion_mnist"
"""The one command that must fail: what lies in its place are not the published files."""

DRIVER = f"""
import shlex, sys

from flatmin.core.kind import kinds
from flatmin.data.sets import names
from flatmin.measures import measures

assert {{"hessian_trace", "parabola", "fashion_mnist"}} <= {{*measures(), *kinds(), *names()}}
assert "torch" not in sys.modules, "torch is imported before anything runs"

import pytest
from flatmin.cli import main

for line in sys.stdin.read().splitlines():
    print(f"$ {{line}}", flush=True)
    program, *arguments = shlex.split(line)
    sys.argv = [program, *arguments]
    try:
        status = pytest.main([*arguments, "-q"]) if program == "pytest" else main()
    except SystemExit as end:
        status = end.code
    if bool(status) != line.startswith({FETCH!r}):
        sys.exit(f"{{line}}: status {{status}}")

from flatmin.results import Tables
from flatmin.studies.parabola.figure import losses

figure = losses(Tables.read("results/parabola/tables"))
(axes,) = figure.axes
assert len(axes.lines) == 3 and (axes.get_xlabel(), axes.get_yscale()) == ("step", "log")
assert axes.get_legend().get_title().get_text() == "learning rate"
assert figure.get_supxlabel() == "20 of 40 steps."
"""
"""Runs commands one after the other in one process, which imports torch once, then looks at what leaves no file."""


def files() -> dict[str, str]:
    """Every block that begins with a path, by that path."""
    blocks = re.findall(r"^```(?:python|yaml)\n(.*?)^```$", EXAMPLES, re.MULTILINE | re.DOTALL)
    return {found[1]: block for block in blocks if (found := re.match(r"# (\S+\.(?:py|yaml))\n", block))}


def commands() -> list[str]:
    return "".join(re.findall(r"^```sh\n(.*?)^```$", EXAMPLES, re.MULTILINE | re.DOTALL)).splitlines()


def as_run(command: str) -> str:
    """Without Weights & Biases, which would take its time, and with other files than the published ones."""
    if not command.startswith("flatmin run "):
        return command
    return f"{command} resources.wandb.mode=disabled" + " data.verify=false" * ("fashion_mnist" in command)


def write_clothes(folder: Path) -> None:
    """Sixty training and twenty test pictures of noise under the published names."""
    random, parts = np.random.default_rng(0), {"train": 60, "t10k": 20}
    folder.mkdir(parents=True)
    for part, count in parts.items():
        pixels, classes = random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, array in (("images-idx3", pixels), ("labels-idx1", classes)):
            header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), mtime=0))


def write_examples(folder: Path) -> None:
    for name, text in files().items():
        assert not (folder / name).exists(), f"{name} is part of flatmin already"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def checked(arguments: list[str], folder: Path, given: str = "") -> str:
    """What a command prints in a home of its own; it must end well."""
    env = {name: os.environ[name] for name in ("PATH", "LANG", "MPLCONFIGDIR") if name in os.environ}
    env |= {"HOME": str(folder), "PYTHONPATH": str(folder), "FLATMIN_DATA": str(folder / "data"), "COLUMNS": "120"}
    process = subprocess.run(
        [sys.executable, *arguments],
        input=given,
        env=env | {"OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, f"{process.stdout}\n{process.stderr}"
    return process.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all examples in it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    write_examples(folder)
    write_clothes(folder / "data" / "FashionMNIST" / "raw")
    return folder


def test_the_examples_keep_to_the_style_of_the_package(copy):
    python = [name for name in files() if name.endswith(".py")]
    checked(["-m", "ruff", "check", "--no-cache", *python], copy)
    checked(["-m", "ruff", "format", "--no-cache", "--check", *python], copy)


def test_the_examples_import_downwards(tmp_path):
    spec = importlib.util.spec_from_file_location("layers", ROOT / "tests" / "test_layers.py")
    layers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layers)
    write_examples(tmp_path)
    layers.PACKAGE = tmp_path / "flatmin"
    assert {found.room for found in layers.imports()} == {"measures", "studies", "data"}
    layers.test_imports_point_downwards()
    for package in layers.HOMES:
        layers.test_package_stays_in_its_rooms(package)


def measure(copy: Path, said: dict[str, str]) -> None:
    """From one file to table, figure and summary."""
    assert "17 passed" in said["pytest tests/measures -k hessian_trace"]
    text, folder = said["flatmin run trace.yaml"], copy / "results" / "trace"
    assert "batches: small batch 16, large batch 719\n" in text and "2 epochs of adam" in text
    assert {path.stem for path in (folder / "tables").glob("*.csv")} == {"curves", "minima", "hessian_trace"}
    rows = pd.read_csv(folder / "tables" / "hessian_trace.csv")
    assert list(rows.columns[-3:]) == ["probes", "trace", "standard_error"]
    assert set(rows["examples"]) == {200} and set(rows["probes"]) == {20} and set(rows["seed"]) == {0, 1}
    assert rows["epoch"].dropna().value_counts().to_dict() == {0.0: 4, 1.0: 4} and rows["epoch"].isna().sum() == 4
    figure = {path.suffix for path in (folder / "figures").glob("hessian_trace_F1_digits_batch.*")}
    assert figure == {".csv", ".pdf", ".png"} and "\n trace of the Hessian " in text
    assert "{trace of the Hessian}" in (folder / "figures" / "summary.tex").read_text(encoding="utf-8")
    assert pd.read_csv(folder / "figures" / "training_curves_F1_digits.csv")["epoch"].max() == 2


def study(copy: Path, said: dict[str, str]) -> None:
    """From one folder to table, figure and report."""
    assert "5 passed" in said["pytest tests/studies -k parabola"]
    text, folder = said["flatmin run experiments/parabola.yaml budget=0.5"], copy / "results" / "parabola"
    assert text.startswith("parabola  Which learning rates a minimum holds.\n  20 steps, sharpness 10\n")
    assert "  reduced: 20 of 40 steps.\n     3 descents\n" in text and "rate_0.05: loss " in text
    asked = yaml.safe_load(files()["experiments/parabola.yaml"])["learning_rates"]
    rows = pd.read_csv(folder / "tables" / "parabola_losses.csv")
    assert list(rows["learning_rate"].unique()) == asked and rows["step"].max() == 20
    for rate, side in zip(asked, ("at most", "at most", "above"), strict=True):
        loss = 5 * (1 - 10 * rate) ** 40
        assert f"\nLearning rate {rate:g}, {side} 2 / sharpness = 0.2: the loss ends at {loss:.3g}.\n" in text
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"parabola.{end}" for end in ("csv", "pdf", "png")
    }
    assert "parabola: Gradient descent on a parabola\n" in said["flatmin report results/parabola --out results/report"]
    report = (copy / "results" / "report" / "report.md").read_text(encoding="utf-8")
    assert "the loss ends at" in report and "![parabola](parabola/parabola.png)" in report


def data_set(copy: Path, said: dict[str, str]) -> None:
    """From one file to a trained network."""
    assert "1 passed" in said["pytest tests/data -k fashion_mnist"] and not said[FETCH]
    options = "experiments/quickstart.yaml name=clothes data=fashion_mnist"
    plan, run = (
        said[f"flatmin run {options} {rest}"]
        for rest in ("--plan", "sharpness=null slices=null seeds=[0] training.epochs=1")
    )
    assert "F1 on fashion_mnist (60 training, 20 test examples of 1 x 28 x 28)" in plan and "12 slices" in plan
    assert "F1 on Fashion-MNIST: no verdict" in run
    minima = pd.read_csv(copy / "results" / "clothes" / "tables" / "minima.csv")
    assert list(minima["data"].unique()) == ["fashion_mnist"] and list(minima["epochs"]) == [1, 1]


@pytest.mark.slow
def test_the_examples_run_to_their_end(copy):
    """One test, so that tests in several processes run them once."""
    out = checked(["-c", DRIVER], copy, "\n".join(map(as_run, commands())))
    said = dict(zip(commands(), re.split(r"^\$ .*\n", out, flags=re.MULTILINE)[1:], strict=True))
    measure(copy, said)
    study(copy, said)
    data_set(copy, said)
