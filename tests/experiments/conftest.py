from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flatmin.figures
from flatmin.experiments import Experiment, Study

SLICES = {
    "paths": {"alphas": [-1.0, 2.0, 4], "batch_norm": ["batch", "interpolated"]},
    "random_lines": {"alphas": [-1.0, 1.0, 3]},
    "planes": {"grid": [-1.0, 1.0, 3], "points": 3},
    "examples": 40,
}
SHARPNESS = {"methods": ["paper"], "batch_norm": ["batch"], "subspace_dim": 5, "draws": 1, "examples": 20}
TINY = {
    "name": "tiny",
    "data": {"name": "digits", "examples": 80},
    "network": {"name": "F1", "width": 4},
    "seeds": [0],
    "regimes": {"small_batch": {"batch_size": 16}, "large_batch": {"batch_size": "50%"}},
    "training": {"epochs": 1},
    "sharpness": None,
    "slices": None,
    "resources": {"device": "cpu", "wandb": {"mode": "disabled"}},
}

MEASURED = {"sharpness": SHARPNESS, "slices": SLICES}


@pytest.fixture(scope="session")
def experiment() -> Callable[..., Experiment]:
    """Makes a tiny experiment with some sections changed; ``measured`` has sharpness and every kind of slice."""

    def made(*, measured: bool = False, **changes: Any) -> Experiment:
        return Experiment.model_validate({**TINY, **(MEASURED if measured else {}), **changes})

    return made


@pytest.fixture
def make(experiment: Callable[..., Experiment], tmp_path: Path) -> Callable[..., Study]:
    """Makes the study of a tiny experiment."""
    return lambda **changes: Study.of(experiment(**changes), results=tmp_path / "results")


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders to which figures were drawn; nothing is drawn, which takes seconds."""
    drawn: list[Path] = []

    def render(tables: object, out: Path) -> list[Path]:
        out.mkdir(parents=True, exist_ok=True)
        drawn.append(out)
        return []

    monkeypatch.setattr(flatmin.figures, "render", render)
    return drawn
