"""Who may import whom: imports point downwards, and heavy packages stay in the rooms that need them."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "flatmin"

TRAINED = {
    *("core", "objective", "data", "networks", "curvature", "landscapes", "training", "sharpness", "measures"),
    *("results", "symmetries", "optimizers"),
    *("results", "symmetries", "connectivity"),
}

ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "objective": {"core"},
    "speech": {"core"},
    "data": {"core", "speech"},
    "optimizers": {"core"},
    "networks": {"core", "optimizers"},
    "curvature": {"core", "objective"},
    "symmetries": {"core", "objective"},
    "landscapes": {"core", "objective"},
    "connectivity": {"core", "objective", "symmetries", "landscapes"},
    "sharpness": {"core", "objective", "curvature"},
    "measures": {"core", "objective", "sharpness", "curvature", "symmetries"},
    "results": {"core", "data", "measures"},
    "training": {"core", "objective", "data", "optimizers"},
    "callbacks": {"core", "objective", "curvature", "measures"},
    "figures": {"core", "measures", "results"},
    "report": {"core", "measures", "results", "figures"},
    "experiments": TRAINED,
    "studies": {*TRAINED, "figures", "experiments"},
    "cli": {*TRAINED - {"networks", "sharpness", "training"}, "speech", "figures", "report", "experiments"},
}

LATE: dict[str, set[str]] = {"curvature": {"figures"}, "landscapes": {"figures"}, "sharpness": {"figures"}}
"""What a room reaches only when it is asked to draw: by an import inside a function."""

HOMES = {
    "matplotlib": {"figures", "report", "studies"},
    "mpl_toolkits": {"figures"},
    "seaborn": {"figures"},
    "plotly": {"figures"},
    "wandb": {"experiments", "report"},
    "wandb_workspaces": {"report"},
    "loss_landscapes": {"landscapes"},
    "pytorch_lightning": {"callbacks", "data", "networks", "training", "experiments"},
    "soundfile": {"speech"},
    "kaldi_native_fbank": {"speech"},
    "kaldiio": {"speech"},
}


class Imported(NamedTuple):
    """One import: in which room, the full name of what is imported, where the line stands.

    A late one is not done when the module is imported: it stands in a function, or is for types alone.
    """

    room: str
    name: str
    where: str
    late: bool


@cache
def imports() -> list[Imported]:
    """Every import of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        tree = ast.parse(path.read_text())
        inside = {part for node in ast.walk(tree) if waits(node) for part in ast.walk(node)}
        for node in ast.walk(tree):
            where = f"{path.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', 0)}"
            late = node in inside
            if isinstance(node, ast.Import):
                found += [Imported(room, alias.name, where, late) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{where}: relative import"
                found += [Imported(room, f"{node.module}.{alias.name}", where, late) for alias in node.names]
    return found


def waits(node: ast.AST) -> bool:
    """Whether what stands in it is not done when the module is imported."""
    typing = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def test_allowed_imports_have_no_cycle_and_few_reach_the_top():
    order = list(TopologicalSorter(ALLOWED).static_order())
    assert set(order) == set(ALLOWED)
    assert {room for room, below in ALLOWED.items() if "experiments" in below} == {"cli", "studies"}
    assert not any({"cli", "studies"} & below for below in ALLOWED.values())


def test_every_room_is_listed():
    rooms = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/*.py")}
    assert rooms <= set(ALLOWED)


def test_imports_point_downwards():
    upward = []
    for room, name, where, late in imports():
        if room in ("__init__.py", "__main__.py") or not within(name, "flatmin") or name.startswith("flatmin.__"):
            continue
        target = name.split(".")[1]
        allowed = ALLOWED[room] | (LATE.get(room, set()) if late else set())
        if target != room and target not in allowed:
            upward.append(f"{where}: {room} imports {name}")
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("package", HOMES)
def test_package_stays_in_its_rooms(package):
    strays = [
        f"{where}: {name}"
        for room, name, where, late in imports()
        if within(name, package) and not HOMES[package] & ({room} | (LATE.get(room, set()) if late else set()))
    ]
    assert not strays, "\n".join(strays)


@pytest.mark.parametrize(
    "module",
    [
        "flatmin",
        "flatmin.cli.attack",
        "flatmin.cli.data",
        "flatmin.cli.figures",
        "flatmin.cli.measure",
        "flatmin.cli.slices",
        "flatmin.cli.report",
        "flatmin.figures",
        "flatmin.report.build",
        "flatmin.networks.choice",
        "flatmin.studies.comparison.settings",
        "flatmin.training.averaging",
        "flatmin.training.settings",
    ],
)
def test_import_does_not_load_torch(module):
    code = f"import sys, {module}; print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_measures_and_slices_do_without_matplotlib_until_they_draw():
    code = "import sys, flatmin.landscapes, flatmin.sharpness; print('matplotlib' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
