import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from invented import rows_of

from flatmin.report.studies import StudyResults
from flatmin.results import Tables, columns

SMALL, LARGE = "small_batch", "large_batch"
BATCH_SIZES = {SMALL: 256, LARGE: 6000}
FILLED: dict[str, dict[str, Any]] = {
    "minima": {"train_accuracy": 0.999, "start_epoch": math.nan, "status": "finished", "epochs": 100},
    "sharpness": {
        **{"epoch": math.nan, "space": "full", "subspace_dim": math.nan, "distribution": "identity", "draw": 0},
        **{"epsilon": 1e-3, "method": "strong", "batch_norm": "batch", "examples": 5000, "converged": True},
    },
    "effort": {"space": "full", "epsilon": 1e-3, "batch_norm": "batch", "examples": 5000},
    "lines": {"kind": "linear", "regime": "both", "batch_norm": "batch", "split": "train"},
    "curves": {"split": "train"},
}


def filled(table: str, rows: list[dict[str, Any]], names: dict[str, str]) -> pd.DataFrame:
    plain = dict.fromkeys(columns()[table], 0.0) | FILLED.get(table, {}) | names
    found = [plain | {"batch_size": BATCH_SIZES.get(row.get("regime", ""), 256)} | row for row in rows]
    for row, given in zip(found, rows, strict=True):
        row |= {f"running_{name}": row[name] for name in plain if f"running_{name}" in plain} | given
    return rows_of(table, found)


def build(
    name: str = "keskar_f1",
    network: str = "F1",
    data: str = "mnist",
    *,
    variant: str = "code",
    reduced: tuple[str | dict[str, str], ...] = (),
    experiment: dict[str, Any] | None = None,
    **rows: list[dict[str, Any]],
) -> StudyResults:
    """A study with the given rows; whatever a row leaves out is filled in."""
    names = {"network": network, "data": data}
    frames: Any = {table: filled(table, found, names) for table, found in rows.items()}
    setup = {"network": {"name": network, "variant": variant}, "data": {"name": data}} | (experiment or {})
    provenance = {
        **{"experiment": setup, "reduced": list(reduced), "examples": {"curves": 60000}},
        "made_with": {"git": [{"commit": "abc123", "dirty": False}]},
    }
    return StudyResults(name, Tables(**frames, provenance=provenance))


def pair(column: str, small: list[float], large: list[float], **more: Any) -> list[dict[str, Any]]:
    """Rows with one value for each regime and seed."""
    return [
        {"regime": regime, "seed": seed, column: value} | more
        for regime, values in ((SMALL, small), (LARGE, large))
        for seed, value in enumerate(values)
    ]


def line(seed: int, heights: dict[float, float], **more: Any) -> list[dict[str, Any]]:
    """The loss of one seed along a path."""
    return [{"seed": seed, "alpha": alpha, "loss": loss} | more for alpha, loss in heights.items()]


def everything(
    network: str = "F1", data: str = "mnist", seeds: int = 4, name: str = "", variant: str = "code"
) -> StudyResults:
    """A study of the pair with all that Tables 2 to 4 and K1 to K17 need, in which the paper's claims hold."""
    random = np.random.default_rng(0)

    def about(center: float, relative: float = 0.02) -> list[float]:
        return [center * math.exp(random.normal(0, relative)) for _ in range(seeds)]

    minima = [
        {
            **{"regime": regime, "seed": seed, "batch_size": size, "train_accuracy": 0.999, "train_loss": 1e-3},
            **{"test_accuracy": accuracy + random.normal(0, 1e-3), "distance_from_start": distance},
        }
        for regime, size, accuracy, away in ((SMALL, 256, 0.80, 50.0), (LARGE, 6000, 0.77, 10.0))
        for seed, distance in enumerate(about(away))
    ]
    sharpness = [
        row
        for method in ("paper", "strong")
        for batch_norm in ("batch", "running")
        for epsilon, factor in ((1e-3, 1.0), (5e-4, 0.3))
        for space, filled in (
            ("full", {}),
            ("random", {"subspace_dim": 100, "distribution": "normal"}),
        )
        for row in pair(
            "sharpness",
            about(2 * factor),
            about(200 * factor),
            **{"method": method, "batch_norm": batch_norm, "epsilon": epsilon, "space": space, **filled},
        )
    ]
    curves = [
        {"regime": regime, "seed": seed, "epoch": epoch, "split": split, "loss": 2.3 * 0.5**epoch, "accuracy": height}
        for regime, speed in ((SMALL, 1.0), (LARGE, 0.5))
        for seed in range(seeds)
        for epoch in range(11)
        for split, top in (("train", 1.0), ("test", 0.8))
        for height in [top * (1 - 0.9 * math.exp(-speed * epoch))]
    ]
    lines = []
    for seed, scale in enumerate(about(1.0)):
        heights = {a / 8: 0.05 * (a < 0) + scale * (2.0 * (a in (5, 6, 7)) + 5 * max(0, a - 8)) for a in range(-8, 17)}
        flat = {place: height * (not 0 < place < 1) for place, height in heights.items()}
        for kind in ("linear", "curved"):
            lines += line(seed, flat if network == "F1" else heights, kind=kind)
    return build(
        name or f"keskar_{network.lower()}",
        network,
        data,
        variant=variant,
        minima=minima,
        sharpness=sharpness,
        curves=curves,
        lines=lines,
    )


@pytest.fixture
def study() -> Callable[..., StudyResults]:
    return build


@pytest.fixture
def both() -> Callable[..., list[dict[str, Any]]]:
    return pair


@pytest.fixture
def along() -> Callable[..., list[dict[str, Any]]]:
    return line


@pytest.fixture
def complete() -> Callable[..., StudyResults]:
    return everything


@pytest.fixture(scope="session")
def whole() -> StudyResults:
    return everything()
