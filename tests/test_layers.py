"""Who may import whom: imports point downwards, and heavy packages stay in the rooms that need them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "flatmin"

TRAINED = {"core", "data", "networks", "landscapes", "training", "sharpness", "measures", "results"}

ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "speech": {"core"},
    "data": {"core", "speech"},
    "networks": {"core"},
    "landscapes": {"core"},
    "sharpness": {"core"},
    "measures": {"core", "sharpness"},
    "results": {"core", "data", "measures"},
    "training": {"core", "data"},
    "callbacks": {"core", "measures"},
    "figures": {"core", "measures", "results"},
    "report": {"core", "measures", "results", "figures"},
    "experiments": TRAINED,
    "studies": {*TRAINED, "figures", "experiments"},
    "cli": {"core", "data", "measures", "speech", "results", "figures", "report", "experiments", "landscapes"},
}

HOMES = {
    "matplotlib": {"figures", "report", "studies"},
    "mpl_toolkits": {"figures"},
    "seaborn": {"figures"},
    "wandb": {"experiments", "report"},
    "wandb_workspaces": {"report"},
    "loss_landscapes": {"landscapes"},
    "pytorch_lightning": {"callbacks", "data", "networks", "training", "experiments"},
    "soundfile": {"speech"},
    "kaldi_native_fbank": {"speech"},
    "kaldiio": {"speech"},
}


def imports() -> Iterator[tuple[str, str, str]]:
    """Every import of the package: room, full name of what is imported, and where the line stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from ((room, alias.name, where) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{where}: relative import"
                yield from ((room, f"{node.module}.{alias.name}", where) for alias in node.names)


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
    for room, name, where in imports():
        if room in ("__init__.py", "__main__.py") or not within(name, "flatmin") or name.startswith("flatmin.__"):
            continue
        target = name.split(".")[1]
        if target != room and target not in ALLOWED[room]:
            upward.append(f"{where}: {room} imports {name}")
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("package", HOMES)
def test_package_stays_in_its_rooms(package):
    strays = [
        f"{where}: {name}" for room, name, where in imports() if within(name, package) and room not in HOMES[package]
    ]
    assert not strays, "\n".join(strays)


@pytest.mark.parametrize(
    "module",
    [
        "flatmin",
        "flatmin.cli.data",
        "flatmin.cli.figures",
        "flatmin.cli.measure",
        "flatmin.cli.slices",
        "flatmin.cli.report",
        "flatmin.figures",
        "flatmin.report.build",
        "flatmin.networks.choice",
        "flatmin.studies.comparison.settings",
        "flatmin.training.settings",
    ],
)
def test_import_does_not_load_torch(module):
    code = f"import sys, {module}; print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
